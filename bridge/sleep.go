package bridge

import (
	"time"

	"netmirror/sleeper"
)

// sleep waits until something has come.
func (l *loop) sleep() {
	calm := l.rhythm.Calm(l.now)
	// What targets do is fetched with the next bytes of clients, if these come soon.
	if l.poll.wake(calm || l.urgent > 0 || l.now < l.flood) {
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

// floodFor is how long after a large answer the loop is woken for others.
const floodFor = time.Second
