// Package bridge plays client byte streams on connections to a shadow target.
//
// Every accepted stream gets a new connection of its own, and on it exactly the
// bytes of the stream: its FIN becomes a half-close, any other end a RST once
// all bytes before it were acknowledged. What a target that closed first did not
// take goes back to the stream. What the target answers is thrown away
// uncopied. bridge never sends a byte that a stream did not hold, but for TLS, a PROXY
// protocol header that it is told to send and what Config.Requests asks for, never
// writes to a stream, and never lets one target connection wait for another.
package bridge

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"netmirror/outcome"
	"netmirror/target"
)

// Bridge serves any number of listeners towards one target.
type Bridge struct {
	cfg    Config // defaults resolved
	to     *target.Target
	source sockaddr // to connect from, where to says so
	n      counters
	outage outage
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
	return b, nil
}

// Listener is where streams come from.
type Listener interface {
	// Accept waits for the next stream. The error is net.ErrClosed where none will
	// come any more.
	Accept() (outcome.Stream, error)
	// Close has Accept fail with net.ErrClosed.
	Close() error
}

// Serve plays every stream that ln accepts, until ln is closed or ctx ends. It
// may run for several listeners at a time.
//
// Serve owns ln and every stream it accepts: all are closed, and every goroutine it
// started has returned, before Serve does. Where Accept fails with net.ErrClosed,
// the streams accepted so far run to their end and Serve returns nil. Where ctx
// ends, every stream is reset at once (outcome shutdown) and Serve returns nil.
// Any other failure of Accept resets every stream too and is returned.
//
// One goroutine plays all streams of ln, whatever their targets. CloseWith of a stream is called exactly once.
// At outcome.EndTargetClosed, the target took what it acknowledged: where its FIN was
// heard before the bytes came, all before them and none of them; where it just reset
// the connection, an unknown end of what it was sent is lost with what it did not take.
func (b *Bridge) Serve(ctx context.Context, ln Listener) error {
	return Serve(ctx, ln, func(outcome.Stream) *Bridge { return b })
}

// Serve is [Bridge.Serve] for a listener whose streams go to several targets: each is
// played by the bridge that of gives, and none waits for another's.
func Serve(ctx context.Context, ln Listener, of func(outcome.Stream) *Bridge) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	l, err := newLoop(ctx)
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
	l.wg.Go(func() {
		if err = accept(ctx, ln, of, l); err != nil {
			cancel()
		}
		l.in.post(func() { l.closing = true })
	})
	l.run()
	l.poll.close()
	l.wg.Wait()
	if stop() {
		ln.Close()
	} else {
		<-aborted
	}
	return err
}

// accept hands each of ln's streams to the loop; it waits for nothing but ln.
func accept(ctx context.Context, ln Listener, of func(outcome.Stream) *Bridge, l *loop) error {
	for {
		in, err := ln.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) || ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("bridge: accept: %w", err)
		}
		b := of(in)
		b.n.streams.Add(1)
		s := newStream(l, b, in)
		if !b.enter() {
			b.n.turnedAway.Add(1)
			s.turnAway(outcome.EndShed)
			continue
		}
		l.in.post(func() { l.accept(s) })
	}
}
