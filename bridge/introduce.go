package bridge

import (
	"netmirror/proxyhdr"
)

// introduction is what goes before the client's first bytes: a PROXY protocol header.
type introduction struct {
	seen    []byte // the client's bytes that were read to decide
	decided bool
	left    []byte // to be written
	own     int    // bytes at its end that are made of seen
}

// maxSeen is more than what does not decide: an unfinished line (section 2.1 of
// haproxy's doc/proxy-protocol.txt) has up to 106 bytes.
const maxSeen = 128

// introduction has the header written before the client's first bytes. Where those were read
// to choose among the requests, it is known whether they begin with a header.
func (s *stream) introduction() {
	s.intro = new(introduction)
	if s.chosen() {
		s.intro.decide(s, s.edit.Proxied())
	}
}

// decide ends the decision.
func (in *introduction) decide(s *stream, proxied bool) {
	in.decided = true
	if !proxied {
		in.left = s.b.to.AppendHeader(nil, s.in.RemoteAddr(), s.in.LocalAddr())
	}
}

// introduce writes the header, unless the client's bytes begin with one. It is false
// where that has to wait, or has ended the stream.
func (s *stream) introduce() bool {
	in := s.intro
	if !in.decided && !s.decide() {
		return false
	}
	for len(in.left) > 0 {
		s.expectAcks()
		taken, err := s.out.write(in.left, false)
		in.left = in.left[taken:]
		switch {
		case err != nil:
			s.targetClosed()
			return false
		case len(in.left) > 0:
			s.block(taken)
			return false
		}
	}
	if len(in.seen) > 0 {
		s.wrote += int64(in.own)
		s.count(in.own, s.used(in.seen, in.own), 0)
	}
	s.intro = nil
	return true
}

// decide looks at the client's first bytes. It is false where more are needed. What
// decides goes back to the accepted Stream; the few bytes before that cannot.
func (s *stream) decide() bool {
	in := s.intro
	for {
		p := s.l.buf[:maxSeen]
		n, err := s.in.TryRead(p)
		first := append(in.seen, p[:n]...)
		_, state := proxyhdr.Length(first)
		switch {
		case state == proxyhdr.Possible && n > 0:
			in.seen = first
			continue
		case state == proxyhdr.Possible && err == nil:
			return false
		}
		if n > 0 {
			s.settle(p[:n], 0)
		}
		in.decide(s, state == proxyhdr.Header)
		if len(in.seen) > 0 {
			out := s.alter(in.seen)
			in.left, in.own = append(in.left, out...), len(out)
		}
		return true
	}
}

// dropIntroduction accounts for what was read and not passed on, where the stream ends.
func (s *stream) dropIntroduction() {
	if s.intro != nil {
		s.count(0, 0, len(s.intro.seen))
		s.intro = nil
	}
}
