package check

import (
	"cmp"
	"context"
	"slices"
	"time"

	asked "netmirror/service"
	"netmirror/target"
)

// Service is one of several that netmirror is to be called with.
type Service struct {
	Name string
	asked.Selection
	Filters
	Target        string         // address of its shadow; "": not known yet
	TargetOptions target.Options // how it is reached
	DialTimeout   time.Duration  // for the target; 0 means 3 s
	Midstream     string         // as Config's
}

// of is what is to be looked at for the nth of the services.
func (c Config) of(nth int) Config {
	s := c.Services[nth]
	c.rest = slices.Delete(c.asked(), nth, nth+1)
	c.Services, c.nth = nil, nth
	c.VNIs, c.EveryVNI, c.Ports, c.Filters = s.VNIs, s.VNIs.Any(), s.Ports, s.Filters
	c.Target, c.TargetOptions = s.Target, s.TargetOptions
	c.DialTimeout, c.Midstream = s.DialTimeout, s.Midstream
	return c.withDefaults()
}

// asked are the selections that were given, as far as they were.
func (c Config) asked() []asked.Selection {
	if len(c.Services) == 0 {
		return []asked.Selection{{VNIs: c.VNIs, Ports: c.Ports}}
	}
	all := make([]asked.Selection, len(c.Services))
	for i, s := range c.Services {
		all[i] = s.Selection
	}
	return all
}

// services looks once for all services, and says of each what it sees, whether its
// target answers, and a verdict. ok says that there is nothing wrong with any.
func (r *report) services(ctx context.Context, c Config) (ok bool, err error) {
	targets := make([]<-chan answer, len(c.Services))
	for i := range c.Services {
		targets[i] = dial(ctx, c.of(i)) // takes its time meanwhile
	}
	s, err := r.see(ctx, c)
	if err != nil {
		return false, err
	}
	arrived := r.packets(c, s)
	common := r.first // what keeps every service from its work
	first, right := common, 0
	for i, service := range c.Services {
		one := c.of(i)
		r.first = common
		r.say("")
		r.say("%s (%s):", service.Name, c.selectionText(service.Selection))
		var chosen *choice
		if arrived {
			chosen = r.chosen(one, s)
		}
		r.target(one, targets[i], chosen)
		if r.verdictOf(service); r.first == "" {
			right++
		}
		first = cmp.Or(first, r.first)
	}
	r.first = first
	r.verdictOfAll(c, right)
	return first == "", r.err
}

// selectionText is a selection for people: the port alone where packets have no VNI.
func (c Config) selectionText(s asked.Selection) string {
	if c.Mirror.Bare() {
		return "port " + s.Ports.String()
	}
	return s.String()
}

// verdictOf says whether there is something to forward for a service.
func (r *report) verdictOf(s Service) {
	if r.first != "" {
		r.say("verdict: %s: not yet; first, %s", s.Name, r.first)
		return
	}
	r.say("verdict: %s: netmirror has something to forward", s.Name)
}

// verdictOfAll says whether netmirror can be run. right is of how many services it can.
func (r *report) verdictOfAll(c Config, right int) {
	all := count(uint64(len(c.Services)), "service")
	r.say("")
	switch {
	case right < len(c.Services) && len(c.Services) == 1:
		r.say("verdict: not yet")
		return
	case right < len(c.Services):
		r.say("verdict: not yet for %d of the %s", len(c.Services)-right, all)
		return
	}
	instead := "without the word check"
	if c.Capture != nil {
		instead = "with replay in place of check, and the files without --read"
	}
	whose := " for all " + all
	if right == 1 {
		whose = ""
	}
	r.say("verdict: netmirror has something to forward%s. Run it with the same arguments, %s", whose, instead)
}
