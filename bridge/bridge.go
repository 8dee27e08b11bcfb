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

	"netmirror/outcome"
)

// Bridge serves any number of listeners towards one target.
type Bridge struct {
	cfg    Config // defaults resolved
	n      counters
	outage outage
	closed context.Context // until Close
	close  context.CancelFunc
}

// New checks c and resolves its defaults. It opens nothing. The error says which
// field is wrong and what to write instead.
func New(c Config) (*Bridge, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	b := &Bridge{cfg: c, outage: outage{log: c.Logger, target: c.Target}}
	b.closed, b.close = context.WithCancel(context.Background())
	return b, nil
}

// Close resets every stream of the bridge's at once (outcome shutdown), and those that
// come to it later. Whoever serves other bridges as well goes on.
func (b *Bridge) Close() { b.close() }

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
// CloseWith of a stream is called exactly once, possibly during a Read or
// WaitReadable. At outcome.EndTargetClosed, the target took what it acknowledged:
// where its FIN was heard before the bytes came, all before them and none of them;
// where it just reset the connection, an unknown end of what it was sent is lost
// with what it did not take.
func (b *Bridge) Serve(ctx context.Context, ln Listener) error {
	return Serve(ctx, ln, func(outcome.Stream) *Bridge { return b })
}

// Serve is [Bridge.Serve] for a listener whose streams go to several targets: each is
// played by the bridge that of gives, and none waits for another's.
func Serve(ctx context.Context, ln Listener, of func(outcome.Stream) *Bridge) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	live := &streams{all: make(map[*stream]struct{}), bridges: make(map[*Bridge]func() bool)}
	defer live.unfollow()
	aborted := make(chan struct{}) // closed by the AfterFunc
	stop := context.AfterFunc(ctx, func() {
		defer close(aborted)
		ln.Close()
		live.abort()
	})
	err := accept(ctx, ln, of, live)
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

// accept starts a stream for each of ln's; it waits for nothing but ln.
func accept(ctx context.Context, ln Listener, of func(outcome.Stream) *Bridge, live *streams) error {
	for {
		in, err := ln.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) || ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("bridge: accept: %w", err)
		}
		b := of(in)
		live.follow(b)
		b.n.streams.Add(1)
		s := &stream{b: b, in: in}
		if !b.enter() {
			b.n.turnedAway.Add(1)
			s.finish(outcome.EndShed)
			s.account()
			continue
		}
		if !live.add(s) || b.closed.Err() != nil {
			live.remove(s)
			s.finish(outcome.EndShutdown)
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

	bridges map[*Bridge]func() bool // of accept: what ends the wait for each bridge's Close
}

// follow has the streams of a bridge end with it.
func (l *streams) follow(b *Bridge) {
	if l.bridges[b] != nil {
		return
	}
	for other := range l.bridges {
		if other.closed.Err() != nil {
			delete(l.bridges, other)
		}
	}
	l.bridges[b] = context.AfterFunc(b.closed, func() { l.end(b) })
}

// unfollow lets go of the bridges.
func (l *streams) unfollow() {
	for _, stop := range l.bridges {
		stop()
	}
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
	l.mu.Unlock()
	l.end(nil)
}

// end resets every stream of a bridge's; nil: every stream.
func (l *streams) end(b *Bridge) {
	l.mu.Lock()
	all := make([]*stream, 0, len(l.all))
	for s := range l.all {
		if b == nil || s.b == b {
			all = append(all, s)
		}
	}
	l.mu.Unlock()
	for _, s := range all {
		s.finish(outcome.EndShutdown)
	}
}
