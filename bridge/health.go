package bridge

import (
	"sync"
	"time"
)

// Health is what is known of the target. Attempts that failed because this host had no file
// descriptor or no local port left do not count: they say nothing about the target.
type Health struct {
	Tried   bool      // there has been an attempt to connect whose end is known
	Answers bool      // the last one succeeded
	Since   time.Time // since when Answers has its value
	Last    time.Time // when the last one ended
	Err     error     // of the last attempt, where it failed
}

// health keeps a Health. The zero value is ready.
type health struct {
	mu sync.Mutex // guards h
	h  Health
}

// note takes in the end of an attempt to connect.
func (k *health) note(now time.Time, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.h.Tried || k.h.Answers != (err == nil) {
		k.h.Since = now
	}
	k.h.Tried, k.h.Answers, k.h.Err, k.h.Last = true, err == nil, err, now
}

// Health tells whether the target accepted the last connection. A stream counts when it is
// given up; its single attempts do not count.
func (b *Bridge) Health() Health {
	b.outage.health.mu.Lock()
	defer b.outage.health.mu.Unlock()
	return b.outage.health.h
}
