// Package bridge plays client byte streams on connections to a shadow target.
//
// Every accepted stream gets a new connection of its own, and on it exactly the
// bytes of the stream: its FIN becomes a half-close, any other end a RST once
// all bytes before it were acknowledged. What a target that closed first did not
// take goes back to the stream. What the target answers is discarded without copying it.
// bridge never sends a byte that a stream did not hold, except for TLS, a PROXY protocol
// header that it is told to send, and what Config.Requests asks for. It never writes to a
// stream, and never lets one target connection wait for another.
package bridge

import (
	"context"
	"fmt"
	"net/netip"

	"netmirror/outcome"
	"netmirror/target"
)

// Bridge serves any number of listeners towards one target.
type Bridge struct {
	cfg    Config // defaults resolved
	to     *target.Target
	source sockaddr      // to connect from, where to says so
	kinds  [2]socketKind // of its sockets: for IPv4 and for IPv6
	n      counters
	outage outage
	closed context.Context // until Close
	close  context.CancelFunc
}

// New checks c, resolves its defaults and reads the files of TLS. The error says which
// field is wrong and what to write instead.
func New(c Config) (*Bridge, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	b := &Bridge{cfg: c, outage: outage{log: c.Logger, target: c.Target}}
	if b.to, err = target.New(c.Target, c.Options); err != nil {
		return nil, fmt.Errorf("bridge: %w", err)
	}
	if from := b.to.Source; from.IsValid() {
		b.source = sockaddrOf(netip.AddrPortFrom(from, 0), zoneOf(from))
	}
	b.kinds = kindsOf(b.to)
	b.closed, b.close = context.WithCancel(context.Background())
	return b, nil
}

// Like reports whether o treats streams in the same way: the target, how it is reached (with
// the content of the TLS files), the limits and the rules for requests are equal. The logger,
// and the tests' replacement for connecting, do not count.
func (b *Bridge) Like(o *Bridge) bool {
	x, y := &b.cfg, &o.cfg
	return x.Target == y.Target && b.to.Like(o.to) && x.DialTimeout == y.DialTimeout &&
		x.Retries == y.Retries && x.RetryDelay == y.RetryDelay && x.WriteTimeout == y.WriteTimeout &&
		x.LingerTimeout == y.LingerTimeout && x.Requests.Equal(y.Requests)
}

// Close resets every stream of the bridge at once (outcome shutdown), and later ones when they
// come. A Serve for several bridges continues with the others.
func (b *Bridge) Close() { b.close() }

// Listener is where streams come from.
type Listener interface {
	// TryAccept returns the next stream; nil and nil where there is none yet. The error
	// is net.ErrClosed where none will come any more.
	TryAccept() (outcome.Stream, error)
	// OnStream registers f, which is called when TryAccept, after it had nothing, may
	// have a stream. f may be called by any goroutine and with any locks held, so it must
	// not block, and must not call methods of the listener. It is not called for streams
	// that came before.
	OnStream(f func())
	// Close makes TryAccept fail with net.ErrClosed, after the streams that are there.
	Close() error
}

// Serve plays every stream that ln accepts, until ln is closed or ctx ends. It
// may run for several listeners at a time.
//
// Serve owns ln and every stream it accepts: all are closed, and every goroutine it
// started has returned, before Serve does. If TryAccept fails with net.ErrClosed,
// the streams accepted so far run to their end and Serve returns nil. If ctx
// ends, every stream is reset at once (outcome shutdown) and Serve returns nil.
// Any other failure of TryAccept resets every stream too and is returned.
//
// One goroutine plays all streams of ln, whatever their targets. CloseWith of a stream
// is called exactly once. At outcome.EndTargetClosed, the target took what it
// acknowledged. If its FIN was heard before the bytes came, it took everything before them
// and none of them. If it reset the connection, it may have discarded some of the bytes
// that it acknowledged; how many is not known.
func (b *Bridge) Serve(ctx context.Context, ln Listener) error {
	return Serve(ctx, ln, func(outcome.Stream) *Bridge { return b })
}

// Serve is [Bridge.Serve] for a listener whose streams go to several targets: of returns the
// bridge that plays a stream. No stream waits for another's target.
func Serve(ctx context.Context, ln Listener, of func(outcome.Stream) *Bridge) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	l, err := newLoop(ctx, cancel, ln, of)
	if err != nil {
		ln.Close()
		return err
	}
	aborted := make(chan struct{}) // closed by the AfterFunc
	stop := context.AfterFunc(ctx, func() {
		defer close(aborted)
		ln.Close()
		l.in.post(l.abort)
	})
	l.wg.Go(func() { l.poll.watch(l.in.event) })
	ln.OnStream(l.in.streams)
	l.run()
	l.poll.close()
	l.wg.Wait()
	if stop() {
		ln.Close()
	} else {
		<-aborted
	}
	return l.failure
}
