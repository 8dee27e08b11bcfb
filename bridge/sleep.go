package bridge

import (
	"math"
	"slices"
	"time"
)

// latest is how long what targets do may go unnoticed behind clients' bytes. The next ones come
// soon, as a rule, and then it is fetched with them: that saves waking up for it. A target
// may also first know of a connection so late, as its client's first bytes are sent with that.
const latest = 25 * time.Millisecond

// floodFor is how long after a large answer the loop is woken for others.
const floodFor = time.Second

// sleep waits until something has come.
func (l *loop) sleep() {
	quiet := l.now-l.active >= int64(latest)
	if quiet {
		l.poll.discardUsed()
	}
	// Where places are few, those of streams that are over are given back at once.
	low := slices.ContainsFunc(l.rooms, func(r *Room) bool { return r.low.Load() })
	if l.poll.wake(quiet || low || l.urgent > 0 || l.now < l.flood) {
		return
	}
	if at := l.due(); at != math.MaxInt64 {
		l.poll.wakeAt(at, l.now)
	}
	l.in.await()
}

// due is when the loop has something to do even if nothing comes.
func (l *loop) due() int64 {
	at := int64(math.MaxInt64)
	if !l.poll.open && len(l.live) > 0 || len(l.poll.used) > 0 {
		at = l.active + int64(latest)
	}
	if len(l.unconfirmed) > 0 {
		at = min(at, l.unconfirmed[0].since+int64(latest))
	}
	if len(l.timers) > 0 {
		at = min(at, l.timers[0].due)
	}
	return at
}

// confirm makes connections known to their targets whose clients have sent nothing for long.
func (l *loop) confirm() {
	done := 0
	for _, s := range l.unconfirmed {
		if s.unknown() && l.now < s.since+int64(latest) {
			break
		}
		s.confirm()
		done++
	}
	l.unconfirmed = slices.Delete(l.unconfirmed, 0, done)
}
