package requests

import "netmirror/proxyhdr"

// maxLead is the longest PROXY protocol header that is held back until a request is
// forwarded, in bytes: more than any that is in use, with all its extensions.
const maxLead = 2 << 10

// open reads the first bytes of a stream up to the end of a PROXY protocol header,
// or to where there is none. While that is not known they are held back, or kept
// for the framer where they go to the target in any case.
func (e *Editor) open(s *state, b []byte) (n int, p piece) {
	all := e.pending(s, b)
	size, found := proxyhdr.Length(all)
	switch found {
	case proxyhdr.Possible:
		s.holds, s.tail = s.holds+len(b), len(b)
		return len(b), e.opened(nil, b)
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
	if !e.proxied { // and not again where the stream goes back
		e.proxied = true
		e.keeps = e.rules.filters && size <= maxLead && e.rules.held.Load() <= maxHeld
	}
	size -= s.holds
	n = min(size, len(b))
	s.left, s.phase = size-n, requests
	if s.left > 0 {
		s.phase = header
	}
	all = all[:s.holds+n]
	s.holds = 0
	if e.keeps {
		e.keep(s, all)
		return n, piece{}
	}
	return n, e.opened(all, b[:n])
}

// keep holds back b, more of the header.
func (e *Editor) keep(s *state, b []byte) {
	e.lead = append(e.lead[:s.leads], b...)
	s.leads = len(e.lead)
}

// opened gives all where the stream's first bytes are held back, and else b.
func (e *Editor) opened(all, b []byte) piece {
	if !e.rules.filters {
		return verbatim(b)
	}
	return piece{head: all, verbatim: len(all) == len(b)}
}
