package stack

import (
	"bytes"
	"time"
)

// waiting is a segment of a subflow that cannot be placed yet: what says where its
// data belong may be late.
type waiting struct {
	segment
	at time.Time
}

// Bounds of what waits, for all subflows together: segments, and bytes.
const (
	maxWaiting     = 32
	maxWaitingSize = 1 << 20
)

// wait keeps a segment for Config.Grace, or drops it where it has waited or there is
// no room.
func (s *Stack) wait(seg *segment) {
	t := &s.subflows
	at := s.now
	if !t.since.IsZero() {
		at = t.since
	}
	if s.stopping || s.now.Sub(at) >= s.cfg.Grace || len(t.waiting) == maxWaiting || t.waitingSize+len(seg.payload) > maxWaitingSize {
		s.drop(seg, DropSubflow)
		return
	}
	w := waiting{segment: *seg, at: at}
	w.options, w.payload = bytes.Clone(seg.options), bytes.Clone(seg.payload)
	t.waiting = append(t.waiting, w)
	s.holdsWaiting(&w, 1)
	if len(t.waiting) == 1 {
		s.alert = true
		s.signal()
	}
}

// holdsWaiting counts a waiting segment among what is held, or takes it back.
func (s *Stack) holdsWaiting(w *waiting, sign int) {
	s.subflows.waitingSize += sign * len(w.payload)
	s.asidePackets += sign * w.packets()
	s.asideBytes += sign * len(w.payload)
}

// takeWaiting takes back all that waits.
func (s *Stack) takeWaiting() []waiting {
	all := s.subflows.waiting
	s.subflows.waiting = nil
	for i := range all {
		s.holdsWaiting(&all[i], -1)
	}
	return all
}

// tryAgain places what waits, after something was learned.
func (s *Stack) tryAgain() {
	t := &s.subflows
	if len(t.waiting) == 0 || !t.since.IsZero() {
		return
	}
	all := s.takeWaiting()
	for i := range all {
		t.since = all[i].at
		s.fromSubflow(&all[i].segment)
	}
	t.since = time.Time{}
}

// dropWaiting drops what has waited in vain.
func (s *Stack) dropWaiting() {
	if w := s.subflows.waiting; len(w) > 0 && (s.stopping || s.now.Sub(w[0].at) >= s.cfg.Grace) {
		all := s.takeWaiting()
		for i := range all {
			s.subflows.since = all[i].at
			s.wait(&all[i].segment)
		}
		s.subflows.since = time.Time{}
	}
}
