package check

import (
	"cmp"
	"net/netip"
	"slices"
	"time"
)

// maxServers is how many addresses of a service's servers are remembered.
const maxServers = 64

// serviceID is a TCP port in a VNI.
type serviceID struct {
	vni  uint32
	port uint16
}

// service is what was seen of a service's connections.
type service struct {
	conns, opened  uint64 // opened: those whose SYN was seen, or the answer
	begun          uint64 // of opened, those in which the client had payload
	client, server half
	flowing        flowing
	gaps           gaps
	repeats        uint64           // packets that are a copy of another
	speaks         [speeches]uint64 // connections in which a client had payload, by what it spoke
	servers        []netip.AddrPort // some of them, in order
	taken          []taken          // by each of the services that were given; none: all
	guessed        uint64           // connections that nothing but the lower port made this service's
	other          uint16           // the port at the other end of one of guessed
}

// half is what all the clients, or all the servers, sent.
type half struct {
	packets, payload, cut uint64 // as in side
	cutAt                 int
}

// add takes in a connection whose server is the end at, at a time of the look.
func (s *service) add(f *flow, at int, server netip.AddrPort, now time.Duration) {
	s.conns++
	if f.opened {
		s.opened++
	}
	client := &f.sides[1-at]
	s.client.add(client)
	s.server.add(&f.sides[at])
	s.flowing.add(client, &f.sides[at])
	s.gaps.add(client, now)
	s.repeats += uint64(f.repeats)
	if client.payload > 0 {
		s.speaks[client.speech]++
		if f.opened {
			s.begun++
		}
	}
	s.remember(server)
}

func (h *half) add(d *side) {
	h.packets += uint64(d.packets)
	h.payload += uint64(d.payload)
	h.cut += uint64(d.cut)
	h.cutAt = max(h.cutAt, int(d.cutAt))
}

// remember adds a server's address to the set, if it has room.
func (s *service) remember(server netip.AddrPort) {
	at, found := slices.BinarySearchFunc(s.servers, server, netip.AddrPort.Compare)
	if !found && len(s.servers) < maxServers {
		s.servers = slices.Insert(s.servers, at, server)
	}
}

// merge adds another service's figures, of the same port in another VNI.
func (s *service) merge(o *service) {
	s.conns += o.conns
	s.opened += o.opened
	s.begun += o.begun
	s.client.merge(o.client)
	s.server.merge(o.server)
	s.flowing.merge(o.flowing)
	s.gaps.merge(o.gaps)
	s.repeats += o.repeats
	s.guessed += o.guessed
	s.other = cmp.Or(s.other, o.other)
	mergeTaken(&s.taken, o.taken)
	for i, n := range o.speaks {
		s.speaks[i] += n
	}
	for _, server := range o.servers {
		s.remember(server)
	}
}

func (h *half) merge(o half) {
	h.packets += o.packets
	h.payload += o.payload
	h.cut += o.cut
	h.cutAt = max(h.cutAt, o.cutAt)
}

func (s *service) packets() uint64 { return s.client.packets + s.server.packets }

// spoken is what most of the clients speak, of those that could be told.
func (s *service) spoken() (most speech) {
	for l := unknown + 1; l < speeches; l++ {
		if s.speaks[l] > s.speaks[most] || most == unknown && s.speaks[l] > 0 {
			most = l
		}
	}
	return most
}

// talked is in how many connections a client had payload.
func (s *service) talked() (n uint64) {
	for _, count := range s.speaks {
		n += count
	}
	return n
}

// byPackets orders services, the busiest first.
func byPackets(a, b *service) int { return cmp.Compare(b.packets(), a.packets()) }
