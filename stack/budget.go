package stack

import (
	"netmirror/budget"
	"netmirror/outcome"
)

// charge brings the budgets up to date with what the flow holds.
func (s *Stack) charge(f *flow) {
	cost := f.q.mem + len(f.virtual.unread)*unreadOverhead
	for i := range f.aside {
		cost += entryOverhead + len(f.aside[i].payload)
	}
	s.held += cost - f.cost
	if f.standing.host != nil {
		s.table.held[f.standing.rank] += cost - f.cost
	}
	f.cost = cost
}

// unreadOverhead is what a segment takes in gVisor beside its payload until it
// is read: the segment, its packet buffer, views and chunks. Measured: 1.1 KB.
const unreadOverhead = 1024

// unread is how many bytes the readers have not fetched yet, of all streams.
func (s *Stack) unread() int {
	return int(s.counters.bytesInOrder - s.bytesRead.Load() - s.bytesUnread.Load())
}

const (
	// FlowMemory is what a connection takes at the most beside the bytes held for it:
	// gVisor's endpoint, the stream, the tables, the bridge's part. Idle ones take half.
	FlowMemory = 16 << 10
	// lingerMemory is what of that is left when the flow has ended, until the reader gives
	// the stream up. gVisor has nothing of it any more.
	lingerMemory = 4 << 10
)

// fixed is the memory that cannot be taken from the flows.
func (s *Stack) fixed() int {
	return s.nflows*FlowMemory + len(s.lingering)*lingerMemory + len(s.spares)*spareMemory + s.stubs.bytes
}

// use is what the stacks that share the budget are told of this one.
func (s *Stack) use() budget.Use {
	return budget.Use{Held: s.holding(), Fixed: s.fixed(), Flows: s.nflows}
}

// limit is what may be held for all flows, of this stack and of those that share its
// budget: what the flows themselves leave of it, but no less than a quarter.
func (s *Stack) limit() int {
	total := s.all.Bytes()
	return max(total-s.fixed()-s.others.Fixed, total/4)
}

// budget is the part of limit that the other stacks did not use at the last batch.
func (s *Stack) budget() int { return s.limit() - s.others.Held }

// unreadLost counts bytes that no reader will fetch any more.
func (s *Stack) unreadLost(f *flow, n int, why outcome.Drop) {
	s.bytesUnread.Add(uint64(n))
	s.loses(f.key.service, why, why, uint64(n))
}

// room makes sure that there is memory for a segment of f's, and reports
// whether f is still there. A flow that spends its own budget is reset. Where
// the budget of all is spent, those that hold most of it are.
func (s *Stack) room(f *flow, seg *segment) bool {
	need := entryOverhead + len(seg.payload)
	if f.cost+need > s.cfg.FlowBytes {
		s.foresee(f)
		s.passBy(f, seg)
		s.drop(seg, outcome.DropFlowBudget)
		s.end(f, outcome.EndShed, outcome.DropFlowBudget)
		return false
	}
	if f.standing.rank == stray && !s.roomForStrays(f, need) {
		s.drop(seg, outcome.DropUnproven)
		return false
	}
	if s.holding()+need > s.budget()-s.slack() {
		s.relieve(need)
	}
	if f.removed || f.closedAt(seg.seq) {
		s.passBy(f, seg)
		s.drop(seg, outcome.DropTotalBudget)
		return false
	}
	return true
}

// holding is the memory held for all flows. gVisor keeps what was not read in
// chunks of powers of two.
func (s *Stack) holding() int { return s.held + s.unread()*3/2 + s.subflows.waitingSize }
