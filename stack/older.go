package stack

import "netmirror/outcome"

// A client may open its next connection on the same ports while the stream of the one before
// waits for its target. The newest flow of the ports is in Stack.flows. The older ones are
// behind it, until what they have in order is delivered. How quick the target is must not
// decide what a packet means.

// drains reports whether f's connection has ended, but for the delivery of its stream: what
// comes may be of the next one on its ports.
func (f *flow) drains() bool {
	return f.state != parked && !f.multipath && (f.ended() || f.ending && f.state == open)
}

// ended reports whether the client's end has come, and all before it.
func (f *flow) ended() bool {
	switch {
	case f.virtual.finished || f.finQueued():
		return true
	case f.finSeen:
		return f.hasAll(f.fin)
	}
	return f.rstSeen && !f.rstEarly && f.hasAll(f.rst)
}

// hasAll reports whether everything before end has come, and nothing behind it.
func (f *flow) hasAll(end uint32) bool {
	if f.state == open {
		return f.gapless() && f.received() == end
	}
	first, last := f.q.first(), f.q.last()
	return first != nil && first.seq == f.base && last.end() == end && end-f.base == uint32(f.q.bytes)
}

// owns reports whether a sequence number can be of a flow's connection. Where a newer one on
// its ports was followed, that comes first.
func (s *Stack) owns(f *flow, seq uint32) bool {
	if f.overtaken {
		next, ok := s.stubs.get(&f.key, s.now)
		if ok && next.kind != halfOpen && (next.owns(seq) || next.prior.has(seq) && !f.has(seq)) {
			return false
		}
	}
	known := f.stub(over)
	known.end = f.reached()
	return known.owns(seq) || !f.ended() && within(seq, known.end, s.near(f))
}

// reached is where what has come of f's connection ends, also if it was passed over.
func (f *flow) reached() uint32 {
	switch {
	case f.passedOver != nil:
		return f.passedOver.sent()
	case f.dropped.known:
		return f.dropped.at
	}
	return f.came(over)
}

// owns reports whether a sequence number is of what was seen of the connection, or where that
// ends.
func (s *stub) owns(seq uint32) bool { return s.seen().has(seq) || seq == s.end }

// passesBy takes a client's segment that is not of the connection of a flow that drains. It
// reports whether it did.
func (s *Stack) passesBy(f *flow, seg *segment) bool {
	if !f.drains() || s.owns(f, seg.seq) {
		return false
	}
	if showsAgain(f.prior, s.captured.Sub(f.last), seg) {
		s.drop(seg, outcome.DropFlowOver)
		return true
	}
	if f.virtual.finished && f.virtual.conn != nil {
		s.end(f, outcome.EndReplaced, outcome.DropReplaced) // a complete one
	}
	s.unknown(seg)
	return true
}

// maxOlder bounds how far back a late segment is looked for a connection for: a client that
// opens many on the same ports makes each segment cost more.
const maxOlder = 8

// ofOlder gives a late segment to a connection before f's on the same ports, if it can
// belong to that one only. It reports whether it did.
func (s *Stack) ofOlder(f *flow, seg *segment) bool {
	if f.older == nil || within(seg.seq, f.floor()-1, s.near(f)) || f.has(seg.seq) {
		return false
	}
	if showsAgain(f.prior, s.captured.Sub(f.last), seg) && !f.older.has(seg.seq) {
		s.drop(seg, outcome.DropFlowOver) // of one between the two, that has gone
		return true
	}
	for old, n := f.older, 0; old != nil && n < maxOlder; old, n = old.older, n+1 {
		// A copy of what this one has would be within what the one before it has not.
		if old.has(seg.seq) || old.state == open && within(seg.seq, old.floor(), s.near(old)) {
			s.judged(old, seg)
			return true
		}
	}
	return false
}

// ofBefore drops what a mirror shows again of the connection before f's on the same ports, which
// has gone. It reports whether it did.
func (s *Stack) ofBefore(f *flow, seg *segment) bool {
	if !showsAgain(f.prior, s.captured.Sub(f.last), seg) {
		return false
	}
	inFront := f.state == parked && !f.hasBase && seqLess(seg.seq, f.base)
	if f.past != (span{}) || !inFront && !s.misplaced(f, seg) {
		return false
	}
	s.drop(seg, outcome.DropFlowOver)
	return true
}

// has reports whether a sequence number is of what was seen of a flow's connection.
func (f *flow) has(seq uint32) bool {
	known := f.stub(over)
	return known.seen().has(seq)
}

// forNextServer reports whether a server's segment is not of f's connection, but of the next on
// its ports: that one has ended but for the delivery, or the SYN of this one was seen.
func (s *Stack) forNextServer(f *flow, seg *segment) bool {
	drains := f.drains()
	if seg.flags&flagACK == 0 || seg.noACK || !drains && (!f.synSeen || f.state == parked) || s.owns(f, seg.ack-1) {
		return false
	}
	if drains {
		return true
	}
	next, ok := s.stubs.get(&seg.key, s.now)
	return ok && next.kind == halfOpen && near(seg.ack, next.base)
}
