package check

import (
	"cmp"
	"fmt"
	"maps"
	"net"
	"slices"

	"netmirror/decap"
)

// arrivals tells whether mirror packets came. It is false where there is nothing
// more to tell of them.
func (r *report) arrivals(c Config, s *seen) bool {
	if s.frames == 0 {
		r.nothing(c, s)
		return false
	}
	var mirrored uint64
	for _, n := range s.vnis.entries {
		mirrored += n.packets
	}
	mirrored += s.vnis.lost
	if mirrored == 0 {
		r.fault("have the mirror send VXLAN to this host", "mirror: %s came to UDP port %d, none of which is VXLAN (%s)",
			count(s.frames, "packet"), c.VXLANPort, reasonsOf(s))
		return false
	}
	r.ok("mirror: %s in %.1fs, %.0f/s", count(s.frames, "packet"), s.took.Seconds(), float64(s.frames)/s.took.Seconds())
	r.quality(s, mirrored)
	switch cut := s.cut(); {
	case s.reasons[decap.OK] > 0:
		if cut > 0 {
			r.note("mirror: %s cut within the headers, to %d bytes of IP at most, and of no use", count(cut, "packet"), s.cutAt)
		}
		return true
	case cut > 0:
		r.fault(s.uncut(), "mirror: the packets are cut within their headers, to %d bytes of IP at most (%s)", s.cutAt, reasonsOf(s))
	default:
		r.fault("have the mirror's filter let TCP through", "mirror: none of the packets carries TCP (%s)", reasonsOf(s))
	}
	return false
}

// uncut is the remedy for packets that the mirror has cut.
func (s *seen) uncut() string {
	return fmt.Sprintf("have the mirror send whole packets: no PacketLength at the mirror session, and an MTU of the mirrored hosts of %d or less (8947 for a target of 9001; a network load balancer passes on 8500 bytes at most)",
		s.mtu-overheadIPv4)
}

// quality notes what is odd about the mirror as a whole.
func (r *report) quality(s *seen, mirrored uint64) {
	if n := s.frames - mirrored; n > 0 {
		r.note("mirror: %s more at that port, not VXLAN or not whole", count(n, "packet"))
	}
	if n := s.capture.Drops; n > 0 {
		r.note("mirror: %s more came too fast to be looked at", count(n, "packet"))
	}
	if n := s.capture.FragmentsReceived; n > 0 {
		r.note("mirror: %s came, which were put together to %s; a larger MTU on the way spares that",
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

// nothing tells that no packet came, and what came elsewhere.
func (r *report) nothing(c Config, s *seen) {
	names := linkNames()
	places := slices.SortedFunc(maps.Keys(s.beside), func(a, b place) int {
		return cmp.Or(
			cmp.Compare(rank(a, c, names), rank(b, c, names)),
			cmp.Compare(s.beside[b], s.beside[a]), cmp.Compare(a.link, b.link))
	})
	places = slices.DeleteFunc(places, func(p place) bool { return names[p.link] == "" })
	remedy := fmt.Sprintf("let UDP port %d in from the mirrored hosts (security group), and see that the mirror session's target is this host, on this interface, and that its filter takes the service's packets", c.VXLANPort)
	if len(places) > 0 {
		remedy = elsewhere(places[0], c, names)
	}
	r.fault(remedy, "mirror: nothing came to UDP port %d on %s in %.1fs", c.VXLANPort, c.Interface, s.took.Seconds())
	const most = 8
	for _, p := range places[:min(len(places), most)] {
		r.note("mirror: %s came to UDP port %d on %s%s", count(s.beside[p], "packet"), p.port, names[p.link], portMeans(p.port))
	}
	if len(places) == 0 {
		all, _ := net.Interfaces() // only to name them
		r.note("mirror: nothing came to the UDP ports %d, %d (VXLAN) and %d (GENEVE) on any other interface that is up either (%s)",
			c.VXLANPort, linuxVXLANPort, genevePort, upBeside(all, c.Interface))
	}
}

// rank orders the places where something came: how much has to be changed to use
// it.
func rank(p place, c Config, names map[int]string) int {
	n := 0
	if p.port != c.VXLANPort {
		n++
	}
	if names[p.link] != c.Interface {
		n++
	}
	if p.port == genevePort {
		n += 4
	}
	return n
}

// elsewhere is the remedy where something came to another place.
func elsewhere(p place, c Config, names map[int]string) string {
	if p.port == genevePort && p.port != c.VXLANPort {
		return "have the mirror send VXLAN: GENEVE, as of a Gateway Load Balancer, is not supported; make this host's network interface, or a network load balancer before it, the mirror's target"
	}
	c.Interface, c.VXLANPort = names[p.link], p.port
	return "look there: " + c.command("check")
}

// portMeans says what a port is for.
func portMeans(port uint16) string {
	switch port {
	case linuxVXLANPort:
		return " (VXLAN, Linux's own default; or an overlay network of this host)"
	case genevePort:
		return " (GENEVE, which is not supported)"
	}
	return ""
}

func linkNames() map[int]string {
	names := make(map[int]string)
	all, _ := net.Interfaces() // without it there are no names, and nothing to tell
	for _, ifi := range all {
		names[ifi.Index] = ifi.Name
	}
	return names
}
