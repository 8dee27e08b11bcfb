package bridge

import (
	"errors"
	"io"
	"time"

	"netmirror/outcome"
)

// verdict is the target's part in an end, as an error.
type verdict outcome.End

func (v verdict) Error() string { return "bridge: " + outcome.End(v).String() }

// end ends the stream for what step returned.
func (s *stream) end(err error) {
	var v verdict
	switch {
	case errors.As(err, &v):
		s.finish(outcome.End(v))
	case errors.Is(err, io.EOF):
		s.passFIN()
	default:
		s.passReset(endOf(err))
	}
}

// passFIN half-closes the target's connection and waits for the target's own
// end, which discard hears and finishes the stream with, or for its silence: it
// neither sends nor acknowledges. One that is silent with bytes outstanding never
// took the whole stream.
func (s *stream) passFIN() {
	s.finSent.Store(true)
	if err := s.out.CloseWrite(); err != nil {
		s.finish(outcome.EndTargetClosed)
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
				s.finish(outcome.EndTargetSlow)
			} else {
				s.finish(outcome.EndComplete)
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

// endOf is how a stream ends whose Read failed with err, which is not io.EOF. Only
// what a stream can tell is believed.
func endOf(err error) outcome.End {
	var e outcome.End
	if errors.As(err, &e) && e.Readable() {
		return e
	}
	return outcome.EndFailed
}

// passReset ends the stream with e and a RST, once the target has acknowledged
// all bytes before it: a reset socket throws its send queue away.
func (s *stream) passReset(e outcome.End) {
	_, err := s.awaitAcks()
	var v verdict
	if errors.As(err, &v) {
		e = outcome.End(v)
	}
	s.finish(e)
}
