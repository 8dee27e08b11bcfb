package stack

import "netmirror/outcome"

// A keep-alive or window probe is one byte that the server has, or has no room for: the
// last one that was sent, or the first one that was not (RFC 9293, sections 3.8.4 and
// 3.8.6.1). Stacks put any value in the former, so that it must not become a byte of
// the stream, not even where the real one was lost.

// probed takes a segment of one byte where it is a probe's or may be, and reports false
// where it is the client's next byte.
func (s *Stack) probed(f *flow, seg *segment) bool {
	_, _, _, missing := f.q.lacks(seg.seq, seg.end())
	unlike := f.ev.pushes && seg.flags&flagPSH == 0 // the client's writes end with PSH
	switch tail := f.tail(); {
	case seqLess(seg.seq, f.floor()) || !missing:
		s.drop(seg, outcome.DropProbe)
	case seqLess(seg.seq, f.sent()) && (unlike || f.claims > 0 && s.now.Sub(f.ahead) >= s.cfg.Grace):
		s.drop(seg, outcome.DropProbe) // more was sent before: what is missing here is the real byte
	case !seqLess(seg.seq, tail) && unlike:
		s.setAside(f, seg, oddProbe)
	default:
		return false
	}
	return true
}
