package bridge

import (
	"errors"
	"io"
	"time"
)

// verdict is the target's part in an end, as an error.
type verdict outcome

func (v verdict) Error() string { return "bridge: " + outcome(v).String() }

// end ends the stream for what step returned.
func (s *stream) end(err error) {
	var v verdict
	switch {
	case errors.As(err, &v):
		s.finish(outcome(v))
	case errors.Is(err, io.EOF):
		s.passFIN()
	default:
		s.passReset(outcomeOf(err))
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
		if t.over(now, s.answered.Load()-int64(queued), limit) {
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
	_, err := s.awaitAcks()
	var v verdict
	if errors.As(err, &v) {
		o = outcome(v)
	}
	s.finish(o)
}
