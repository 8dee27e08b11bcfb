package check

import (
	"cmp"

	asked "netmirror/service"
)

// usage is what tells the server's end of a connection whose SYN was not seen.
type usage struct {
	ports  asked.Ports          // as in flows
	served map[serviceID]uint64 // connections in which a SYN showed the port to be the server's
	used   map[serviceID]uint64 // connections that have the port at either end
}

func (t *flows) usage() usage {
	u := usage{t.ports, make(map[serviceID]uint64), make(map[serviceID]uint64)}
	for id, s := range t.into.entries {
		u.served[id] = s.opened
	}
	for k, f := range t.byKey {
		for _, end := range k.ends {
			u.used[serviceID{k.vni, end.Port()}]++
		}
		if f.server != unshown {
			u.served[serviceID{k.vni, k.ends[f.server-firstEnd].Port()}]++
		}
	}
	return u
}

// serverOf tells which end of a connection is the server. It goes by, in this order: a SYN;
// the port given for the service; a port that other connections show to be a server's; the
// port that is asked; the port that more connections share; a port below 1024 where the other
// is an ephemeral one. Otherwise it is the lower port, and sure is false.
func (u usage) serverOf(k flowKey, f *flow) (end int, sure bool) {
	if f.server != unshown {
		return int(f.server - firstEnd), true
	}
	a, b := k.ends[0].Port(), k.ends[1].Port()
	ka, kb := serviceID{k.vni, a}, serviceID{k.vni, b}
	shown := cmp.Or(
		compareBool(u.ports.Has(a), u.ports.Has(b)), cmp.Compare(u.served[ka], u.served[kb]),
		cmp.Compare(f.sides[1].role, f.sides[0].role),
		cmp.Compare(u.used[ka], u.used[kb]),
		compareBool(a < wellKnown && b >= givenOut, b < wellKnown && a >= givenOut),
	)
	if cmp.Or(shown, cmp.Compare(b, a)) < 0 {
		end = 1
	}
	return end, shown != 0 || a == b
}

const (
	wellKnown = 1024  // RFC 6335, section 6: the system ports end here
	givenOut  = 32768 // Linux's ip_local_port_range begins here, and those of others above it
)

// compareBool has true be more than false.
func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}
