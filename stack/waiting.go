package stack

import (
	"bytes"
	"slices"
	"time"

	"netmirror/outcome"
)

// waiting is a segment of a subflow whose connection is not known yet: where rings share
// the packets, the packet that tells may be in another one.
type waiting struct {
	segment
	token uint32
	at    time.Time
}

// Bounds of what waits, for all subflows together: segments, and bytes.
const (
	maxWaiting     = 2048
	maxWaitingSize = 4 << 20
)

// wait keeps a segment of f for a moment, or drops it where that is over or there is no
// room.
func (s *Stack) wait(f *subflow, seg *segment) {
	t := &s.subflows
	if s.stops(seg.key.service) || s.waitedEnough(f.began) || len(t.waiting) == maxWaiting || t.waitingSize+len(seg.payload) > maxWaitingSize {
		s.drop(seg, outcome.DropSubflow)
		return
	}
	w := waiting{segment: *seg, token: f.token, at: f.began}
	w.options, w.payload = bytes.Clone(seg.options), bytes.Clone(seg.payload)
	t.waiting = append(t.waiting, w)
	s.holdsWaiting(&w, 1)
	if len(t.waiting) == 1 {
		s.signal() // serve sleeps longer while nothing waits
	}
}

// waitedEnough reports whether a subflow has waited long enough for its connection.
func (s *Stack) waitedEnough(since time.Time) bool {
	age := s.now.Sub(since)
	if age < s.cfg.Grace || age >= s.cfg.GapTimeout || s.cfg.CaughtUp == nil {
		return age >= s.cfg.Grace
	}
	return s.asOf().After(since)
}

// holdsWaiting counts a waiting segment among what is held, or takes it back.
func (s *Stack) holdsWaiting(w *waiting, sign int) {
	s.subflows.waitingSize += sign * len(w.payload)
	s.asidePackets += sign
	s.asideBytes += sign * len(w.payload)
}

// release takes back what waits and which applies to, and hands it to take.
func (s *Stack) release(which func(*waiting) bool, take func(*segment)) {
	t := &s.subflows
	if len(t.waiting) == 0 {
		return
	}
	var ready []waiting
	t.waiting = slices.DeleteFunc(t.waiting, func(w waiting) bool {
		if !which(&w) {
			return false
		}
		ready = append(ready, w)
		return true
	})
	if len(t.waiting) == 0 {
		t.waiting = nil
	}
	for i := range ready {
		s.holdsWaiting(&ready[i], -1)
		take(&ready[i].segment)
	}
}

// tryAgain takes the segments that waited for the connection of a token.
func (s *Stack) tryAgain(name token) {
	s.release(func(w *waiting) bool { return token{w.key.service, w.token} == name }, s.fromSubflow)
}

// dropWaiting drops what has waited in vain.
func (s *Stack) dropWaiting() {
	s.release(func(w *waiting) bool { return s.stops(w.key.service) || s.waitedEnough(w.at) },
		func(seg *segment) { s.drop(seg, outcome.DropSubflow) })
}
