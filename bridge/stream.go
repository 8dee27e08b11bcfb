package bridge

import (
	"context"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"syscall"

	"netmirror/outcome"
)

// stream is one accepted Stream and its connection to the target. One goroutine
// forwards, another discards the answers; whichever meets the end first calls
// finish, which wakes the other.
type stream struct {
	b  *Bridge
	in outcome.Stream

	// Set before discard is started.
	out     *net.TCPConn
	raw     syscall.RawConn // of out
	send    attempt         // on out
	drained chan struct{}   // closed by discard when it returns
	left    int             // bytes unacknowledged at the end; valid once drained is closed

	finSent   atomic.Bool  // the client's FIN is being passed on
	targetFIN atomic.Bool  // the target's FIN was read
	answered  atomic.Int64 // bytes discarded
	queued    atomic.Int64 // bytes, and a FIN, that were unacknowledged when the connection was reset

	// Of the forwarding goroutine.
	await  need  // what the last piece left to wait for
	vain   bool  // it found no room where some was reported
	bulk   bool  // the last piece filled its buffer
	proven bool  // the target acknowledged bytes written behind its FIN
	got    int64 // bytes read from in and not given back
	sent   int64 // bytes taken by out's kernel; on probation, acknowledged
	wrote  int64 // bytes taken by out's kernel, on probation as well

	mu       sync.Mutex // guards the fields below; held during in.Unread, never while waiting
	ended    bool
	how      outcome.End // valid once ended
	attached bool        // out is set, and finish's to close
	held     bool        // in is not to be told of a target's end yet
	told     bool        // in.CloseWith has been called, or is about to be
}

// run plays the stream to its end. When it returns, both sides are closed and no
// goroutine of the stream is left.
func (s *stream) run(ctx context.Context) {
	out, err := s.b.dial(ctx)
	if err != nil {
		if ctx.Err() != nil {
			s.finish(outcome.EndShutdown)
			return
		}
		s.finish(dialEnd(err))
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
	s.b.n.unacked.Add(uint64(s.unacked()))
}

// unacked is how many of the bytes that count as written the target has not
// acknowledged, once the stream has ended.
func (s *stream) unacked() int64 {
	queued := s.queued.Load()
	if queued > 0 && s.finSent.Load() {
		queued--
	}
	return max(s.sent-(s.wrote-queued), 0)
}

// attach makes out the stream's, or resets it where the stream has ended already.
func (s *stream) attach(out *net.TCPConn) bool {
	raw, err := out.SyscallConn()
	s.mu.Lock()
	if err == nil && !s.ended {
		s.out, s.raw, s.attached = out, raw, true
		s.send.init(raw)
	}
	ok := s.attached
	s.mu.Unlock()
	if !ok {
		reset(out)
		s.finish(outcome.EndTargetClosed)
	}
	return ok
}

// finish ends the stream with e, unless it has ended: the target's connection is
// closed in order if e is complete and reset otherwise, and the accepted Stream
// is told, by release where it is held. Every blocked read and write of both then
// returns.
func (s *stream) finish(e outcome.End) {
	s.mu.Lock()
	first := !s.ended
	if first {
		s.ended, s.how = true, e
	}
	// A shutdown continues no stream and must not depend on its keeping the promise
	// that its Read will not wait.
	tell := !s.told && (!s.held || e == outcome.EndShutdown)
	s.told = s.told || tell
	attached, e := s.attached, s.how
	s.mu.Unlock()
	switch {
	case !first || !attached:
	case e == outcome.EndComplete:
		s.out.Close()
	default:
		if queued, err := unacked(s.raw); err == nil {
			s.queued.Store(int64(queued))
		}
		reset(s.out)
	}
	if tell {
		s.in.CloseWith(e)
	}
}

// hold keeps the target's end from the accepted Stream until release, because
// bytes in hand may have to be given back before. It reports false where the
// stream has ended.
func (s *stream) hold() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held = !s.ended
	return !s.ended
}

// release undoes hold; no bytes are in hand any more.
func (s *stream) release() {
	s.mu.Lock()
	s.held = false
	tell := s.ended && !s.told
	s.told = s.told || tell
	e := s.how
	s.mu.Unlock()
	if tell {
		s.in.CloseWith(e)
	}
}

// settle accounts for p, a piece that was read: the target took the first taken
// bytes of it; the others go back to the accepted Stream, or are lost where that
// was closed meanwhile.
func (s *stream) settle(p []byte, taken int) {
	lost := 0
	if rest := p[taken:]; len(rest) > 0 && !s.giveBack(rest) {
		lost = len(rest)
	}
	s.count(taken, lost)
}

// giveBack reports false where the accepted Stream was closed before.
func (s *stream) giveBack(p []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.told {
		return false
	}
	s.in.Unread(p)
	return true
}

// count counts bytes read for good: those that the target took and those that
// are lost.
func (s *stream) count(taken, lost int) {
	s.got += int64(taken + lost)
	s.sent += int64(taken)
	s.b.n.read.Add(uint64(taken + lost))
	s.b.n.written.Add(uint64(taken))
	s.b.n.unsent.Add(uint64(lost))
}

// account counts a stream that has ended.
func (s *stream) account() {
	s.mu.Lock()
	e := s.how
	s.mu.Unlock()
	s.b.n.outcomes[e].Add(1)
	s.b.leave()
	if log := s.b.cfg.Logger; log.Enabled(context.Background(), slog.LevelDebug) {
		log.Debug("stream ended", "src", s.in.RemoteAddr(), "dst", s.b.cfg.Target,
			"outcome", e.String(), "bytes_read", s.got, "bytes_written", s.sent)
	}
}

// reset closes c with a RST; what is still queued is thrown away.
func reset(c *net.TCPConn) {
	// Without the option a close is still a close; there is nothing better to do.
	_ = c.SetLinger(0)
	c.Close()
}
