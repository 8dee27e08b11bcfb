package stack

import (
	"slices"

	"netmirror/outcome"
)

// charge brings the budgets up to date with what the flow holds.
func (s *Stack) charge(f *flow) {
	cost := f.q.mem + len(f.unread)*unreadOverhead
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

// FlowMemory is what a connection takes at the most beside the bytes held for it:
// gVisor's endpoint, the stream, the tables, the bridge's part. Idle ones take half.
const FlowMemory = 16 << 10

// budget is what may be held for all flows: what the flows themselves leave of
// Config.TotalBytes, but no less than a quarter.
func (s *Stack) budget() int {
	return max(s.cfg.TotalBytes-s.nflows*FlowMemory, s.cfg.TotalBytes/4)
}

// unreadLost counts bytes that no reader will fetch any more.
func (s *Stack) unreadLost(n int, why outcome.Drop) {
	s.bytesUnread.Add(uint64(n))
	s.counters.droppedBytes[why] += uint64(n)
}

// room makes sure that there is memory for a segment of f's, and reports
// whether f is still there. A flow that spends its own budget is reset. Where
// the budget of all is spent, those that hold most of it are.
func (s *Stack) room(f *flow, seg *segment) bool {
	need := entryOverhead + len(seg.payload)
	if f.cost+need > s.cfg.FlowBytes {
		s.drop(seg, outcome.DropFlowBudget)
		s.end(f, outcome.EndShed, outcome.DropFlowBudget)
		return false
	}
	if f.standing.rank == stray && !s.roomForStrays(f, need) {
		s.drop(seg, outcome.DropUnproven)
		return false
	}
	if s.holding()+need > s.budget() {
		s.evict(need)
	}
	if f.removed || f.ending && !seqLess(seg.seq, f.sent()) {
		s.drop(seg, outcome.DropTotalBudget)
		return false
	}
	return true
}

// holding is the memory held for all flows. gVisor keeps what was not read in
// chunks of powers of two.
func (s *Stack) holding() int { return s.held + s.unread()*3/2 + s.subflows.waitingSize }

// victim is something whose memory can be taken: a flow, or a stream whose flow
// has ended.
type victim struct {
	holds int
	flow  *flow
	conn  *Conn
}

// evict takes the memory of the streams that hold most, until there is room for
// need and for some time to come: finding them takes a look at all.
func (s *Stack) evict(need int) {
	var all []victim
	for _, f := range s.flows {
		for f := range f.chain() {
			s.trim(f)
			v := victim{f.cost, f, f.conn}
			if f.conn != nil {
				v.holds += f.conn.unread()
			}
			all = append(all, v)
		}
	}
	for c := range s.lingering {
		all = append(all, victim{c.unread(), nil, c})
	}
	slices.SortFunc(all, func(a, b victim) int { return b.holds - a.holds })
	enough := s.budget() / 16 * 15
	for _, v := range all {
		if v.holds == 0 || s.holding()+need <= enough {
			return
		}
		if v.flow != nil {
			s.end(v.flow, outcome.EndShed, outcome.DropTotalBudget)
		}
		if v.conn != nil {
			v.conn.forget(outcome.EndShed, outcome.DropTotalBudget)
		}
	}
}
