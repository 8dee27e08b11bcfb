package check

import "cmp"

// verdict says whether netmirror can be run, and how, or what to change first.
// ch is the service to forward, or nil.
func (r *report) verdict(c Config, ch *choice) {
	if r.first != "" {
		r.say("")
		r.say("verdict: not yet; first, %s", r.first)
		return
	}
	c.VNIs, c.Ports, c.Target = ch.vnis, ch.ports, cmp.Or(c.Target, anyTarget)
	r.say("")
	r.say("verdict: netmirror has something to forward. Run:")
	r.say("  %s", c.command())
}
