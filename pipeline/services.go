package pipeline

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"
	"sync/atomic"

	"netmirror/bridge"
	"netmirror/decap"
	"netmirror/outcome"
	"netmirror/service"
	"netmirror/stack"
	"netmirror/status"
)

// served is a service that is being forwarded.
type served struct {
	Service
	bridge *bridge.Bridge
	chosen bool // not all of its packets are taken

	leftOut [service.NumLeftOut]atomic.Uint64
}

// serve makes the bridges, which share the connections.
func serve(c *Config) ([]*served, error) {
	room := bridge.NewRoom(c.MaxConns, max(len(c.Services), 1))
	all := make([]*served, len(c.Services))
	for i, s := range c.Services {
		s.Name = cmp.Or(s.Name, s.Selection.String())
		s.Target.Room = room
		b, err := bridge.New(s.Target)
		if err != nil {
			return nil, err
		}
		all[i] = &served{Service: s, bridge: b, chosen: !s.Clients.All() || !s.Sample.All()}
	}
	return all, nil
}

// bridgeOf is the bridge that plays a stream of the stacks'.
func (p *Pipeline) bridgeOf(in outcome.Stream) *bridge.Bridge {
	return p.services[in.(*stack.Conn).Service()].bridge
}

// toServices appends a packet to the batch of a worker, once for each of its services
// that takes it.
func (p *Pipeline) toServices(batch []stack.Segment, packet *decap.Packet) []stack.Segment {
	seg := stack.Segment{VNI: packet.VNI, IP: packet.IP, TCP: packet.TCP, Truncated: packet.Truncated}
	n := 0
	add := func(id service.ID) {
		seg.Service = id
		n++
		if s := p.services[id]; !s.chosen || s.takes(&seg) {
			batch = append(batch, seg)
		}
	}
	for _, id := range packet.To {
		seg.Either = len(packet.From) > 0 && slices.Contains(packet.From, id)
		add(id)
	}
	seg.FromServer, seg.Either = true, false
	for _, id := range packet.From {
		if len(packet.To) == 0 || !slices.Contains(packet.To, id) {
			add(id)
		}
	}
	if n > 1 {
		p.counts.copies.Add(uint64(n - 1))
	}
	return batch
}

// takes reports whether a service takes a packet, by the addresses and ports alone; why
// not is counted.
func (s *served) takes(seg *stack.Segment) bool {
	src, dst, srcPort, dstPort := ends(seg.IP, seg.TCP)
	known := false
	switch c := bytes.Compare(src, dst); {
	case seg.Either:
		// The same of both directions.
		known = s.Clients.TakesEither(src, dst)
		if c > 0 || c == 0 && srcPort > dstPort {
			src, dst, srcPort, dstPort = dst, src, dstPort, srcPort
		}
	case seg.FromServer:
		src, dst, srcPort, dstPort = dst, src, dstPort, srcPort
		known = s.Clients.Takes(src)
	default:
		known = s.Clients.Takes(src)
	}
	switch {
	case !known:
		s.leftOut[service.ExcludedClient].Add(1)
	case !s.Sample.Takes(src, dst, srcPort, dstPort):
		s.leftOut[service.NotSampled].Add(1)
	default:
		return true
	}
	return false
}

// ends are the addresses and ports of a packet, which has a whole TCP header at tcp.
func ends(ip []byte, tcp int) (src, dst []byte, srcPort, dstPort uint16) {
	src, dst = ip[12:16], ip[16:20]
	if ip[0]>>4 == 6 {
		src, dst = ip[8:24], ip[24:40]
	}
	return src, dst, binary.BigEndian.Uint16(ip[tcp:]), binary.BigEndian.Uint16(ip[tcp+2:])
}

// snapshot is the figures of the service.
func (s *served) snapshot() status.Service {
	f := status.Service{Name: s.Name, Selection: s.Selection, To: s.Target.Target, Bridge: s.bridge.Stats(), Target: s.bridge.Health()}
	for why := range f.LeftOut {
		f.LeftOut[why] = s.leftOut[why].Load()
	}
	return f
}
