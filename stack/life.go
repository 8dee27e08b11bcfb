package stack

// newFlow makes a flow for a segment, or counts the segment as turned away.
func (s *Stack) newFlow(seg *segment) *flow {
	switch {
	case s.stopping:
		s.drop(seg, DropShutdown)
		return nil
	case s.nflows >= s.cfg.MaxFlows:
		s.drop(seg, DropFlowLimit)
		return nil
	}
	f := &flow{key: seg.key, active: -1, opened: s.now, seen: s.now, progress: s.now, backoff: minBackoff}
	s.flows[f.key] = f
	s.nflows++
	s.touch(f)
	return f
}

// start lets a flow begin at base as soon as its addresses are free.
func (s *Stack) start(f *flow, base uint32) {
	f.hasBase, f.base, f.state = true, base, waiting
	s.touch(f)
}

// replace puts a new flow in front of f, whose client has opened a new
// connection. f is given until what it has in order is delivered; a flow
// between the two that never began is dropped.
func (s *Stack) replace(f *flow, seg *segment) *flow {
	older := f
	if f.state == waiting && f.older == nil {
		s.connect(f)
	}
	if f.state == parked || f.state == waiting {
		older = f.older
		s.discard(f, DropReplaced, over)
	}
	nf := s.newFlow(seg)
	if nf == nil {
		if older != nil {
			s.flows[seg.key] = older
		}
		return nil
	}
	if older != nil && !older.removed {
		nf.older, older.newer = older, nf
		s.endWhenDelivered(older, EndReplaced)
	}
	return nf
}

// oldest is the flow of these addresses that owns their endpoint.
func (s *Stack) oldest(key *flowKey) *flow {
	f := s.flows[*key]
	for f != nil && f.older != nil {
		f = f.older
	}
	return f
}

// endWhenDelivered ends a flow with e once gVisor has taken what came without
// a gap; a FIN among it makes the end a complete one.
func (s *Stack) endWhenDelivered(f *flow, e End) {
	if f.state == parked {
		s.discard(f, e.drop(), over)
		return
	}
	if !f.ending {
		f.ending, f.reason = true, e
	}
	s.touch(f)
}

// end ends a flow now. Its reader gets what gVisor has in order, then e. Where
// gVisor has not handed the stream out yet, the end waits for that.
func (s *Stack) end(f *flow, e End, why Drop) {
	if f.removed {
		return
	}
	p, n := f.q.clear()
	s.lost(p, n, why)
	s.charge(f)
	if f.conn == nil && (f.state == opening || f.state == open) && s.now.Sub(f.opened) < openTimeout {
		f.ending, f.reason, f.finSeen, f.rstSeen = true, e, false, false
		s.touch(f)
		return
	}
	if f.conn != nil && f.conn.finish(e) {
		s.counters.completed++
	} else {
		s.counters.ended[e]++
	}
	s.remove(f, over)
}

// discard ends a flow that nobody has seen a stream of.
func (s *Stack) discard(f *flow, why Drop, as stubKind) {
	p, n := f.q.clear()
	s.lost(p, n, why)
	s.remove(f, as)
}

// lost counts packets and bytes that were held and will not be delivered.
func (s *Stack) lost(packets, bytes uint64, why Drop) {
	s.counters.dropped[why] += packets
	s.counters.droppedBytes[why] += bytes
}

// remove takes a flow off the table; the next one on its addresses may begin.
func (s *Stack) remove(f *flow, as stubKind) {
	if f.removed {
		return
	}
	f.removed = true
	s.charge(f)
	s.nflows--
	if f.older != nil {
		f.older.newer = f.newer
	}
	if f.newer != nil {
		f.newer.older = f.older
		s.touch(f.newer)
	} else if f.older != nil {
		s.flows[f.key] = f.older
	} else {
		delete(s.flows, f.key)
		if known, ok := s.stubs.get(&f.key, s.now); !ok || known.kind != halfOpen {
			s.stubs.put(&f.key, stub{kind: as, until: s.now.Add(overTimeout)})
		}
	}
	s.setEager(f, false)
	s.deactivate(f)
	if s.stopping && s.nflows == 0 {
		s.signal()
	}
}

// finished is called by a stream's reader at the client's FIN.
func (s *Stack) finished(f *flow) {
	s.readerLeft(f, DropDuplicate, &s.counters.completed)
}

// abandoned is called by a stream's reader that gives up.
func (s *Stack) abandoned(f *flow) {
	s.readerLeft(f, DropTargetEnded, &s.counters.ended[endTarget])
}

func (s *Stack) readerLeft(f *flow, why Drop, outcome *uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.removed {
		return
	}
	s.now = s.cfg.Now()
	s.collect()
	*outcome++
	s.discard(f, why, over)
	s.pumpDirty()
}

// activate and deactivate keep the list of flows that time matters to.
func (s *Stack) activate(f *flow) {
	if f.active < 0 {
		f.active = len(s.active)
		s.active = append(s.active, f)
		if len(s.active) == 1 {
			s.signal() // serve sleeps longer while there is none
		}
	}
}

func (s *Stack) deactivate(f *flow) {
	if f.active < 0 {
		return
	}
	last := s.active[len(s.active)-1]
	s.active[f.active] = last
	last.active = f.active
	s.active[len(s.active)-1] = nil
	s.active = s.active[:len(s.active)-1]
	f.active = -1
}

// setEager keeps count of the flows for which an answer of gVisor's is worth
// waking up for.
func (s *Stack) setEager(f *flow, eager bool) {
	if f.eager == eager {
		return
	}
	f.eager = eager
	if eager {
		s.eager.Add(1)
	} else {
		s.eager.Add(-1)
	}
}
