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
	return f.state == open && !f.multipath && (f.ended() || f.ending)
}

// ended reports whether gVisor has the FIN, or is sent it.
func (f *flow) ended() bool { return f.virtual.finished || f.finQueued() }

// owns reports whether a sequence number can be of a flow's connection.
func (s *Stack) owns(f *flow, seq uint32) bool {
	known := f.stub(over)
	return known.seen().has(seq) || seq == known.end || !f.ended() && within(seq, known.end, s.near(f))
}

// passesBy takes a client's segment that is not of the connection of a flow that drains. It
// reports whether it did.
func (s *Stack) passesBy(f *flow, seg *segment) bool {
	if !f.drains() || s.owns(f, seg.seq) {
		return false
	}
	if f.virtual.finished && f.virtual.conn != nil {
		s.end(f, outcome.EndReplaced, outcome.DropReplaced) // a complete one
	}
	s.unknown(seg)
	return true
}

// ofOlder gives a late segment to a connection before f's on the same ports, if it can
// belong to that one only. It reports whether it did.
func (s *Stack) ofOlder(f *flow, seg *segment) bool {
	if f.older == nil || within(seg.seq, f.floor()-1, s.near(f)) {
		return false
	}
	for old := f.older; old != nil; old = old.older {
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
		if !old.removed && old.reason == outcome.EndReplaced {
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
	case !f.hasBase && f.past == (span{}) && next.put.time().After(f.opened):
		s.seek(f, true)
	}
}

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

// forNextServer reports whether a server's segment is not of the connection of a flow that
// drains.
func (s *Stack) forNextServer(f *flow, seg *segment) bool {
	return seg.flags&flagACK != 0 && !seg.noACK && f.drains() && !s.owns(f, seg.ack-1)
}
