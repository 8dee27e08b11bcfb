package pipeline

import (
	"sync/atomic"
	"time"

	"netmirror/decap"
	"netmirror/source"
	"netmirror/stack"
	"netmirror/status"
)

// counts are what the capture loops count themselves.
type counts struct {
	frames  atomic.Uint64
	copies  atomic.Uint64                   // of packets of several services, beyond the first
	reasons [decap.NumReasons]atomic.Uint64 // of frames that went no further
}

// stackStats is the sum over all stacks.
func (p *Pipeline) stackStats() (sum stack.Stats) {
	for _, st := range p.stacks {
		sum.Add(st.Stats())
	}
	return sum
}

// Ending is how many connections their clients have ended, and are not delivered yet.
func (p *Pipeline) Ending() (n int) {
	for _, st := range p.stacks {
		n += st.Ending()
	}
	return n
}

// sourceStats is the sum over all sources. Fragments of the mirror's packets that were joined
// here count as if the sources had joined them.
func (p *Pipeline) sourceStats() (sum source.Stats) {
	for _, src := range p.all() {
		sum.Add(src.Stats())
	}
	sum.FragmentStats.Add(p.outer.stats())
	return sum
}

// Snapshot is every figure of the moment. Any goroutine may ask for it, at any time.
func (p *Pipeline) Snapshot() status.Snapshot {
	outer := p.outer.stats()
	s := status.Snapshot{
		// As the sources count them that join fragments themselves: a datagram is one.
		Time: time.Now(), Frames: p.counts.frames.Load() - outer.FragmentsReceived + outer.Reassembled,
		Ring: p.sourceStats(), Inner: p.parts.stats(), Stack: p.stackStats(), Copies: p.counts.copies.Load(),
	}
	p.services(&s)
	for r := range s.Decap {
		s.Decap[r] = p.counts.reasons[r].Load()
	}
	return s
}

// services adds the figures of the services, and to those of all together also what
// those have that end, or have ended.
func (p *Pipeline) services(s *status.Snapshot) {
	stacks := make([][]stack.ServiceStats, len(p.stacks))
	p.mu.RLock()
	defer p.mu.RUnlock()
	s.Past = p.past
	for i, st := range p.stacks {
		stacks[i] = st.Services()
		past := st.PastServices()
		var gone status.Service
		addTo(&gone, &past)
		s.Past.Add(gone)
	}
	figures := func(of *served) status.Service {
		f := of.snapshot()
		for _, all := range stacks {
			if int(of.id) < len(all) {
				addTo(&f, &all[of.id])
			}
		}
		return f
	}
	for _, served := range p.ids {
		if served != nil && !served.cut.IsZero() {
			s.Past.Add(figures(served))
		}
	}
	s.Bridge.Add(s.Past.Bridge)
	for _, served := range p.table.Load().services {
		f := figures(served)
		s.Bridge.Add(f.Bridge)
		s.Services = append(s.Services, f)
	}
	s.MaxConns = p.cfg.MaxConns
}

// addTo adds what a stack has counted of a service.
func addTo(f *status.Service, of *stack.ServiceStats) {
	f.Bytes += of.Bytes
	f.Flows += of.Flows
	f.OverRate += of.OverRate
	f.MissingBytes += of.MissingBytes
	for why, n := range of.Lost {
		f.Lost[why] += n
	}
}

// Flows are the connections that are followed, of all workers.
func (p *Pipeline) Flows() (all []stack.FlowInfo) {
	for _, st := range p.stacks {
		all = append(all, st.Flows()...)
	}
	return all
}
