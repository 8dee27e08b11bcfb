package bridge

import (
	"io"
	"time"

	"netmirror/outcome"
)

// copy passes on what the client has sent, a few buffers' length at the most: others wait for
// their turn.
func (s *stream) copy() {
	if s.intro != nil && !s.introduce() {
		return
	}
	for moved := 0; moved < bufferSize; {
		if s.onProbation() {
			s.sendProbe()
			return
		}
		p := s.l.buf[:]
		direct, n, err := s.read(p)
		if direct.taken > 0 {
			s.stall = stall{}
		}
		switch {
		case direct.stopped:
			s.stopped(direct)
			return
		case n > 0 && s.closedMeanwhile():
			s.in.Unread(p[:n])
			s.l.schedule(s)
			return
		case n > 0 && !s.forward(p[:n], err == io.EOF):
			return
		case direct.taken+n == 0:
			if err != nil {
				s.end(err)
			}
			return
		}
		// An error that came with bytes comes again, behind those that went back.
		s.stall = stall{}
		moved += direct.taken + n
	}
	s.l.schedule(s)
}

// forward writes what was read, less what is not for the target. It returns false if that ends
// the turn.
func (s *stream) forward(p []byte, last bool) bool {
	out := s.alter(p)
	var w progress
	if len(out) > 0 {
		w = s.write(out, last)
	}
	s.settle(p, w.taken)
	if w.stopped {
		s.stopped(w)
	}
	return !w.stopped
}

// progress is what came of one write, or of a row of them.
type progress struct {
	taken   int   // bytes that the target took
	stopped bool  // it did not take all, for one of these reasons, or because it has no room:
	failed  error // of the write
	late    bool  // it has closed meanwhile
}

// write writes the client's bytes, or what is made of them.
func (s *stream) write(p []byte, last bool) (w progress) {
	if s.wrote == 0 {
		s.first = s.l.now
	}
	s.expectAcks()
	w.taken, w.failed = s.out.write(p, last)
	s.wrote += int64(w.taken)
	w.stopped = w.failed != nil || w.taken < len(p)
	return w
}

// stopped ends a turn in which the target did not take all.
func (s *stream) stopped(w progress) {
	switch {
	case w.failed != nil:
		s.targetClosed()
	case w.late:
		s.heardFIN()
		s.l.schedule(s)
	default:
		s.block(w.taken)
	}
}

// read is TryRead, but if the target gets what the client has sent as it is, long pieces are
// written from where they are, and direct says what came of that. Behind them, n bytes are in p.
// TLS copies each piece in any case, and does best with few.
func (s *stream) read(p []byte) (direct progress, n int, err error) {
	if _, encrypts := s.out.(*tlsConn); encrypts || s.edit != nil {
		n, err = s.in.TryRead(p)
		return progress{}, n, err
	}
	s.direct = progress{}
	_, n, err = s.in.TryPass(p, s)
	s.count(s.direct.taken, s.direct.taken, 0)
	return s.direct, n, err
}

// longPiece is how long a piece is that is not copied first: a write for each costs more than
// to copy shorter ones together.
const longPiece = 16 << 10

// Take implements outcome.Taker, for read.
func (s *stream) Take(p []byte) int {
	switch row := &s.direct; {
	case len(p) < longPiece:
		return outcome.Copy
	case row.taken >= bufferSize:
		return 0 // others wait for their turn
	case s.unheardFIN():
		row.stopped, row.late = true, true
		return 0
	default:
		w := s.write(p, false) // with a FIN behind it in a packet of its own, if it is the last
		row.taken += w.taken
		row.stopped, row.failed = w.stopped, w.failed
		return w.taken
	}
}

// closedMeanwhile notices a FIN of the target that was not reported yet. It is called between
// a read and its write. So even if the loop was late, what the client sent after the target's
// close is not written to the closed target, where it would be lost.
func (s *stream) closedMeanwhile() bool {
	if !s.unheardFIN() {
		return false
	}
	s.heardFIN()
	return true
}

func (s *stream) unheardFIN() bool { return !s.targetFIN && s.out.saidFIN() }

// block waits for room, of which the last write left none.
func (s *stream) block(taken int) {
	if taken > 0 {
		s.stall = stall{}
	}
	// Where the socket reported room and took nothing, the kernel has no memory for it.
	s.retry = taken == 0 && s.stall.begun
	s.enter(blocked)
	s.lookForRoom()
}

// awaitRoom is called at the time that a blocked stream waits for.
func (s *stream) awaitRoom() {
	if s.retry {
		s.resume()
		return
	}
	s.lookForRoom()
}

// lookForRoom gives up a target that has accepted no data for too long. It is called several
// times in that span, to recognize a target that accepts bytes, but too few to make the
// socket writable again.
func (s *stream) lookForRoom() {
	limit := s.b.cfg.WriteTimeout
	queued, err := s.out.unacked()
	switch {
	case err != nil:
		s.targetClosed()
	case s.stall.over(s.l.now, -int64(queued), limit):
		s.finish(outcome.EndTargetSlow)
	case s.retry:
		s.l.after(s, time.Millisecond)
	default:
		s.l.after(s, max(limit/8, time.Millisecond))
	}
}

// resume begins or goes on to copy.
func (s *stream) resume() {
	s.enter(copying)
	s.l.schedule(s)
	s.nextLook()
}

// stall tells how long a peer has shown no sign of life.
type stall struct {
	begun bool  // there was a look
	bytes int64 // at the last sign
	since int64 // when that was seen, in the loop's time
}

// over takes a look: bytes is what the peer has done so far, in bytes, give or
// take a constant. It reports
// whether no look for as long as limit has found more than the one before.
func (t *stall) over(now, bytes int64, limit time.Duration) bool {
	if !t.begun || bytes > t.bytes {
		*t = stall{true, bytes, now}
		return false
	}
	return now-t.since >= int64(limit)
}
