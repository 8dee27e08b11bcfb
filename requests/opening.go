package requests

import "netmirror/proxyhdr"

// open reads the first bytes of a stream until it knows whether they are a PROXY
// protocol header. Until then they are held back if requests may be left out. Otherwise
// they go to the target at once, and a copy is kept for the framer.
func (e *Editor) open(s *state, b []byte) (n int, p piece) {
	all := e.pending(s, b)
	size, found := proxyhdr.Length(all)
	switch found {
	case proxyhdr.Possible:
		s.holds, s.tail = s.holds+len(b), len(b)
		return len(b), e.opened(s, nil, b)
	case proxyhdr.None:
		s.phase = requests
		for first := all[:s.holds]; len(first) > 0; {
			first = first[s.framer.Step(first):]
		}
		if !e.rules.filters {
			s.holds = 0
		}
		return 0, piece{}
	}
	size -= s.holds
	n = min(size, len(b))
	s.left, s.phase = size-n, requests
	if s.left > 0 {
		s.phase = header
	}
	all = all[:s.holds+n]
	s.holds = 0
	return n, e.opened(s, all, b[:n])
}

// opened returns all if the stream's first bytes are held back, otherwise b.
func (e *Editor) opened(s *state, all, b []byte) piece {
	if !e.rules.filters {
		return verbatim(b)
	}
	return piece{head: all, verbatim: len(all) == len(b)}
}
