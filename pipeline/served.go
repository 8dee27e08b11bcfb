package pipeline

import (
	"bytes"
	"net/netip"
	"sync/atomic"
	"time"

	"netmirror/bridge"
	"netmirror/service"
	"netmirror/stack"
	"netmirror/status"
	"netmirror/wire"
)

// served is a service that is being forwarded. It does not change: where the settings of
// a service do, another one takes its place, with the same ID and the same figures.
type served struct {
	Service
	id      service.ID // in the stacks
	bridge  *bridge.Bridge
	chosen  bool      // not all of its packets are taken
	cut     time.Time // of one that was taken away: when what is still open is cut off
	figures *figures
}

// figures are what is counted of a service.
type figures struct {
	leftOut [service.NumLeftOut]atomic.Uint64
	earlier []earlier    // bridges that no stream comes to any more; Pipeline.mu guards it
	past    bridge.Stats // of those among them that have ended; likewise
}

// earlier is a bridge in whose place is another one.
type earlier struct {
	bridge *bridge.Bridge
	since  time.Time
}

// newServed is a service with a bridge.
func newServed(s Service, id service.ID, room *bridge.Room) (*served, error) {
	s.Name = s.name()
	s.Target.Room = room
	b, err := bridge.New(s.Target)
	if err != nil {
		return nil, err
	}
	if s.Stack.Rate, err = service.NewRate(s.MaxRate); err != nil {
		return nil, err
	}
	return &served{Service: s, id: id, bridge: b, chosen: !s.Clients.All() || !s.Sample.All(), figures: new(figures)}, nil
}

// takes reports whether a service takes a packet, by the addresses and ports alone; why
// not is counted.
func (s *served) takes(seg *stack.Segment) bool {
	src, dst, srcPort, dstPort := ends(seg.IP, seg.TCP)
	if seg.FromServer {
		src, dst, srcPort, dstPort = dst, src, dstPort, srcPort
	}
	why, ok := s.draws(src, dst, srcPort, dstPort, seg.Either)
	if !ok {
		s.figures.leftOut[why].Add(1)
	}
	return ok
}

// draws reports whether a connection is one that the service takes, or says why not.
// Where either end may be the client, the answer is the same for both directions.
func (s *served) draws(client, server []byte, clientPort, serverPort uint16, either bool) (why service.LeftOut, ok bool) {
	known := false
	if either {
		known = s.Clients.TakesEither(client, server)
		if c := bytes.Compare(client, server); c > 0 || c == 0 && clientPort > serverPort {
			client, server, clientPort, serverPort = server, client, serverPort, clientPort
		}
	} else {
		known = s.Clients.Takes(client)
	}
	switch {
	case !known:
		return service.ExcludedClient, false
	case !s.Sample.Takes(client, server, clientPort, serverPort):
		return service.NotSampled, false
	}
	return 0, true
}

// keeps reports whether a connection that is followed is one that the service takes.
func (s *served) keeps(f *stack.FlowInfo) bool {
	if !s.VNIs.Has(f.VNI) || !s.Ports.Has(f.Server.Port()) {
		return false
	}
	_, ok := s.draws(address(f.Client), address(f.Server), f.Client.Port(), f.Server.Port(), s.Ports.Has(f.Client.Port()))
	return ok
}

// address is that of a packet's IP header.
func address(a netip.AddrPort) []byte { return a.Addr().AsSlice() }

// ends are the addresses and ports of a packet, which has a whole TCP header at tcp.
func ends(ip []byte, tcp int) (src, dst []byte, srcPort, dstPort uint16) {
	src, dst = wire.IPv4(ip).Src(), wire.IPv4(ip).Dst()
	if ip[0]>>4 == 6 {
		src, dst = wire.IPv6(ip).Src(), wire.IPv6(ip).Dst()
	}
	return src, dst, wire.SrcPort(ip[tcp:]), wire.DstPort(ip[tcp:])
}

// snapshot is the figures of the service. Pipeline.mu is held.
func (s *served) snapshot() status.Service {
	f := status.Service{ID: s.id, Name: s.Name, Selection: s.Selection, To: s.Target.Target, Bridge: s.bridge.Stats(), Target: s.bridge.Health()}
	for _, e := range s.figures.earlier {
		f.Bridge.Add(e.bridge.Stats())
	}
	f.Bridge.Add(s.figures.past)
	for why := range f.LeftOut {
		f.LeftOut[why] = s.figures.leftOut[why].Load()
	}
	return f
}
