package check

import (
	"cmp"
	"fmt"
	"maps"
	"net"
	"slices"

	"netmirror/wire"
)

// quiet is what else can be the reason that nothing comes.
const quiet = "mirror: nothing comes either while no client sends anything; send the service a request meanwhile, or look for longer (--time)"

// nothing tells that no packet came, and what came elsewhere.
func (r *report) nothing(c Config, s *seen) {
	names := linkNames()
	places := slices.SortedFunc(maps.Keys(s.beside), func(a, b place) int {
		return cmp.Or(
			cmp.Compare(rank(a, c, names), rank(b, c, names)),
			cmp.Compare(s.beside[b], s.beside[a]), cmp.Compare(a.link, b.link))
	})
	places = slices.DeleteFunc(places, func(p place) bool { return names[p.link] == "" })
	remedy := fmt.Sprintf("let %s in from the mirrored hosts (security group); make sure that the mirror session's target is this host, on this interface, and that its filter accepts the service's packets", c.arrival())
	if len(places) > 0 {
		remedy = elsewhere(places[0], c, names)
	}
	const most, stray = 8, 10 // a switch floods a few frames to all its ports
	asTheyAre := len(places) == 0 && s.others >= stray
	if asTheyAre {
		bare := c
		bare.Mirror, bare.VNIs, bare.EveryVNI = wire.Mirror{Encap: wire.EncapNone}, nil, false
		remedy = "look at the frames as they are, as a SPAN port sends them: " + bare.command("check")
	}
	r.fault(remedy, "mirror: nothing came to %s on %s in %.1fs", c.arrival(), c.Interface, s.took.Seconds())
	r.note("%s", quiet)
	if c.places() != c.arrival() {
		r.note("mirror: looked at %s", c.places())
	}
	if asTheyAre {
		r.note("mirror: %s for other hosts came to %s without an encapsulation", count(s.others, "TCP packet"), c.Interface)
	}
	for _, p := range places[:min(len(places), most)] {
		r.note("mirror: %s came to UDP port %d on %s%s", count(s.beside[p], "packet"), p.port, names[p.link], portMeans(p.port))
	}
	if len(places) == 0 {
		all, _ := net.Interfaces() // only to name them
		r.note("mirror: nothing came to the UDP ports %d, %d (VXLAN) and %d (GENEVE) on any other interface that is up either (%s)",
			wire.PortVXLAN, wire.PortVXLANLinux, wire.PortGeneve, upBeside(all, c.Interface))
	}
}

// nothingSent tells that no packet came to the sockets, which see no other ones.
func (r *report) nothingSent(c Config, s *seen) {
	r.fault(fmt.Sprintf("let %s in from the mirrored hosts (security group, this host's firewall); make sure that the mirror session's target is an address of this host, and that its filter accepts the service's packets", c.arrival()),
		"mirror: nothing came to %s on %s in %.1fs", c.arrival(), c.where(), s.took.Seconds())
	r.note("%s", quiet)
	if c.places() != c.arrival() {
		r.note("mirror: looked at %s", c.places())
	}
	c.Sockets = false
	c.Interface = cmp.Or(c.Interface, "NAME")
	r.note("mirror: sockets see only what is sent to this host and these ports; to see the rest, run: sudo %s", c.command("check"))
}

// rank orders the places where something came: how much has to be changed to use
// it.
func rank(p place, c Config, names map[int]string) int {
	n := 0
	if !slices.Contains(c.ports(), p.port) {
		n++
	}
	if names[p.link] != c.Interface {
		n++
	}
	return n
}

// elsewhere is the remedy where something came to another place.
func elsewhere(p place, c Config, names map[int]string) string {
	c = c.at(p.port)
	c.Interface = names[p.link]
	return "look there: " + c.command("check")
}

// portMeans says what a port is for.
func portMeans(port uint16) string {
	switch port {
	case wire.PortVXLANLinux:
		return " (VXLAN, Linux's own default; or an overlay network of this host)"
	case wire.PortGeneve:
		return " (GENEVE)"
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
