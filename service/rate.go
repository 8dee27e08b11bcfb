package service

import (
	"fmt"
	"sync"
	"time"
)

// MaxRate is the highest rate that [NewRate] takes, a second.
const MaxRate = 1_000_000

// Rate bounds how many connections of a service begin in a second: a token bucket that
// holds those of one second. Any number of goroutines may share one. nil takes all.
type Rate struct {
	every time.Duration // that one connection is due

	mu   sync.Mutex // guards next
	next time.Time  // when one is due if they come no faster than that
}

// NewRate takes so many connections a second, up to MaxRate; 0 is nil, which takes all.
func NewRate(perSecond int) (*Rate, error) {
	switch {
	case perSecond < 0 || perSecond > MaxRate:
		return nil, fmt.Errorf("rate %d: need 0 to %d connections a second", perSecond, MaxRate)
	case perSecond == 0:
		return nil, nil
	}
	return &Rate{every: time.Second / time.Duration(perSecond)}, nil
}

// Takes reports whether a connection that begins now is within the rate, and counts it
// where it is. A time before that of an earlier call counts as that one.
func (r *Rate) Takes(now time.Time) bool {
	if r == nil {
		return true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	due := r.next
	if due.Before(now) {
		due = now
	}
	due = due.Add(r.every)
	if due.Sub(now) > time.Second {
		return false
	}
	r.next = due
	return true
}
