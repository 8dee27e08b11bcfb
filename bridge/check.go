package bridge

import (
	"context"
	"fmt"
	"net"
	"time"
)

// Check connects to the target once and closes the connection. It returns nil if the target
// answers. Stats do not count it, but Health shows its result. The error is ErrNoDescriptor or
// ErrNoPort if the cause is on this host.
func (b *Bridge) Check(ctx context.Context) error {
	err := b.try(ctx)
	if local := localFailure(err); local != nil {
		return fmt.Errorf("%w: %w", local, err)
	}
	if err != nil {
		if ctx.Err() == nil {
			b.outage.health.note(time.Now(), err)
		}
		return fmt.Errorf("bridge: target %s does not answer: %w", b.cfg.Target, err)
	}
	b.outage.answered(time.Now())
	return nil
}

// Begin is Check before any stream has come. It logs a failure as that of a stream is logged,
// so the first streams do not log it again.
func (b *Bridge) Begin(ctx context.Context) {
	switch err := b.try(ctx); {
	case err == nil:
		b.outage.answered(time.Now())
	case ctx.Err() == nil:
		b.outage.failed(time.Now(), err, 0)
	}
}

func (b *Bridge) try(ctx context.Context) error {
	if b.cfg.Dial != nil {
		c, err := b.dialWith(ctx, b.cfg.Dial)
		if err == nil {
			err = c.Close()
		}
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, b.cfg.DialTimeout)
	defer cancel()
	_, err := b.to.Try(ctx)
	return err
}

// dialWith is one attempt to connect by Config.Dial.
func (b *Bridge) dialWith(ctx context.Context, dial func(ctx context.Context, network, addr string) (net.Conn, error)) (*net.TCPConn, error) {
	ctx, cancel := context.WithTimeout(ctx, b.cfg.DialTimeout)
	defer cancel()
	c, err := dial(ctx, "tcp", b.cfg.Target)
	if err != nil {
		return nil, err
	}
	tc, ok := c.(*net.TCPConn)
	if !ok {
		c.Close()
		return nil, fmt.Errorf("dial gave a %T, want a *net.TCPConn", c)
	}
	return tc, nil
}
