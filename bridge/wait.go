package bridge

import (
	"errors"
	"io"

	"netmirror/outcome"
)

// chosen reports whether only some of the client's requests go to the target. Such a stream
// connects when there is one.
func (s *stream) chosen() bool { return s.b.cfg.Requests.Filters() }

// seek reads what does not go to the target, a buffer's length at the most, and connects
// where something does. That goes back to the accepted Stream.
func (s *stream) seek() {
	for moved := 0; moved < bufferSize; {
		p := s.l.buf[:]
		n, err := s.in.TryRead(p)
		if n == 0 {
			if err != nil {
				s.finish(unwanted(err))
			}
			return
		}
		wanted := len(s.alter(p[:n])) > 0
		s.settle(p[:n], 0)
		if wanted {
			s.found()
			return
		}
		moved += n
	}
	s.l.schedule(s)
}

// found connects a stream of which something goes to the target, if there is room.
func (s *stream) found() {
	s.enter(dialing)
	room := s.takePlace()
	s.b.n.waiting.Add(-1)
	if !room {
		s.finish(outcome.EndShed)
		return
	}
	s.beginDial()
}

// unwanted is how a stream ends for what TryRead returned, where nothing of it was for the
// target. Where some of its bytes are lost, they may have been.
func unwanted(err error) outcome.End {
	if errors.Is(err, io.EOF) {
		return outcome.EndLeftOut
	}
	switch e := endOf(err); e {
	case outcome.EndClientReset, outcome.EndServerReset, outcome.EndIdle:
		return outcome.EndLeftOut
	default:
		return e
	}
}

// giveBack gives back what is held of a request that was to be forwarded, of a stream that
// gets no connection: the accepted Stream counts it as lost.
func (s *stream) giveBack() {
	if held := s.edit.GiveBack(); len(held) > 0 {
		s.in.Unread(held)
		s.count(0, -len(held), 0)
	}
}
