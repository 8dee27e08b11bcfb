package stack

import "netmirror/outcome"

// A FIN or a RST counts when everything before it is here; till then it is a claim,
// which what comes later may show to be none of the connection's.

// reset notes a client's RST. It takes effect when everything before it has
// been received, so that it cannot throw away what the server still read. The server
// answers one that lies elsewhere in its window with an acknowledgement, and goes on
// (RFC 5961, section 3.2).
func (s *Stack) reset(f *flow, seg *segment) {
	if f.challenged && seg.seq == f.tail() && f.claims <= 1 {
		s.forgetRST(f) // this is the client's answer
		f.claims = 0
		f.clearHole()
	}
	if f.rstSeen && seqLess(f.rst, seg.seq) && f.hasAll(seg.seq) {
		s.forgetRST(f) // the client had sent more by then, so that the server ignored it
	}
	if f.rstSeen || f.ending || seqLess(seg.seq, f.floor()) || seqLess(f.beyond, seg.seq) && seqLess(s.reach(f), seg.seq) {
		f.goesPast(seg)
		s.drop(seg, outcome.DropOutOfWindow)
		return
	}
	f.rstSeen, f.rst, f.rstAt, f.challenged = true, seg.seq, s.now, false
	last := f.q.last()
	f.rstEarly = f.state == open && seqLess(f.tail(), seg.seq) || f.state == parked && !f.hasBase && last != nil && seqLess(last.end(), seg.seq)
	s.used(seg)
	if f.rstEarly && f.state == open {
		s.sentUpTo(f, seg.seq)
		s.claim(f)
	} else if f.state != open {
		f.beyond = seqMax(f.beyond, seg.seq)
	}
	s.touch(f)
}

// forgetRST goes on as if the RST had not come.
func (s *Stack) forgetRST(f *flow) {
	f.rstSeen, f.challenged = false, false
	s.notUsed()
	if f.beyond == f.rst && seqLess(f.tail(), f.rst) {
		f.beyond = f.received()
	}
}

// notUsed takes back what used counted.
func (s *Stack) notUsed() {
	s.counters.packetsUsed--
	s.counters.dropped[outcome.DropOutOfWindow]++
}

// fin notes the client's FIN and returns the packets that are still to be
// accounted for.
func (s *Stack) fin(f *flow, seq, packets uint32) uint32 {
	if f.virtual.finished || f.finQueued() || f.finSeen && (f.fin == seq || f.state == open && f.gapless() && f.received() == f.fin) || seqLess(seq, f.floor()) || !f.hasBase && f.q.len() > 0 && seqLess(seq, f.q.last().end()) {
		return packets
	}
	if f.finSeen {
		s.forgetFIN(f)
	}
	f.finSeen, f.fin, f.finAlone = true, seq, packets == 1
	if f.finAlone {
		s.counters.packetsUsed++
	}
	if f.state == open && packets == 1 {
		s.sentBefore(f, seq)
	}
	return 0
}

// forgetFIN goes on as if the FIN had not come.
func (s *Stack) forgetFIN(f *flow) {
	f.finSeen = false
	if f.finAlone {
		s.notUsed()
	}
}

// cutAtFIN returns where bytes [seq, end) end that go on behind the FIN. There are none
// behind it, unless the server has more than that, no start is known, nothing of what
// was directly before the FIN has come, or some were there already and these come before
// them: then it was none of the connection's.
func (s *Stack) cutAtFIN(f *flow, seq, end uint32) uint32 {
	_, _, _, alone := f.q.lacks(f.fin-1, f.fin)
	alone = alone && f.fin != f.floor()
	switch {
	case !f.hasBase || alone || f.q.len() > 0 && seqLess(f.fin, f.q.last().seq) || !f.finQueued() && seqLess(f.fin+1, f.serverAck):
		s.forgetFIN(f)
		return end
	case seqLess(seq, f.fin):
		return f.fin
	}
	return seq
}

// finQueued reports whether the FIN counts, and what is in front of it is on its way to gVisor.
func (f *mirrorView) finQueued() bool { return f.q.len() > 0 && f.q.last().fin }

// queueFIN queues the FIN behind the last byte.
func (s *Stack) queueFIN(f *flow) {
	switch {
	case seqLess(f.fin, f.virtual.ack) || seqLess(f.fin+1, f.serverAck) && !s.refuted(f):
		s.forgetFIN(f) // the stream goes on where it ended
		return
	case f.finQueued():
		return
	case f.gapless() && f.received() == f.fin:
	case f.virtual.ack == f.fin && f.holed() && s.finCounts(f):
		s.forgetAhead(f)
	default:
		return
	}
	f.q.insert(nil, entry{seq: f.fin, fin: true, at: s.clock()})
	f.finAlone = false
}

// finCounts reports whether a FIN is right although others lie behind it: the server has
// acknowledged it and nothing more, or all in front of it, well after the others came, and so takes
// it. To a single segment it is a claim as that one is to it. Then it is enough that the client was
// still there well after the segment came, or that the segment is far away.
func (s *Stack) finCounts(f *flow) bool {
	first, said := f.q.first(), &f.serverSaid
	takes := s.serverWaits(f) && said.known && said.at == f.fin
	return takes || f.serverAck == f.fin+1 || f.claims <= 1 && (s.refuted(f) || first != nil && first.seq-f.fin > s.near(f))
}
