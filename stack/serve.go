package stack

import (
	"slices"
	"time"

	"netmirror/outcome"
)

const (
	// tick is how often busy flows are looked after without a packet. It
	// bounds how exact the time limits are.
	tick = 10 * time.Millisecond
	// calmTick is how often that is while all busy flows are calm. It bounds how long an
	// acknowledged packet is kept, and how long a batch waits for the next one. It is longer
	// because each timer wakes one of the runtime's threads as well.
	calmTick = 100 * time.Millisecond
	// idleTick is how long the goroutine sleeps while nothing happens.
	idleTick = time.Second
	// maxIdleScan is how often idle flows are looked for at least: all flows are
	// gone through for it.
	maxIdleScan = 10 * time.Second
	// minBackoff and maxBackoff are the first and the last pause before what
	// gVisor did not take is injected again. There is no network in between:
	// it is asked again soon.
	minBackoff = 20 * time.Millisecond
	maxBackoff = time.Second
)

// serve acts on gVisor's answers and on time, until Close.
func (s *Stack) serve() {
	defer s.serving.Done()
	timer := time.NewTimer(idleTick)
	defer timer.Stop()
	for {
		select {
		case <-s.done:
			return
		case <-s.wake:
		case <-timer.C:
		}
		next := tick
		if s.mu.tryLook() {
			next = s.lookAfterFlows()
			s.mu.Unlock()
		}
		timer.Reset(next)
	}
}

// lookAfterFlows looks after the flows, and returns how long serve may sleep. s.mu is held.
func (s *Stack) lookAfterFlows() time.Duration {
	s.now = s.cfg.Now()
	if s.stepped() { // no time has passed
		s.collect()
		s.pumpDirty()
	} else {
		s.service()
	}
	if s.stopping && s.nflows == 0 {
		s.accepted.close()
	}
	next := s.nextLook()
	s.dozes, s.watched = next > calmTick, false
	return next
}

// watch makes serve look within calmTick. While there is always something to look after, serve
// is not woken each time.
func (s *Stack) watch() {
	s.watched = true
	if s.dozes {
		s.dozes = false
		s.signal()
	}
}

// nextLook is how long serve may sleep.
func (s *Stack) nextLook() time.Duration {
	s.alert = len(s.subflows.waiting) > 0 || slices.ContainsFunc(s.active, func(f *flow) bool { return !f.calm() })
	switch {
	case s.alert:
		return tick
	case len(s.active) > 0 || s.watched:
		return calmTick
	}
	return idleTick
}

// service looks after every busy flow.
func (s *Stack) service() {
	s.caughtUp = time.Time{}
	s.collect()
	s.shareMemory()
	s.pumpDirty() // nothing is given up that the batch before has brought
	for i := len(s.active) - 1; i >= 0; i-- {
		if i < len(s.active) { // ending one flow can take others off the list
			s.age(s.active[i])
		}
	}
	s.dropWaiting()
	s.pumpDirty()
	if s.now.Sub(s.idleScan) >= min(max(s.cfg.IdleTimeout/64, idleTick), maxIdleScan) {
		s.idleScan = s.now
		s.endIdle()
	}
}

// age gives up what has lasted too long.
func (s *Stack) age(f *flow) {
	age := s.now.Sub(f.opened)
	switch {
	case f.state == parked && !f.hasBase:
		if !s.now.Before(f.due) {
			s.seek(f, false)
		}
	case f.state == parked && !f.due.IsZero() && !s.now.Before(f.due):
		s.unanswered(f)
	case f.state == parked && age >= halfOpenTimeout:
		s.discard(f, outcome.DropMidStream, s.remains(f))
	case f.state == opening:
		s.ageHandshake(f)
	case f.state == open:
		s.ageOpen(f)
	}
}

func (s *Stack) ageOpen(f *flow) {
	if f.virtual.conn == nil {
		s.ageHandshake(f)
	}
	if s.ageAside(f); f.removed {
		return
	}
	s.ageOlder(f)
	if f.rstEarly && s.now.Sub(f.rstAt) >= s.cfg.Grace && s.clock()-f.ev.client.heard >= s.cfg.Grace {
		f.rstEarly = false
		s.touch(f)
	}
	if !f.serverRST.IsZero() && s.now.Sub(f.serverRST) >= s.cfg.GapTimeout {
		f.serverRST = time.Time{}
		s.endWhenDelivered(f, outcome.EndServerReset)
	}
	if !f.hole.IsZero() {
		s.noteHole(f)
		// What would fill it may be in the ring, where this process was kept
		// from running: capture comes first.
		switch {
		case !s.hopeless(f):
		case f.doomed.IsZero():
			f.doomed = s.now
		case s.now.Sub(f.doomed) >= tick && !s.mayCome(f):
			s.giveUp(f)
		}
		return
	}
	if f.q.len() == 0 || s.now.Sub(f.virtual.progress) < f.virtual.backoff {
		return
	}
	f.virtual.progress = s.now
	f.virtual.backoff = min(f.virtual.backoff*2, maxBackoff)
	if f.q.first().sent {
		// gVisor was short of memory when it came.
		f.q.resend()
		s.touch(f)
		return
	}
	// The window is closed. Its opening is announced, but an announcement
	// that was meant for somebody who asks again is not to be relied upon:
	// ask, with a segment that must be answered (RFC 9293, section 3.8.4).
	s.deliver(f, f.virtual.ack-1, flagACK, nil, nil)
}

// endIdle ends the flows that have been silent for too long. One that was opened at this very
// moment first gets what it was opened for.
func (s *Stack) endIdle() {
	for _, f := range s.flows {
		s.trim(f)
		if s.now.Sub(f.seen) >= s.cfg.IdleTimeout && f.state == open && s.now.After(f.opened) {
			s.end(f, outcome.EndIdle, outcome.DropIdle)
		}
	}
}
