package stack

import (
	"time"

	"netmirror/outcome"
)

// superseded takes the first segment of a newer connection on the same ports. It reports
// false if seg is not such a segment.
func (s *Stack) superseded(f *flow, seg *segment) bool {
	next, ok := s.stubs.get(&seg.key, s.now)
	if !ok || next.kind != halfOpen {
		f.synSeen = false
		return false
	}
	if f.state == parked && !f.hasBase && seg.seq == next.base && proves(seg, next.base) && f.mayBeginAt(next.base) && f.beganAt(next.base) && !f.apartFrom(&next) {
		s.beginsLate(f, &next)
		s.toFlow(seg)
		return true
	}
	goesOn := f.goesOnAt(seg.seq) // the SYN was a stray
	fast := next.tookData(seg)
	if seg.seq != next.base && !fast && f.drains() && s.owns(f, seg.seq) {
		return false // it is late
	}
	if seg.flags&flagRST != 0 || !proves(seg, next.base) && !fast || (seg.seq != next.base && !fast || goesOn) && !f.delivered() {
		return false
	}
	if next.ev != nil && next.ev.judge(seg) != accepted {
		return false
	}
	s.stubs.remove(&seg.key)
	if nf := s.replace(f, &next, seg); nf != nil {
		nf.learn(&next)
		if !s.begin(nf, next.base) {
			s.unknown(seg)
			return true
		}
		if len(next.synData()) > 0 && seg.seq != next.base {
			s.storeSYNData(nf, &next, seg)
		}
		s.judged(nf, seg)
	}
	return true
}

// goesOnAt reports whether the client's next byte is at seq. Behind its end there is none.
func (f *flow) goesOnAt(seq uint32) bool {
	if f.finSeen && f.fin == seq || f.rstSeen && f.rst == seq {
		return false
	}
	if f.state == parked {
		last := f.q.last()
		return last != nil && seq == last.end()
	}
	return f.state == open && seq == f.tail() && seq != f.base
}

// delivered reports whether gVisor has all that the client sent.
func (f *flow) delivered() bool {
	return f.state == open && f.q.len() == 0 && !f.holed() && (f.finSeen || f.virtual.finished || f.rstSeen)
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
