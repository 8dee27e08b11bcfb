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
	dial := b.cfg.Dial
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	c, err := b.dialWith(ctx, dial)
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

// dialWith is one attempt to connect by Config.Dial or what takes its place.
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
