package check

import (
	"fmt"
	"slices"
	"strconv"

	asked "netmirror/service"
)

// guess says that nothing shows the port to be a server's.
func (s *service) guess() bool { return s.conns > 0 && s.guessed == s.conns }

// ports names a service's port, and where that is a guess the other one too.
func (s *service) ports(port uint16) string {
	if s.guess() {
		return fmt.Sprintf("%d or %d", port, s.other)
	}
	return strconv.Itoa(int(port))
}

// guesses picks the services whose port is a guess.
func (s *seen) guesses(ids []serviceID) []serviceID {
	return slices.DeleteFunc(slices.Clone(ids), func(id serviceID) bool { return !s.services.entries[id].guess() })
}

// remedyGuess is what settles a guess.
func remedyGuess(id serviceID, v *service) string {
	return fmt.Sprintf("give the port that the clients connect to: --port %d or --port %d", id.port, v.other)
}

// guesses tells, below the table, what the mark in it means.
func (r *report) guesses(s *seen) {
	if ids := s.guesses(s.matching(nil, nil)); len(ids) > 0 {
		r.say("?: the lower port is a guess: no connection was seen to begin, and the server may have the other port: %s", s.listPorts(ids))
	}
}

// only takes the one service that was seen, unless its port is a guess.
func (r *report) only(s *seen, id serviceID) *choice {
	v := s.services.entries[id]
	if v.guess() {
		of := fmt.Sprintf("VNI %d, ", id.vni)
		if s.bare {
			of = ""
		}
		r.fault(remedyGuess(id, v), "service: %sport %s: which end is the server is a guess: no connection was seen to begin, and nothing else shows it",
			of, v.ports(id.port))
		return nil
	}
	return s.choice([]uint32{id.vni}, asked.PortsOf(id.port), []serviceID{id})
}
