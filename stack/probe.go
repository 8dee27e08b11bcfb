package stack

import (
	"time"

	"netmirror/outcome"
)

// A keep-alive or window probe is one byte that the server has, or has no room for: the
// last one that was sent, or the first one that was not (RFC 9293, sections 3.8.4 and
// 3.8.6.1). Stacks put any value in the former, so that it must not become a byte of
// the stream, not even where the real one was lost.

// lull is the shortest silence behind which stacks send keep-alive probes.
const lull = time.Second

// admit takes a segment whose numbers are right.
func (s *Stack) admit(f *flow, seg *segment) {
	if !seg.probe() || !s.probed(f, seg) {
		s.segmentOf(f, seg)
	}
}

// probed takes a segment of one byte where it is a probe's or may be, and reports false
// where it is the client's next byte.
func (s *Stack) probed(f *flow, seg *segment) bool {
	_, _, _, missing := f.q.lacks(seg.seq, seg.end())
	// Nearly all stacks set PSH where a write ends.
	odd := f.ev.pushes || s.clock()-f.ev.client.heard >= lull
	switch {
	case seqLess(seg.seq, f.floor()) || !missing:
		s.drop(seg, outcome.DropProbe)
	case seqLess(seg.seq, f.sent()) && (odd || s.captured.Sub(f.shown) >= s.cfg.Grace):
		s.drop(seg, outcome.DropProbe) // the client has sent it before: the real byte was lost
	case !odd, seqLess(seg.seq, f.tail()), !f.ev.pushes && s.typed(f, seg):
		return false
	case f.serverLacks(seg):
		s.setAside(f, seg, newByte)
	default:
		s.setAside(f, seg, oddProbe)
	}
	return true
}

// serverLacks reports whether the server does not have the byte of a segment, so that it
// takes the one that comes now: the last that it has said is where this one begins, and
// the mirror has shown all that it has sent.
func (f *flow) serverLacks(seg *segment) bool {
	sent, has := &f.ev.server.nxt, &f.serverSaid
	return sent.known && seg.ack == sent.at && has.known && seg.seq == has.at
}

// typed reports whether a byte goes on where another one that waits beside the stream
// ends: a client that writes byte by byte. The one that waits joins the stream then.
func (s *Stack) typed(f *flow, seg *segment) bool {
	for i := range f.aside {
		if a := &f.aside[i]; a.why >= oddProbe && a.next() == seg.seq {
			s.readmit(f, i)
			return !f.removed
		}
	}
	return false
}
