package bridge

import (
	"math"

	"netmirror/outcome"
	"netmirror/target"
)

// Small requests fit the socket, whether or not the target's host is there, and the kernel gives
// a connection up only after a quarter of an hour (tcp_retries2, ip-sysctl.rst). So while a
// stream copies it asks for acknowledgements, once in WriteTimeout, from the first write on until
// it has found everything acknowledged. A short connection ends before, and an idle one is left
// alone.

// expectAcks is called before a write.
func (s *stream) expectAcks() {
	if s.silence.begun || s.b.to.Network == target.Unix { // whose host is this one
		return
	}
	s.silence = stall{true, s.wrote, s.l.now}
	if due := s.l.now + int64(s.b.cfg.WriteTimeout); s.timer == noTimer || s.due > due {
		s.l.timers.set(s, due)
	}
}

// lookForLife is called at the times that nextLook sets.
func (s *stream) lookForLife() {
	if !s.keptAlive && s.l.now >= s.since+int64(keepAlive) {
		s.accepted()
		s.keptAlive = true
		s.out.keepAlive()
	}
	if s.silence.begun {
		s.lookForSigns()
	}
	if s.phase == copying {
		s.nextLook()
	}
}

// lookForSigns gives up a target that has acknowledged nothing for too long. What TLS adds is
// not in s.wrote, so a target of TLS is compared with the look before, and not with the first
// write.
func (s *stream) lookForSigns() {
	left, err := s.out.unacked()
	if err == nil && left == 0 {
		s.silence = stall{}
		return
	}
	acked := s.wrote - int64(left)
	if t, ok := s.out.(*tlsConn); ok && err == nil {
		acked, err = t.acked()
	}
	switch {
	case err != nil:
		s.targetClosed()
	case s.silence.over(s.l.now, acked, s.b.cfg.WriteTimeout):
		s.finish(outcome.EndTargetSlow)
	}
}

// nextLook sets the timer of a stream that copies.
func (s *stream) nextLook() {
	due := int64(math.MaxInt64)
	if s.silence.begun {
		due = s.silence.since + int64(s.b.cfg.WriteTimeout)
	}
	if !s.keptAlive {
		due = min(due, s.since+int64(keepAlive))
	}
	if due == math.MaxInt64 {
		s.l.timers.stop(s)
		return
	}
	s.l.timers.set(s, due)
}
