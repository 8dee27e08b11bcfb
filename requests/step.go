package requests

import "netmirror/http1"

// phase is what the bytes of a stream are.
type phase uint8

const (
	opening  phase = iota // the stream's first, which may be a PROXY protocol header
	header                // the rest of such a header
	requests              // HTTP/1
	passing               // what goes to the target as it is
	ignoring              // what does not go to the target
)

// step reads some of b, which is not empty, and moves s on. It may read nothing where
// it gives something or enters another phase.
func (e *Editor) step(s *state, b []byte) (n int, p piece) {
	switch s.phase {
	case opening:
		return e.open(s, b)
	case header:
		n = min(len(b), s.left)
		if s.left -= n; s.left == 0 {
			s.phase = requests
		}
		if e.keeps {
			return n, e.keep(s, b[:n])
		}
		return n, verbatim(b[:n])
	case passing:
		return len(b), verbatim(b)
	case ignoring:
		s.leaveOut(len(b))
		return len(b), piece{}
	}
	if e.rules.filters {
		return e.filter(s, b)
	}
	return e.mark(s, b)
}

func verbatim(b []byte) piece { return piece{body: b, verbatim: true, exact: true} }

// mark goes on where every request is forwarded. Nothing is held back: the lines are
// added when the first byte behind a request line is there.
func (e *Editor) mark(s *state, b []byte) (n int, p piece) {
	if s.due {
		s.due = false
		// A folded line is none of a request that servers agree about, and would go on
		// with the line added.
		if b[0] != ' ' && b[0] != '\t' {
			s.marked(e.rules.marks)
			return 0, piece{marks: e.rules.marks}
		}
	}
	from := s.framer.Part()
	n = s.framer.Step(b)
	switch part := s.framer.Part(); {
	case part == http1.Unknown:
		s.lose()
		s.phase = passing
	case from == http1.AtLine && part == http1.AtHead:
		s.due = true
	case from == http1.AtHead && part != http1.AtHead:
		s.headRead(passing)
	}
	return n, verbatim(b[:n])
}

// headRead goes on behind a head. Behind that of a CONNECT the phase is the one
// given.
func (s *state) headRead(behind phase) {
	s.later = true
	if s.framer.Tunnel() {
		s.done.Tunnels++
		s.phase = behind
	}
}

// marked counts a request and the lines that are added to it.
func (s *state) marked(marks []byte) {
	s.done.Marked++
	s.done.BytesAdded += uint64(len(marks))
}

// lose counts a stream whose requests cannot be told any more.
func (s *state) lose() {
	switch {
	case s.framer.Lost():
		s.done.Ambiguous++
	case s.later:
		s.done.Tunnels++
	default:
		s.done.NotHTTP++
	}
}
