package stack

// charge brings the budgets up to date with what the flow holds.
func (s *Stack) charge(f *flow) {
	s.held += f.q.mem - f.cost
	f.cost = f.q.mem
}

// unread is how many bytes the readers have not fetched yet, of all streams.
func (s *Stack) unread() int {
	return int(s.counters.bytesInOrder - s.bytesRead.Load() - s.bytesUnread.Load())
}

// FlowMemory is what a connection takes beside the bytes held for it, measured
// with a reader that has a goroutine: gVisor's endpoint, the stream, the tables.
const FlowMemory = 16 << 10

// budget is what may be held for all flows: what the flows themselves leave of
// Config.TotalBytes, but no less than a quarter.
func (s *Stack) budget() int {
	return max(s.cfg.TotalBytes-s.nflows*FlowMemory, s.cfg.TotalBytes/4)
}

// unreadLost counts bytes that no reader will fetch any more.
func (s *Stack) unreadLost(n int, why Drop) {
	s.bytesUnread.Add(uint64(n))
	s.counters.droppedBytes[why] += uint64(n)
}

// room makes sure that there is memory for a segment of f's, and reports
// whether f is still there. A flow that spends its own budget is reset. Where
// the budget of all is spent, those that hold most of it are.
func (s *Stack) room(f *flow, seg *segment) bool {
	need := entryOverhead + len(seg.payload)
	if f.cost+need > s.cfg.FlowBytes {
		s.drop(seg, DropFlowBudget)
		s.end(f, EndShed, DropFlowBudget)
		return false
	}
	for s.held+s.unread()*3/2+need > s.budget() { // gVisor holds them in powers of two
		if !s.evict() {
			break // what is left is being read at this moment
		}
	}
	if f.removed || f.ending {
		s.drop(seg, DropTotalBudget)
		return false
	}
	return true
}

// evict takes the memory of the stream that holds most. It reports false where
// none holds any.
func (s *Stack) evict() bool {
	var fattest *flow
	most := 0
	for _, f := range s.flows {
		for f := range f.chain() {
			holds := f.cost
			if f.conn != nil {
				holds += f.conn.unread()
			}
			if holds > most {
				fattest, most = f, holds
			}
		}
	}
	var ended *Conn
	for c := range s.lingering {
		if n := c.unread(); n > most {
			ended, most = c, n
		}
	}
	switch {
	case most == 0:
		return false
	case ended != nil:
		ended.forget(EndShed, DropTotalBudget)
	default:
		conn := fattest.conn
		s.end(fattest, EndShed, DropTotalBudget)
		if conn != nil {
			conn.forget(EndShed, DropTotalBudget)
		}
	}
	return true
}
