package requests

import "netmirror/http1"

// filter is step within HTTP/1 if requests may be left out.
func (e *Editor) filter(s *state, b []byte) (n int, p piece) {
	if !s.judged {
		return e.filterHead(s, b)
	}
	from := s.framer.Part()
	n = s.framer.Step(b)
	switch part := s.framer.Part(); {
	case part == http1.Unknown: // no request can be recognized in the rest
		s.lose()
		s.phase, s.wanted = ignoring, false
	case from == http1.AtHead && part != http1.AtHead: // a head that is too large has ended
		s.headRead(ignoring)
	}
	s.judged = !s.framer.AtStart()
	if s.wanted {
		return n, verbatim(b[:n])
	}
	s.leaveOut(n)
	return n, piece{}
}

// filterHead reads the head of a request in b. If b has its end, filterHead judges the
// request. Otherwise it holds the head back, unless that is too large.
func (e *Editor) filterHead(s *state, b []byte) (n int, p piece) {
	part, ended := s.framer.Part(), false
	for n < len(b) && part != http1.Unknown && !ended {
		from := part
		n += s.framer.Step(b[n:])
		part = s.framer.Part()
		ended = from == http1.AtHead && part != http1.AtHead
	}
	switch {
	case part == http1.Unknown:
		return len(b), e.judgeRest(s, b)
	case s.holds+n > maxHead || !ended && e.rules.held.Load() > maxHeld:
		s.large = true
		s.refuse(&s.done.TooLarge, n, ended)
		return n, piece{}
	case ended:
		return n, e.judge(s, b[:n])
	}
	s.holds, s.tail = s.holds+n, n
	return n, piece{}
}

// judge decides about a request whose head ends with b.
func (e *Editor) judge(s *state, b []byte) piece {
	head := e.pending(s, b)
	s.large = false
	if !e.rules.wants(head, s.framer.Tunnel()) {
		s.refuse(&s.done.NotMatched, len(b), true)
		return piece{}
	}
	s.wanted, s.judged = true, !s.framer.AtStart()
	s.headRead(passing)
	s.done.Matched++
	p := e.release(s, head)
	if len(e.rules.marks) > 0 {
		p.marks, p.verbatim = e.rules.marks, false
		p.at, _ = http1.Line(head)
		s.marked(e.rules.marks)
	}
	return p
}

// refuse leaves a request out and counts it under why. n more bytes of its head were
// read; ended says that these were the last.
func (s *state) refuse(why *uint64, n int, ended bool) {
	s.wanted, s.judged = false, !s.framer.AtStart()
	*why++
	s.leaveOut(n)
	if ended {
		s.headRead(ignoring)
	}
}

// judgeRest decides about b and the rest of the stream, in which no request can be
// recognized. They go to the target only if the last request went there and asked for
// another protocol.
func (e *Editor) judgeRest(s *state, b []byte) piece {
	s.lose()
	if s.later && s.wanted && s.framer.Opaque() {
		s.phase = passing
		return e.release(s, e.pending(s, b))
	}
	s.phase = ignoring
	s.leaveOut(len(b))
	return piece{}
}

// release gives the stream's header, where it is held back, and all, which is what else
// is held back and what came behind it.
func (e *Editor) release(s *state, all []byte) piece {
	p := piece{lead: e.lead[:s.leads], head: all, verbatim: s.holds+s.leads == 0}
	s.holds, s.leads = 0, 0
	return p
}

// leaveOut counts the bytes that are held back, and n more, as left out.
func (s *state) leaveOut(n int) {
	out := uint64(s.holds + n)
	s.holds = 0
	s.done.BytesLeftOut += out
	switch {
	case s.framer.Lost():
		s.done.BytesAmbiguous += out
	case s.large:
		s.done.BytesTooLarge += out
	}
}
