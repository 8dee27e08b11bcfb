package bridge

import (
	"time"

	"netmirror/sleeper"
)

// sleep waits until something has come.
func (l *loop) sleep() {
	l.calm = l.rhythm.Calm(l.now)
	// What targets do is fetched with the next bytes of clients, if these come soon.
	if l.poll.wake(l.woken() || l.urgent > 0) {
		return
	}
	if !l.poll.open && len(l.live) > 0 {
		l.poll.wakeAt(l.now+int64(sleeper.Latest), l.now)
	}
	if len(l.timers) > 0 {
		l.poll.wakeAt(l.timers[0].due, l.now)
	}
	l.in.await()
}

// woken reports whether the loop is woken for what targets do.
func (l *loop) woken() bool { return l.calm || l.now < l.flood }

// floodFor is how long after a large answer the loop is woken for others.
const floodFor = time.Second
