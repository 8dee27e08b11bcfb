package capfile

import (
	"context"
	"time"
)

// Pacer waits until packets are due that were captured at other times.
type Pacer struct {
	// Speed is how many times as fast as it was captured the file is read: 1 is as it
	// was. 0 or less: nothing is waited for.
	Speed float64
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// After is the timer; nil means time.After.
	After func(time.Duration) <-chan time.Time

	start, first time.Time
	begun        bool
}

// Wait waits until what was captured at that time is due, counted from the first call,
// or until ctx ends, whose error it gives. What is late is due at once: the time that
// was lost is made up for.
func (p *Pacer) Wait(ctx context.Context, at time.Time) error {
	now, after := p.Now, p.After
	if now == nil {
		now = time.Now
	}
	if after == nil {
		after = time.After
	}
	if !p.begun {
		p.begun, p.start, p.first = true, now(), at
	}
	if p.Speed <= 0 {
		return ctx.Err()
	}
	due := time.Duration(float64(at.Sub(p.first)) / p.Speed)
	wait := due - now().Sub(p.start)
	if wait <= 0 {
		return ctx.Err()
	}
	select {
	case <-after(wait):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
