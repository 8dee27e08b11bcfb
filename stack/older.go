package stack

import (
	"time"

	"netmirror/outcome"
)

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
		if next, ok := s.stubs.get(&f.key, s.now); ok && next.kind != halfOpen && next.owns(seq) {
			return false
		}
	}
	known := f.stub(over)
	if s.serviceOf(f).Midstream == MidstreamAny {
		known.base = f.base // and not a window before it
	}
	return known.owns(seq) || !f.ended() && within(seq, known.end, s.near(f))
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
	if f.older == nil || within(seg.seq, f.floor()-1, s.near(f)) {
		return false
	}
	for old, n := f.older, 0; old != nil && n < maxOlder; old, n = old.older, n+1 {
		if old.state == open && within(seg.seq, old.floor(), s.near(old)) {
			s.judged(old, seg)
			return true
		}
	}
	return false
}

// replace puts a new flow in front of f, whose client has opened a new connection with the
// SYN next. f is given until what it has in order is delivered, and for a moment until its
// end has come, which may be late; one that cannot begin is dropped.
func (s *Stack) replace(f *flow, next *stub, seg *segment) *flow {
	s.hurry(f, next)
	if f.state == parked && !f.removed {
		s.discard(f, outcome.DropReplaced, over)
	}
	nf := s.newFlow(seg, opened)
	if nf == nil {
		return nil
	}
	s.stubs.remove(&seg.key) // of what has been dropped for it
	if old := nf.older; old != nil {
		s.endWhenDelivered(old, outcome.EndReplaced)
		if !old.removed && old.reason == outcome.EndReplaced && old.depth() < maxOlder {
			old.due = s.now.Add(s.cfg.Grace)
		}
	}
	return nf
}

// hurry lets a flow without a stream begin one if it may: its client has gone on, so that there
// is nothing to wait for. What came behind the SYN next may be late, of a connection before;
// what came behind a hole may be the middle of a request.
func (s *Stack) hurry(f *flow, next *stub) {
	switch {
	case f.state != parked || f.early:
	case f.hasBase && !f.due.IsZero():
		s.unanswered(f)
	case !f.hasBase && f.past == (span{}) && !f.cameBehind(next):
		s.seek(f, true)
	}
}

// depth is how many older flows there are, up to maxOlder.
func (f *flow) depth() (n int) {
	for f = f.older; f != nil && n < maxOlder; f = f.older {
		n++
	}
	return n
}

// cameBehind reports whether a flow came behind a SYN.
func (f *flow) cameBehind(syn *stub) bool { return f.behind.known && f.behind.at == syn.base }

// closedAt reports whether a flow that ends takes nothing more at seq.
func (f *flow) closedAt(seq uint32) bool {
	return f.ending && f.due.IsZero() && !seqLess(seq, f.sent())
}

// ageOlder ends the wait for the end of a connection that was replaced.
func (s *Stack) ageOlder(f *flow) {
	if f.ending && !f.due.IsZero() && !s.now.Before(f.due) {
		f.due = time.Time{}
		s.touch(f)
	}
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
