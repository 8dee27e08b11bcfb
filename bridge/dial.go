package bridge

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"
)

// Check dials the target once and hangs up: nil where it answers. It is not
// counted in Stats, but Health tells what it found.
func (b *Bridge) Check(ctx context.Context) error {
	c, err := b.dialOnce(ctx)
	if err != nil {
		if ctx.Err() == nil {
			b.outage.health.note(time.Now(), err)
		}
		return fmt.Errorf("bridge: target %s does not answer: %w", b.cfg.Target, err)
	}
	b.outage.answered()
	return c.Close()
}

// dial connects to the target, retrying as configured. The error is that of the
// last attempt, or ctx's.
func (b *Bridge) dial(ctx context.Context) (*net.TCPConn, error) {
	delay := b.cfg.RetryDelay
	for attempt := 0; ; attempt++ {
		b.n.dials.Add(1)
		begin := time.Now()
		c, err := b.dialOnce(ctx)
		b.cfg.DialTime(time.Since(begin), err)
		if err == nil {
			b.outage.answered()
			return c, nil
		}
		b.n.dialErrors.Add(1)
		if ctx.Err() != nil {
			return nil, err
		}
		if attempt == b.cfg.Retries {
			b.outage.refused(time.Now(), err)
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(delay):
		}
		delay *= 2
	}
}

func (b *Bridge) dialOnce(ctx context.Context) (*net.TCPConn, error) {
	ctx, cancel := context.WithTimeout(ctx, b.cfg.DialTimeout)
	defer cancel()
	c, err := b.cfg.Dial(ctx, "tcp", b.cfg.Target)
	if err != nil {
		return nil, err
	}
	tc, ok := c.(*net.TCPConn)
	if !ok {
		c.Close()
		return nil, fmt.Errorf("dial gave a %T, want a *net.TCPConn", c)
	}
	if err := tc.SetNoDelay(true); err != nil {
		tc.Close()
		return nil, err
	}
	return tc, nil
}

// outagePeriod is the least time between two warnings about a target.
const outagePeriod = time.Minute

// outage turns refused streams into a bounded log: a warning at first, one a
// minute while it lasts, and a line when it is over.
type outage struct {
	log    *slog.Logger
	target string
	health health

	mu      sync.Mutex // guards the fields below
	down    bool       // a warning was logged and no answer since
	refusal uint64     // streams refused since the last warning
	next    time.Time  // no warning before
}

// refused notes that a stream found no target.
func (o *outage) refused(now time.Time, err error) {
	o.health.note(now, err)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.refusal++
	if now.Before(o.next) {
		return
	}
	msg := "target does not answer"
	if o.down {
		msg = "target still does not answer"
	}
	o.log.Warn(msg, "dst", o.target, "streams", o.refusal, "err", err)
	o.down, o.refusal, o.next = true, 0, now.Add(outagePeriod)
}

// answered notes that the target took a connection.
func (o *outage) answered() {
	o.health.note(time.Now(), nil)
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.down {
		return
	}
	o.down = false
	o.log.Info("target answers again", "dst", o.target, "streams_refused_since_warning", o.refusal)
}
