package check

import (
	"net/netip"
	"slices"

	asked "netmirror/service"
)

// clients are those of each service that was given, none where all take every client.
func (c Config) clients() (all []asked.Clients) {
	all = []asked.Clients{c.Clients}
	if len(c.Services) > 0 {
		all = nil
	}
	for _, s := range c.Services {
		all = append(all, s.Clients)
	}
	if !slices.ContainsFunc(all, func(c asked.Clients) bool { return !c.All() }) {
		return nil
	}
	return all
}

// count counts a connection for those services that take its client.
func (s *service) count(clients []asked.Clients, client netip.Addr) {
	if s.taken == nil {
		s.taken = make([]uint64, len(clients))
	}
	for i, of := range clients {
		if of.Takes(client.AsSlice()) {
			s.taken[i]++
		}
	}
}

func (s *service) mergeTaken(taken []uint64) {
	if len(s.taken) == 0 {
		s.taken = make([]uint64, len(taken))
	}
	for i, n := range taken {
		s.taken[i] += n
	}
}

// clients tells of clients that are left out.
func (r *report) clients(c Config, name string, ch *choice) {
	all := ch.talked()
	if c.Clients.All() || all == 0 {
		return
	}
	const flags = "--clients and --exclude-clients"
	switch taken := ch.taken[c.nth]; {
	case taken == 0 && all == 1:
		r.fault("correct "+flags+", or watch for longer with --time", "%s: %s leave out the clients of the only connection in which clients sent data", name, flags)
	case taken == 0:
		r.fault("correct "+flags+", or watch for longer with --time", "%s: %s leave out the clients of all %d connections in which clients sent data", name, flags, all)
	case taken < all:
		r.note("%s: %s leave out %d of the %s in which clients sent data", name, flags, all-taken, count(all, "connection"))
	}
}
