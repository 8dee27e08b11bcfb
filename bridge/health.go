package bridge

import (
	"sync"
	"time"
)

// Health is what is known of the target. Attempts that failed for want of a file
// descriptor or a local port are none: they say nothing about it.
type Health struct {
	Tried   bool      // there has been an attempt to connect whose end is known
	Answers bool      // the last one succeeded
	Since   time.Time // when that began to be so
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

// Health tells whether the target took the last connection. A stream that is
// given up counts, not each of its attempts.
func (b *Bridge) Health() Health {
	b.outage.health.mu.Lock()
	defer b.outage.health.mu.Unlock()
	return b.outage.health.h
}
