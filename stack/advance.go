package stack

import "time"

// A capture file has a time of its own, that passes as fast as it is read. What is
// decided by time (holes, grace, idleness) is then decided by the file's, as it would
// have been while it was captured. gVisor knows only real time: it is waited for
// before any time passes.

// instant is the time of a stack that Advance tells the time.
type instant struct {
	at    time.Time
	since time.Time // when it was at, by Config.Now, and began to pass by itself; zero: it stands
}

// stepped reports whether time passes by Advance alone.
func (s *Stack) stepped() bool {
	at := s.instant.Load()
	return at != nil && at.since.IsZero()
}

// time is the time by which flows are judged.
func (s *Stack) time() time.Time {
	at := s.instant.Load()
	switch {
	case at == nil:
		return s.wall()
	case at.since.IsZero():
		return at.at
	}
	return at.at.Add(s.wall().Sub(at.since))
}

// Advance lets time pass up to at, and looks after the flows at each step until then. The
// first call says when time begins. From then until Shutdown, only Advance lets time pass;
// Config.Now is not used. If at has passed already, nothing changes.
//
// The goroutine that injects calls it before it injects the batch that was captured at that
// time. It waits until gVisor has taken what was injected before, but it waits for no reader.
func (s *Stack) Advance(at time.Time) {
	if s.instant.Load() == nil {
		s.mu.Lock()
		s.epoch = at
		s.instant.Store(&instant{at: at})
		s.mu.Unlock()
		return
	}
	for s.stepped() && s.time().Before(at) {
		s.awaitGVisor()
		s.step(at)
	}
}

// step lets time pass up to when the flows are to be looked after, at the latest until
// to.
func (s *Stack) step(to time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.stepped() { // Shutdown came
		return
	}
	next := s.time().Add(s.nextLook())
	if next.After(to) || len(s.active) == 0 && !s.alert {
		next = to
	}
	if all := s.decided(); all > 0 && next.Before(to.Add(-all)) {
		next = to.Add(-all) // a file can leave out years
	}
	s.instant.Store(&instant{at: next})
	s.now = next
	s.service()
}

// decided is the time after which everything that was known before has been decided.
func (s *Stack) decided() time.Duration {
	return s.cfg.IdleTimeout + 2*serverPatience*s.cfg.GapTimeout + halfOpenTimeout
}

// letGo lets time pass by itself again, when no batch will come any more. s.mu is held.
func (s *Stack) letGo() {
	if s.stepped() {
		s.instant.Store(&instant{at: s.time(), since: s.wall()})
	}
}

const (
	// gvisorLimit bounds the wait for gVisor while it is done with no flow. It is short of
	// memory where a reader takes nothing for long.
	gvisorLimit = time.Second
	// gvisorAgain is when what gVisor has not answered to is injected again.
	gvisorAgain = 100 * time.Millisecond
)

// awaitGVisor waits until gVisor has taken what was injected.
func (s *Stack) awaitGVisor() {
	owed := s.askGVisor(false)
	if owed == 0 {
		return
	}
	limit, again := time.NewTimer(gvisorLimit), time.NewTicker(gvisorAgain)
	defer limit.Stop()
	defer again.Stop()
	for {
		resend := false
		select {
		case <-s.answered:
		case <-again.C:
			resend = true
		case <-limit.C:
			return
		case <-s.done:
			return
		}
		switch now := s.askGVisor(resend); {
		case now == 0:
			return
		case now < owed: // it goes on
			owed = now
			limit.Reset(gvisorLimit)
		}
	}
}

// askGVisor acts on gVisor's answers, and returns how many flows it still owes one. With resend,
// they ask again.
func (s *Stack) askGVisor(resend bool) (owing int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.collect()
	s.pumpDirty()
	for _, f := range s.active {
		if !f.owed() {
			continue
		}
		owing++
		if resend && f.state == open && f.q.len() > 0 {
			f.q.resend()
			s.touch(f)
		}
	}
	s.pumpDirty()
	return owing
}

// owed reports whether gVisor owes the flow an answer, whatever its reader does.
func (f *flow) owed() bool {
	switch {
	case f.state == opening, f.state == open && f.virtual.conn == nil:
		return true
	}
	return f.state == open && f.q.len() > 0 && f.q.first().sent && !seqLess(f.virtual.ack, f.q.first().seq)
}

// note tells awaitGVisor that gVisor has done something.
func (s *Stack) note() {
	if s.instant.Load() == nil {
		return
	}
	select {
	case s.answered <- struct{}{}:
	default:
	}
}
