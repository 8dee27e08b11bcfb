package bridge

import (
	"time"

	"netmirror/outcome"
)

// firstLook and slowestLook are how soon, and how often at the least, a stream asks
// for acknowledgements, of which the kernel does not tell. Near by the first is enough.
const (
	firstLook   = 50 * time.Microsecond
	slowestLook = 50 * time.Millisecond
)

// awaitAcks has the stream wait, in one of the phases for that, until the target has
// acknowledged all that was written.
func (s *stream) awaitAcks(p phase) {
	s.enter(p)
	s.stall = stall{}
	s.pause = firstLook
	s.lookForAcks()
}

func (s *stream) lookForAcks() {
	left, err := s.out.unacked()
	switch {
	case err != nil:
		s.targetOver(err)
	case left == 0:
		s.acknowledged()
	case s.stall.over(s.l.now, -int64(left), s.b.cfg.WriteTimeout):
		if s.phase == probing {
			s.settleProbe(true)
		}
		s.finish(outcome.EndTargetSlow)
	default:
		s.l.after(s, s.pause)
		s.pause = min(2*s.pause, slowestLook)
	}
}

// acknowledged goes on where the target has acknowledged all that was written.
func (s *stream) acknowledged() {
	switch s.phase {
	case resetting:
		s.finish(s.how)
		return
	case probing:
		s.settleProbe(true)
		s.proven = true
	}
	s.stall, s.silence = stall{}, stall{}
	s.resume()
}
