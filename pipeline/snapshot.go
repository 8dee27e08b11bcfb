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

// stackStats and sourceStats are the figures of all together; fragments of the mirror's
// packets that were joined here count among those that the sources joined.
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
	for _, served := range p.services {
		f := served.snapshot()
		s.Bridge.Add(f.Bridge)
		s.Services = append(s.Services, f)
	}
	s.Bridge.MaxConns = p.cfg.MaxConns
	for _, st := range p.stacks {
		for i, of := range st.Services() {
			s.Services[i].Bytes += of.Bytes
			s.Services[i].Flows += of.Flows
		}
	}
	for r := range s.Decap {
		s.Decap[r] = p.counts.reasons[r].Load()
	}
	s.RingWaiting, s.RingBlocks, s.LinkDown = s.Ring.Waiting, s.Ring.Room, s.Ring.LinkDown
	return s
}

// Flows are the connections that are followed, of all workers.
func (p *Pipeline) Flows() (all []stack.FlowInfo) {
	for _, st := range p.stacks {
		all = append(all, st.Flows()...)
	}
	return all
}
