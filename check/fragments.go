package check

import (
	"time"

	"netmirror/decap"
	"netmirror/defrag"
	"netmirror/source"
	"netmirror/wire"
)

// fragments joins those of the mirror's packets, where the source has not, and those of the
// mirrored packets.
type fragments struct{ outer, inner *defrag.Reassembler }

func newFragments(m wire.Mirror, now func() time.Time) fragments {
	outer, inner := defrag.Outer(m), defrag.Inner()
	outer.Now, inner.Now = now, now
	return fragments{outer: defrag.New(outer), inner: defrag.New(inner)}
}

// look finds out what a captured packet is, which begins with start. whole is false for a
// fragment of one that is not complete. p and sight are valid until the next call.
func (s *seen) look(frame []byte, start source.Start, p *decap.Packet, sight *decap.Sight) (reason decap.Reason, whole bool) {
	if start == source.Ethernet {
		reason = s.probe.Look(frame, p, sight)
	} else {
		reason = s.probe.LookPayload(start.Encap(), frame, p, sight)
	}
	if reason == decap.OuterFragment {
		s.parts.outer.Begin()
		if frame = s.parts.outer.Frame(frame); frame == nil {
			return reason, false
		}
		reason = s.probe.Look(frame, p, sight)
	}
	if reason == decap.InnerFragment {
		s.parts.inner.Begin()
		ip := s.parts.inner.Packet(p.VNI, p.IP)
		if ip == nil {
			return reason, false
		}
		reason = s.probe.LookIP(p.VNI, ip, p, sight)
	}
	return reason, true
}

// endFragments counts the fragments of packets that never became whole as packets.
func (s *seen) endFragments() {
	s.parts.outer.Flush()
	s.parts.inner.Flush()
	outer, inner := s.parts.outer.Stats(), s.parts.inner.Stats()
	s.capture.FragmentStats.Add(outer)
	s.reasons[decap.OuterFragment] += outer.Lost()
	s.reasons[decap.InnerFragment] += inner.Lost()
	s.frames += outer.Lost() + inner.Lost()
}
