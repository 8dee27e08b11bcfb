package bridge

import (
	"io"
	"time"

	"netmirror/outcome"
)

// copy passes on what the client has sent, a buffer's length at the most: others
// wait for their turn.
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
		n, err := s.in.TryRead(p)
		if n == 0 {
			if err != nil {
				s.end(err)
			}
			return
		}
		if s.closedMeanwhile() {
			s.in.Unread(p[:n])
			break
		}
		// An error that came with bytes comes again, behind those that go back.
		out, last := s.alter(p[:n]), err == io.EOF
		taken := 0
		if err = nil; len(out) > 0 {
			if s.wrote == 0 {
				s.first = s.l.now
			}
			s.expectAcks()
			taken, err = s.out.write(out, last)
			s.wrote += int64(taken)
		}
		s.settle(p[:n], taken)
		switch {
		case err != nil:
			s.targetClosed()
			return
		case taken < len(out):
			s.block(taken)
			return
		}
		s.stall = stall{}
		moved += n
	}
	s.l.schedule(s)
}

// closedMeanwhile notices a FIN of the target that was not reported yet. It is called between
// a read and its write. So even if the loop was late, what the client sent after the target's
// close is not written to the closed target, where it would be lost.
func (s *stream) closedMeanwhile() bool {
	if s.targetFIN || !s.out.saidFIN() {
		return false
	}
	s.heardFIN()
	return true
}

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
