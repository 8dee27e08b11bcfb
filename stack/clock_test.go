package stack

import (
	"runtime"
	"sync/atomic"
	"testing"
	"time"
)

// clock is a time that passes only when a test says so.
type clock struct{ elapsed atomic.Int64 }

var clockStart = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func (c *clock) now() time.Time { return clockStart.Add(time.Duration(c.elapsed.Load())) }

// pass lets time go by for s, as if nothing else took any: before each step
// gVisor has done what there is to do.
func (c *clock) pass(t testing.TB, s *Stack, d time.Duration) {
	t.Helper()
	for step := time.Duration(0); d > 0; d -= step {
		step = min(d, 10*time.Millisecond)
		if d > time.Second {
			step = 100 * time.Millisecond
		}
		settled(t, s)
		c.elapsed.Add(int64(step))
		s.mu.Lock()
		s.now = s.cfg.Now()
		s.service()
		s.mu.Unlock()
	}
	settled(t, s)
}

// settled returns when gVisor owes no answer.
func settled(t testing.TB, s *Stack) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; runtime.Gosched() {
		s.mu.Lock()
		s.now = s.cfg.Now()
		s.collect()
		s.pumpDirty()
		done := s.owed() == 0
		s.mu.Unlock()
		if done {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("gVisor did not settle within 20 s: %+v", s.Stats())
		}
	}
}

// owed is how many flows wait for gVisor, and for nothing else.
func (s *Stack) owed() int {
	n := 0
	for f := range s.allFlows() {
		if f.owed() {
			n++
		}
	}
	return n
}
