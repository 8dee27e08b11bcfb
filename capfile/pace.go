package capfile

import (
	"context"
	"time"
)

// Pacer waits until packets are due, by the times at which they were captured.
type Pacer struct {
	// Speed is the rate relative to the capture; 1 is the original rate. At 0 or less, Wait
	// returns at once.
	Speed float64
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// After is the timer; nil means time.After.
	After func(time.Duration) <-chan time.Time

	start, first time.Time
	begun        bool
}

// Wait waits until a packet captured at that time is due, counted from the first call, or
// until ctx ends, whose error it returns. A late packet is due at once, so lost time is made
// up for.
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
