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
	"sync"
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
// the next Read. Five more methods of the conn are used if it has them:
//
//   - WaitReadable() error blocks until Read will not, so that an idle stream
//     holds no buffer.
//   - Unread(p []byte) gives back the end of what the last Read returned, all of
//     it maybe, which the target did not take: WaitReadable then returns at once
//     and the next Read returns p first. The conn copies p and waits for nothing.
//     Unread is called at most once after a Read and never during one, nor after
//     CloseWith. It is used only where WaitReadable and CloseWith exist too.
//   - CloseWith(outcome string) is called in place of Close with what became of
//     the stream. At target-closed, what was given back and what was never read
//     may be played on a new connection. Where the target's FIN was heard before
//     the bytes came, it took all before them and none of them; where it just
//     reset the connection, an unknown end of what it was sent is lost as well.
//   - Split() says that the target has sent its FIN. The conn may then end with
//     an error whose Outcome is target-closed at a place from which on the bytes
//     are better played on a new connection. It is called once, at any time
//     before CloseWith returns.
//   - RemoteAddr is for the log.
//
// Close or CloseWith is called exactly once, possibly during a Read or
// WaitReadable, which must then return.
func (b *Bridge) Serve(ctx context.Context, ln net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	live := &streams{all: make(map[*stream]struct{})}
	aborted := make(chan struct{}) // closed by the AfterFunc
	stop := context.AfterFunc(ctx, func() {
		defer close(aborted)
		ln.Close()
		live.abort()
	})
	err := b.accept(ctx, ln, live)
	if err != nil {
		cancel()
	}
	live.wg.Wait()
	if stop() {
		ln.Close()
	} else {
		<-aborted
	}
	return err
}

// accept starts a stream for each conn of ln; it waits for nothing but ln.
func (b *Bridge) accept(ctx context.Context, ln net.Listener, live *streams) error {
	for {
		in, err := ln.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) || ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("bridge: accept: %w", err)
		}
		b.n.streams.Add(1)
		s := newStream(b, in)
		if b.n.open.Add(1) > int64(b.cfg.MaxConns) {
			b.n.turnedAway.Add(1)
			s.finish(shed)
			s.account()
			continue
		}
		if !live.add(s) {
			s.finish(shutdown)
			s.account()
			continue
		}
		live.wg.Go(func() {
			s.run(ctx)
			live.remove(s)
			s.account()
		})
	}
}

// streams is what one Serve has open.
type streams struct {
	wg sync.WaitGroup // one for each running stream

	mu      sync.Mutex // guards the fields below
	all     map[*stream]struct{}
	aborted bool // nothing may be added any more
}

// add reports false where abort came first.
func (l *streams) add(s *stream) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.aborted {
		return false
	}
	l.all[s] = struct{}{}
	return true
}

func (l *streams) remove(s *stream) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.all, s)
}

// abort resets every stream, now and for good.
func (l *streams) abort() {
	l.mu.Lock()
	l.aborted = true
	all := make([]*stream, 0, len(l.all))
	for s := range l.all {
		all = append(all, s)
	}
	l.mu.Unlock()
	for _, s := range all {
		s.finish(shutdown)
	}
}
