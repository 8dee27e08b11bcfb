package pipeline

import (
	"slices"

	"netmirror/bridge"
	"netmirror/decap"
	"netmirror/outcome"
	"netmirror/service"
	"netmirror/stack"
)

// table is the services and what finds those of a packet. It does not change.
type table struct {
	decoder  *decap.Decoder
	services []*served // by the IDs that the decoder gives
}

// newTable is for the packets of all services.
func (c *Config) newTable(services []*served) (*table, error) {
	selector, err := service.NewSelector(selections(services))
	if err != nil {
		return nil, err
	}
	decoder, err := decap.New(decap.Config{Mirror: c.Mirror, Services: selector})
	return &table{decoder: decoder, services: services}, err
}

func selections(services []*served) []service.Selection {
	all := make([]service.Selection, len(services))
	for i, s := range services {
		all[i] = s.Selection
	}
	return all
}

// serve makes the services, whose bridges share the connections.
func (p *Pipeline) serve() (all []*served, err error) {
	p.room = bridge.NewRoom(p.cfg.MaxConns, max(len(p.cfg.Services), 1))
	for i, s := range p.cfg.Services {
		one, err := newServed(s, service.ID(i), p.room)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	p.ids = slices.Clone(all)
	return all, nil
}

// bridgeOf is the bridge that plays a stream.
func (p *Pipeline) bridgeOf(in outcome.Stream) *bridge.Bridge {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.ids[in.(*stack.Conn).Service()].bridge
}

// toServices appends a packet to the batch of a worker, once for each of its services
// that takes it.
func (p *Pipeline) toServices(services []*served, batch []stack.Segment, packet *decap.Packet) []stack.Segment {
	seg := stack.Segment{VNI: packet.VNI, IP: packet.IP, TCP: packet.TCP, Truncated: packet.Truncated}
	n := 0
	add := func(id service.ID) {
		s := services[id]
		seg.Service = s.id
		n++
		if !s.chosen || s.takes(&seg) {
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
