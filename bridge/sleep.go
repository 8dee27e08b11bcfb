package bridge

import "time"

// sleep waits until something has come.
func (l *loop) sleep() {
	calm := l.rhythm.calm(l.now)
	// What targets do is fetched with the next bytes of clients, if these come soon.
	if l.poll.wake(calm || l.urgent > 0 || l.now < l.flood) {
		return
	}
	if !l.poll.open && len(l.live) > 0 {
		l.poll.wakeAt(l.now+int64(latest), l.now)
	}
	if len(l.timers) > 0 {
		l.poll.wakeAt(l.timers[0].due, l.now)
	}
	l.in.await()
}

const (
	// latest is how long what targets do may go unnoticed while bytes of clients come.
	latest = 20 * time.Millisecond
	// often is how many times the loop has to be woken in that time not to be woken for
	// the targets as well.
	often = 5
	// floodFor is how long after a large answer the loop is woken for others.
	floodFor = time.Second
)

// rhythm tells whether a loop is woken often.
type rhythm struct {
	since int64 // the time at hand, in the loop's time
	wakes int   // in it
	busy  bool  // in the one before
}

// calm notes that the loop goes to sleep, and reports whether it is not woken often.
func (r *rhythm) calm(now int64) bool {
	r.wakes++
	if now-r.since >= int64(latest) {
		r.busy = r.wakes > often && now-r.since < 2*int64(latest)
		r.since, r.wakes = now, 0
	}
	return !r.busy
}
