package lab

import (
	"context"
	"time"
)

// Pace spreads events evenly over time. Event n is due n intervals after the start. A
// late event delays no other.
type Pace struct {
	start time.Time
	every time.Duration
}

// PerSecond starts a Pace of n events per second.
func PerSecond(n int) Pace { return Pace{time.Now(), time.Second / time.Duration(n)} }

// Await returns when event n is due.
func (p Pace) Await(ctx context.Context, n int) error {
	wait := time.Until(p.start.Add(time.Duration(n) * p.every))
	if wait <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
