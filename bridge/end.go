package bridge

import (
	"errors"
	"io"
	"time"

	"netmirror/outcome"
)

// end ends the stream for what TryRead returned behind its last byte.
func (s *stream) end(err error) {
	if errors.Is(err, io.EOF) {
		s.passFIN()
		return
	}
	// A RST comes once the target has the connection, and has acknowledged all bytes before
	// it: a reset socket throws its send queue away.
	s.confirm()
	s.how = endOf(err)
	s.awaitAcks(resetting)
}

// passFIN half-closes the target's connection and waits for the target's own
// end, or for its silence: it neither sends nor acknowledges. One that is silent with
// bytes outstanding never took the whole stream.
func (s *stream) passFIN() {
	s.finSent = true
	s.enter(lingering)
	if err := s.out.closeWrite(); err != nil {
		s.targetClosed()
		return
	}
	s.stall = stall{}
	s.l.after(s, s.lingerLook())
}

func (s *stream) lingerLook() time.Duration {
	return max(s.b.cfg.LingerTimeout/8, time.Millisecond)
}

// lookForSilence gives up a target that has neither sent nor acknowledged for too
// long. Its answers are looked for too: short ones tell nobody.
func (s *stream) lookForSilence() {
	if !s.discard(false) {
		return
	}
	queued, err := s.out.unacked()
	switch {
	case err != nil:
		s.targetClosed()
	case !s.stall.over(s.l.now, s.answered-int64(queued), s.b.cfg.LingerTimeout):
		s.l.after(s, s.lingerLook())
	case queued > 0:
		s.finish(outcome.EndTargetSlow)
	default:
		s.finish(outcome.EndComplete)
	}
}

// targetOver ends the stream where the target's connection has ended in both
// directions: in order, or else for a cause.
func (s *stream) targetOver(cause error) {
	if s.phase == probing {
		s.settleProbe(true)
	}
	if cause == nil && s.finSent {
		s.finish(outcome.EndComplete)
		return
	}
	s.targetClosed()
}

// targetClosed ends the stream where the target has ended its connection. In TLS 1.3 that
// may be how it refuses our certificate: then it took nothing of the stream.
func (s *stream) targetClosed() {
	var why *refusal
	if t, ok := s.out.(*tlsConn); ok && errors.As(t.failed(), &why) {
		s.b.outage.refused(time.Now(), why)
		s.finish(outcome.EndTargetRefused)
		return
	}
	s.ending()
	s.finish(outcome.EndTargetClosed)
}

// endOf is how a stream ends whose TryRead failed with err, which is not io.EOF. Only
// what a stream can tell is believed.
func endOf(err error) outcome.End {
	var e outcome.End
	if errors.As(err, &e) && e.Readable() {
		return e
	}
	return outcome.EndFailed
}
