package check

import "cmp"

// usage is what tells the server's end of a connection whose SYN was not seen.
type usage struct {
	port   uint16               // as in flows
	served map[serviceID]uint64 // connections in which a SYN showed the port to be the server's
	used   map[serviceID]uint64 // connections that have the port at either end
}

func (t *flows) usage() usage {
	u := usage{t.port, make(map[serviceID]uint64), make(map[serviceID]uint64)}
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

// serverOf says which end of a connection is the server's: what its SYN shows,
// else the port that is said to be the service's, a port that other connections
// show to be a server's, the one that is asked, the one that more connections
// share, the lower one.
func (u usage) serverOf(k flowKey, f *flow) int {
	if f.server != unshown {
		return int(f.server - firstEnd)
	}
	a, b := k.ends[0].Port(), k.ends[1].Port()
	ka, kb := serviceID{k.vni, a}, serviceID{k.vni, b}
	isGiven := func(p uint16) int {
		if p == u.port {
			return 1
		}
		return 0
	}
	if cmp.Or(
		cmp.Compare(isGiven(a), isGiven(b)), cmp.Compare(u.served[ka], u.served[kb]),
		cmp.Compare(f.sides[1].asks(), f.sides[0].asks()),
		cmp.Compare(u.used[ka], u.used[kb]), cmp.Compare(b, a),
	) < 0 {
		return 1
	}
	return 0
}
