package check

import (
	"fmt"

	"netmirror/decap"
	"netmirror/wire"
)

// fewFrames is less than a service in use brings in a look.
const fewFrames = 20

// arrivals tells whether mirror packets came. It returns false if there is nothing more to
// tell about them.
func (r *report) arrivals(c Config, s *seen) bool {
	if s.frames == 0 && c.Capture != nil {
		r.fault("give a file that has packets", "capture: there is no packet in it")
		return false
	}
	if s.frames == 0 && c.Sockets {
		r.nothingSent(c, s)
		return false
	}
	if s.frames == 0 {
		r.nothing(c, s)
		return false
	}
	var mirrored uint64
	for _, n := range s.vnis.entries {
		mirrored += n.packets
	}
	mirrored += s.vnis.lost
	if mirrored == 0 && c.Capture != nil { // a host's are recognized, unless --vni says that they are a mirror's
		r.fault("leave --vni out, if the file has a host's packets; or give one that has the mirror's", "mirror: %s in the file, and none is %s (%s)",
			count(s.frames, "packet"), c.wrapping(), reasonsOf(s))
		return false
	}
	if mirrored == 0 {
		r.fault("have the mirror send its packets to this host", "mirror: %s arrived as from a mirror, but none is %s (%s)",
			count(s.frames, "packet"), c.wrapping(), reasonsOf(s))
		return false
	}
	r.ok("mirror: %s in %.1fs, %s", count(s.frames, "packet"), s.took.Seconds(), s.rate())
	r.layouts(s)
	r.quality(s, mirrored)
	switch cut := s.cut(); {
	case s.reasons[decap.OK] > 0:
		if cut > 0 {
			r.note("mirror: %s cut within the headers, to at most %d bytes of IP, and useless", count(cut, "packet"), s.cutAt)
		}
		return true
	case s.reasons[decap.OtherVNI] > 0: // a look takes every other
		r.fault(fmt.Sprintf("give the mirror's GRE tunnel a key of at most %d, or none", wire.MaxVNI),
			"mirror: no packet can be selected by its key, which has more than 24 bits (%s)", reasonsOf(s))
	case cut > 0:
		r.fault(s.uncut(), "mirror: the packets are cut within their headers, to at most %d bytes of IP (%s)", s.cutAt, reasonsOf(s))
	case c.Capture == nil && s.frames < fewFrames: // such as the address resolution of a device
		r.fault("check again while clients send requests; if they do, let TCP through the mirror's filter",
			"mirror: only %s came, and none carries TCP (%s)", count(s.frames, "packet"), reasonsOf(s))
	default:
		r.fault("let TCP through the mirror's filter", "mirror: none of the packets carries TCP (%s)", reasonsOf(s))
	}
	return false
}

// rate is how often packets came.
func (s *seen) rate() string {
	const few = 10
	if s.took <= 0 {
		return "all at once"
	}
	perSecond := float64(s.frames) / s.took.Seconds()
	if perSecond < few {
		return fmt.Sprintf("%.1f/s", perSecond)
	}
	return fmt.Sprintf("%.0f/s", perSecond)
}

// uncut is the remedy for packets that the mirror has cut, or whoever wrote a file.
func (s *seen) uncut() string {
	if s.mtu == 0 && s.capture.Cut > 0 {
		return "capture whole packets: tcpdump -s 0"
	}
	if s.mtu == 0 {
		return fmt.Sprintf("make the mirror send whole packets: no PacketLength on the mirror session, and an MTU of the mirrored hosts that is %d less than that of the interface the mirror arrives on",
			overheadIPv4)
	}
	return fmt.Sprintf("make the mirror send whole packets: no PacketLength on the mirror session, and an MTU of the mirrored hosts of %d or less (8947 for a target of 9001, 8486 behind a network load balancer)",
		s.mtu-overheadIPv4)
}

// quality notes what is odd about the mirror as a whole.
func (r *report) quality(s *seen, mirrored uint64) {
	if n := s.frames - mirrored; n > 0 {
		r.note("mirror: %s more to that port are not the mirror's, or not whole", count(n, "packet"))
	}
	if n := s.capture.Drops; n > 0 {
		r.note("mirror: %s more came too fast to be analyzed", count(n, "packet"))
	}
	if n := s.capture.FragmentsReceived; n > 0 {
		r.note("mirror: %s arrived and were joined to %s; a larger MTU on the way avoids that",
			count(n, "fragment"), count(s.capture.Reassembled, "packet"))
	}
}

// reasonsOf lists what packets were that are not TCP in VXLAN.
func reasonsOf(s *seen) string {
	text := ""
	for reason, n := range s.reasons {
		if n > 0 && decap.Reason(reason) != decap.OK {
			text += fmt.Sprintf(", %d %v", n, decap.Reason(reason))
		}
	}
	return text[min(2, len(text)):]
}
