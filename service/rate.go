package service

import (
	"fmt"
	"sync"
	"time"
)

// MaxRate is the highest rate that [NewRate] accepts, in connections per second.
const MaxRate = 1_000_000

// Rate limits how many connections of a service begin per second. It is a token bucket
// with room for one second's connections. Any number of goroutines may share a Rate. nil
// has no limit.
type Rate struct {
	every time.Duration // between two connections

	mu   sync.Mutex // guards next
	next time.Time  // when the connections taken so far are paid for
}

// NewRate returns a limit of perSecond connections, at most MaxRate. For 0 it returns nil.
func NewRate(perSecond int) (*Rate, error) {
	switch {
	case perSecond < 0 || perSecond > MaxRate:
		return nil, fmt.Errorf("rate %d: need 0 to %d connections a second", perSecond, MaxRate)
	case perSecond == 0:
		return nil, nil
	}
	return &Rate{every: time.Second / time.Duration(perSecond)}, nil
}

// Takes reports whether a connection that begins at now is within the rate, and if so
// counts it. A time earlier than that of another call is as good as that one.
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
