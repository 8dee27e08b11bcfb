package bridge

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// bufferSize is how much of a stream is read at a time.
const bufferSize = 64 << 10

var buffers = sync.Pool{New: func() any { return new([bufferSize]byte) }}

// stream is one accepted conn and its connection to the target. One goroutine
// forwards, another discards the answers; whichever meets the end first calls
// finish, which wakes the other.
type stream struct {
	b  *Bridge
	in net.Conn

	// Set before discard is started.
	out     *net.TCPConn
	raw     syscall.RawConn // of out
	drained chan struct{}   // closed by discard when it returns

	finSent  atomic.Bool  // the client's FIN is being passed on
	answered atomic.Int64 // bytes discarded
	got      int64        // bytes read from in; of the forwarding goroutine
	sent     int64        // bytes written to out; of the forwarding goroutine

	mu       sync.Mutex // guards the fields below
	ended    bool
	outcome  outcome // valid once ended
	attached bool    // out is set, and finish's to close
}

// run plays the stream to its end. When it returns, both conns are closed and no
// goroutine of the stream is left.
func (s *stream) run(ctx context.Context) {
	out, err := s.b.dial(ctx)
	if err != nil {
		if ctx.Err() != nil {
			s.finish(shutdown)
			return
		}
		s.finish(targetRefused)
		return
	}
	if !s.attach(out) {
		return
	}
	wakeAt(s.raw, answerBatch)
	s.drained = make(chan struct{})
	go s.discard()
	s.forward()
	<-s.drained
}

// attach makes out the stream's, or resets it where the stream has ended already.
func (s *stream) attach(out *net.TCPConn) bool {
	raw, err := out.SyscallConn()
	s.mu.Lock()
	if err == nil && !s.ended {
		s.out, s.raw, s.attached = out, raw, true
	}
	ok := s.attached
	s.mu.Unlock()
	if !ok {
		reset(out)
		s.finish(targetClosed)
	}
	return ok
}

// finish ends the stream with o, unless it has ended: the target's connection is
// closed in order if o is complete and reset otherwise, and the accepted conn
// is told. Every blocked read and write of both then returns.
func (s *stream) finish(o outcome) {
	s.mu.Lock()
	if s.ended {
		s.mu.Unlock()
		return
	}
	s.ended, s.outcome = true, o
	attached := s.attached
	s.mu.Unlock()
	switch {
	case !attached:
	case o == complete:
		s.out.Close()
	default:
		reset(s.out)
	}
	if c, ok := s.in.(interface{ CloseWith(outcome string) }); ok {
		c.CloseWith(o.String())
		return
	}
	s.in.Close()
}

// account counts a stream that has ended.
func (s *stream) account() {
	s.mu.Lock()
	o := s.outcome
	s.mu.Unlock()
	s.b.n.outcomes[o].Add(1)
	s.b.n.open.Add(-1)
	if log := s.b.cfg.Logger; log.Enabled(context.Background(), slog.LevelDebug) {
		log.Debug("stream ended", "src", s.in.RemoteAddr(), "dst", s.b.cfg.Target,
			"outcome", o.String(), "bytes_read", s.got, "bytes_written", s.sent)
	}
}

// reset closes c with a RST; what is still queued is thrown away.
func reset(c *net.TCPConn) {
	// Without the option a close is still a close; there is nothing better to do.
	_ = c.SetLinger(0)
	c.Close()
}

// forward copies the stream to the target until either ends, and then sees to
// the end.
func (s *stream) forward() {
	waiter, _ := s.in.(interface{ WaitReadable() error })
	for {
		if waiter != nil {
			// Its error, if any, is the next Read's, behind what is still to be read.
			_ = waiter.WaitReadable()
		}
		err := s.forwardSome(waiter == nil)
		switch {
		case err == nil:
		case errors.Is(err, io.EOF):
			s.passFIN()
			return
		case errors.Is(err, errEnded):
			return
		default:
			s.passReset(outcomeOf(err))
			return
		}
	}
}

// errEnded says that the stream was finished and nothing is left to be done.
var errEnded = errors.New("bridge: stream ended")

// forwardSome reads and writes with a buffer from the pool: once, or, if whole,
// until the stream ends. The error is Read's, or errEnded.
func (s *stream) forwardSome(whole bool) error {
	buf := buffers.Get().(*[bufferSize]byte)
	defer buffers.Put(buf)
	for {
		n, err := s.in.Read(buf[:])
		if n > 0 {
			s.got += int64(n)
			s.b.n.read.Add(uint64(n))
			if o, ok := s.write(buf[:n]); !ok {
				s.finish(o)
				return errEnded
			}
		}
		if err != nil || !whole {
			return err
		}
	}
}

// write passes p to the target, each byte once and in order. ok is false where
// the target did not take all of it; o is then why.
func (s *stream) write(p []byte) (o outcome, ok bool) {
	limit := s.b.cfg.WriteTimeout
	var t stall
	for {
		// Looking more often than limit tells a target that takes bytes, too few to
		// make the socket writable again, from one that takes none.
		err := s.out.SetWriteDeadline(time.Now().Add(max(limit/8, time.Millisecond)))
		n := 0
		if err == nil {
			n, err = s.out.Write(p)
		}
		s.sent += int64(n)
		s.b.n.written.Add(uint64(n))
		p = p[n:]
		if err == nil {
			return 0, true
		}
		o = targetClosed
		if errors.Is(err, os.ErrDeadlineExceeded) {
			queued, qerr := unacked(s.raw)
			if qerr == nil && !t.over(time.Now(), s.sent-int64(queued), limit) {
				continue
			}
			o = targetSlow
		}
		s.b.n.unsent.Add(uint64(len(p)))
		return o, false
	}
}

// passFIN half-closes the target's connection and waits for the target's own
// end, which discard hears and finishes the stream with, or for its silence: it
// neither sends nor acknowledges. One that is silent with bytes outstanding never
// took the whole stream.
func (s *stream) passFIN() {
	s.finSent.Store(true)
	if err := s.out.CloseWrite(); err != nil {
		s.finish(targetClosed)
		return
	}
	wakeAt(s.raw, 1) // from here on every answer tells
	limit := s.b.cfg.LingerTimeout
	look := time.NewTicker(max(limit/8, time.Millisecond))
	defer look.Stop()
	var t stall
	for now := time.Now(); ; {
		queued, err := unacked(s.raw)
		if err != nil { // finish closed it
			return
		}
		if t.over(now, s.answered.Load()+s.sent-int64(queued), limit) {
			if queued > 0 {
				s.finish(targetSlow)
			} else {
				s.finish(complete)
			}
			return
		}
		select {
		case <-s.drained:
			return
		case now = <-look.C:
		}
	}
}

// passReset ends the stream with o and a RST, once the target has acknowledged
// all bytes before it: a reset socket throws its send queue away.
func (s *stream) passReset(o outcome) {
	const slowest = 50 * time.Millisecond
	var t stall
	for pause := time.Millisecond; ; pause = min(2*pause, slowest) {
		queued, err := unacked(s.raw)
		if err != nil || queued == 0 {
			break
		}
		if t.over(time.Now(), s.sent-int64(queued), s.b.cfg.WriteTimeout) {
			o = targetSlow
			break
		}
		select {
		case <-s.drained:
			return
		case <-time.After(pause):
		}
	}
	s.finish(o)
}
