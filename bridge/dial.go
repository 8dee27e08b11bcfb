package bridge

import (
	"context"
	"fmt"
	"net"
	"time"
)

// Check dials the target once and hangs up: nil where it answers. It is not
// counted in Stats, but Health tells what it found. The error is ErrNoDescriptor
// or ErrNoPort where it is this host that failed.
func (b *Bridge) Check(ctx context.Context) error {
	c, err := b.dialOnce(ctx)
	if local := localFailure(err); local != nil {
		return fmt.Errorf("%w: %w", local, err)
	}
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
