// Package bridge plays client byte streams on TCP connections to a shadow target.
//
// Every accepted stream gets a new connection of its own, and on it exactly the
// bytes of the stream: its FIN becomes a half-close, any other end a RST once
// all bytes before it were acknowledged. What a target that closed first did not
// take goes back to the stream. What the target answers is thrown away
// uncopied. bridge never sends a byte that a stream did not hold, never writes to
// a stream, and never lets one target connection wait for another.
package bridge

import (
	"context"
	"errors"
	"fmt"
	"net"
)

// Bridge serves any number of listeners towards one target.
type Bridge struct {
	cfg    Config // defaults resolved
	n      counters
	outage outage
}

// New checks c and resolves its defaults. It opens nothing. The error says which
// field is wrong and what to write instead.
func New(c Config) (*Bridge, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	return &Bridge{cfg: c, outage: outage{log: c.Logger, target: c.Target}}, nil
}

// Serve plays every stream that ln accepts, until ln is closed or ctx ends. It
// may run for several listeners at a time.
//
// Serve owns ln and every conn it accepts: all are closed, and every goroutine it
// started has returned, before Serve does. Where Accept fails with net.ErrClosed,
// the streams accepted so far run to their end and Serve returns nil. Where ctx
// ends, every stream is reset at once (outcome shutdown) and Serve returns nil.
// Any other failure of Accept resets every stream too and is returned.
//
// Read on an accepted conn returns io.EOF where the client's FIN was. Any other
// error means that the stream cannot be continued; its method Outcome() string,
// if it has one, names the reason. An error that comes with bytes comes again at
// the next Read.
//
// A conn costs no goroutine if it has these methods:
//
//   - TryRead(p []byte) (int, error) is a Read that does not wait: 0 and nil say that
//     there is nothing yet.
//   - OnReadable(f func()) is called once, before any TryRead. The conn calls f when
//     TryRead may have something again, or an error, after it had nothing; from any
//     goroutine and with whatever locks it holds: f waits for nothing and calls
//     nothing of the conn.
//   - Unread(p []byte) gives back the end of what the last TryRead returned, all of
//     it maybe, which the target did not take: the next TryRead returns p first. The
//     conn copies p and waits for nothing. It is called at most once after a TryRead,
//     and not after CloseWith.
//   - CloseWith(outcome string) is called in place of Close with what became of
//     the stream. At target-closed, what was given back and what was never read
//     may be played on a new connection. Where the target's FIN was heard before
//     the bytes came, it took all before them and none of them; where it just
//     reset the connection, an unknown end of what it was sent is lost as well.
//   - RemoteAddr is for the log.
//
// They are called by one goroutine, which all streams of ln share. Split(), if it is
// there too, says that the target has sent its FIN. The conn may then end with
// an error whose Outcome is target-closed at a place from which on the bytes
// are better played on a new connection. It is called once.
//
// Any other conn is read by a goroutine, a piece ahead, and nothing is given back to
// it. CloseWith is called in place of Close if it is there.
//
// Close or CloseWith is called exactly once, possibly during a Read, which must then
// return.
func (b *Bridge) Serve(ctx context.Context, ln net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	l, err := newLoop(ctx, b)
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
		if err = b.accept(ctx, ln, l); err != nil {
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

// accept hands each conn of ln to the loop; it waits for nothing but ln.
func (b *Bridge) accept(ctx context.Context, ln net.Listener, l *loop) error {
	for {
		in, err := ln.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) || ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("bridge: accept: %w", err)
		}
		b.n.streams.Add(1)
		s := newStream(l, l.sourceOf(in))
		if b.n.open.Add(1) > int64(b.cfg.MaxConns) {
			b.n.turnedAway.Add(1)
			s.turnAway(shed)
			continue
		}
		l.in.post(func() { l.accept(s) })
	}
}
