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

// step reads some of b, which is not empty, and advances s. It may read nothing if it
// returns a piece or enters another phase.
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
			e.keep(s, b[:n])
			return n, piece{}
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

// mark is step within HTTP/1 if every request is forwarded. It holds nothing back: it
// adds the lines when the first byte after a request line has come.
func (e *Editor) mark(s *state, b []byte) (n int, p piece) {
	if s.due {
		s.due = false
		// Servers disagree about a folded line here, and it would become a part of the
		// added line.
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

// headRead notes the end of a head. After that of a CONNECT, the phase becomes behind.
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

// lose counts a stream whose requests cannot be recognized any more.
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
