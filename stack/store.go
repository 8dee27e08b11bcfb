package stack

import (
	"time"

	"netmirror/outcome"
	"netmirror/stack/netstack"
)

// segmentOf takes data, FIN or RST into the flow.
func (s *Stack) segmentOf(f *flow, seg *segment) {
	if seg.flags&flagRST != 0 {
		s.reset(f, seg)
		return
	}
	f.ev.takes(seg, s.clock())
	if f.rstSeen && s.now.Sub(f.rstAt) >= s.cfg.Grace {
		s.forgetRST(f) // a client sends nothing after a reset that counted
	}
	f.serverRST = time.Time{}
	if len(seg.payload) > 0 || seg.flags&flagFIN != 0 {
		s.store(f, seg)
		return
	}
	// It brings nothing, but says what was sent before it.
	s.drop(seg, outcome.DropNoPayload)
	if f.state != open {
		return
	}
	if f.claims > 0 || seqLess(f.beyond, seg.seq) {
		s.sentBefore(f, seg.seq)
	}
	if f.active < 0 && f.holed() || f.active >= 0 && !s.alert && !f.calm() {
		s.touch(f)
	}
}

// sentBefore notes the sequence number of a segment without data: the client has sent
// everything before it, and nothing else.
func (s *Stack) sentBefore(f *flow, seq uint32) {
	if !f.lacks(seq) {
		f.goesOn(s.now)
		if f.finSeen {
			s.touch(f) // it may count now
		}
		return
	}
	s.sentUpTo(f, seq)
	s.claim(f)
}

// lacks reports whether bytes before seq are missing, or a FIN.
func (f *flow) lacks(seq uint32) bool {
	tail := f.tail()
	return seqLess(tail, seq) && !(f.finSeen && f.fin == tail && seq == tail+1)
}

// claim notes a packet that says that the client has sent what is not here.
func (s *Stack) claim(f *flow) {
	f.ahead, f.shown, f.besides = s.now, s.captured, 0
	f.claims++
}

// claimed counts the claims anew at a place at which a stream begins, or goes on behind
// what was spliced out: those that were about what is in front say nothing any more.
func (s *Stack) claimed(f *flow) {
	f.claims = 0
	sent := f.sent()
	if f.finSeen && !f.finAlone && sent == f.fin+1 {
		sent = f.fin // its packet brought bytes, which are counted below
	}
	if seqLess(f.received(), sent) {
		s.claim(f) // of packets without data, that may be none of the connection's
	}
	tail := f.tail()
	for e := f.q.last(); f.claims < maxTail && e != nil && seqLess(tail, e.seq); e = e.prev() {
		s.claim(f)
	}
}

// goesOn notes that the client is seen where it was before the last claim.
func (f *mirrorView) goesOn(now time.Time) {
	f.beside = now
	f.besides++
}

// store queues what is new in a segment.
func (s *Stack) store(f *flow, seg *segment) {
	floor, end := f.floor(), seg.end()
	if f.closedAt(seg.seq) {
		f.goesPast(seg)
		if f.passedOver != nil && len(seg.payload) > 0 {
			s.passOverBehind(f, seg)
			return
		}
		s.passBy(f, seg)
		s.drop(seg, outcome.DropOutOfWindow)
		return
	}
	switch {
	case seqLess(floor, seg.seq) && seg.seq-floor >= maxWindow, f.virtual.finished && seqLess(floor, end):
		s.drop(seg, outcome.DropOutOfWindow)
		return
	case seqLess(end, floor):
		s.drop(seg, outcome.DropDuplicate)
		return
	}
	seq := seqMax(seg.seq, floor)
	if f.finSeen && seqLess(f.fin, end) {
		if end = s.cutAtFIN(f, seq, end); end == seq {
			s.drop(seg, outcome.DropOutOfWindow)
			return
		}
	}
	if !s.room(f, seg) {
		return
	}
	if f.state == open && seq != end {
		s.placed(f, seq, end)
	}
	packets, stored := s.keep(f, seg, seq, end)
	if seg.flags&flagFIN != 0 {
		packets = s.fin(f, seg.end(), packets)
	}
	f.beyond = seqMax(f.beyond, end)
	if stored > 0 {
		f.strayed = span{}
		s.timed(f, end)
	}
	if packets == 1 {
		s.counters.dropped[outcome.DropDuplicate]++
	}
	s.loses(f.key.service, outcome.DropDuplicate, outcome.DropDuplicate, uint64(len(seg.payload)-stored))
	s.charge(f)
	s.touch(f)
}

// passOverBehind drops a segment behind a hole that was given up, where nothing begins, as what
// came before it was.
func (s *Stack) passOverBehind(f *flow, seg *segment) {
	rest := f.passedOver
	packets := uint32(seg.packets())
	for seq := seg.seq; seqLess(seq, seg.end()); packets = 0 {
		to := min(seg.end()-seq, maxPayload) + seq
		rest.q.insert(nil, s.carry(seg, seq, to, packets))
		s.passOver(rest, f.reason.Drop())
		seq = to
	}
	rest.beyond = seqMax(rest.beyond, seg.end())
}

// keep queues what is new in [seq, end) of a segment. It returns the packets that
// are still to be accounted for, one or none, and the bytes that were new.
func (s *Stack) keep(f *flow, seg *segment, seq, end uint32) (packets uint32, stored int) {
	packets = uint32(seg.packets())
	if seq == seg.seq && f.q.extend(seg, int(end-seq), s.clock()) {
		return 0, int(end - seq)
	}
	for seqLess(seq, end) {
		before, from, to, ok := f.q.lacks(seq, end)
		if !ok {
			break
		}
		to = min(to-from, maxPayload) + from
		in := s.carry(seg, from, to, packets)
		in.single = seg.probe() && (f.state != open || seqLess(f.tail(), seg.seq))
		e := f.q.insert(before, in)
		f.asks(e)
		if e.late() {
			s.send(f, e)
		}
		packets, stored = 0, stored+int(to-from)
		seq = to
	}
	return packets, stored
}

// placed notes whether new bytes go on where those that are here end, or say that
// others are missing.
func (s *Stack) placed(f *flow, seq, end uint32) {
	if seq == f.beyond && f.claims == 0 { // the usual case: nothing is missing
		if len(f.aside) > 0 {
			f.beside = s.now
		}
		return
	}
	switch tail := f.tail(); {
	case seqLess(tail, seq) && s.shownTwice(f, seq, end):
	case seqLess(tail, seq):
		s.claim(f)
	case f.claims > 0 && seqLess(tail, end):
		f.goesOn(s.now)
	}
}

// shownTwice reports whether bytes behind a hole are here, and came just now: a copy of the mirror's
// confirms nothing. What the client sends again, it sends later.
func (s *Stack) shownTwice(f *flow, seq, end uint32) bool {
	_, _, _, lacking := f.q.lacks(seq, end)
	return !lacking && s.clock()-f.q.last().at < s.cfg.Grace
}

// maxPayload is what fits into one packet beside either IP header.
const maxPayload = 65535 - ipv6HeaderLen - tcpHeaderLen

// carry keeps [from, to) of a segment.
func (s *Stack) carry(seg *segment, from, to, packets uint32) entry {
	return entry{
		seq: from, n: to - from, ack: seg.ack, acks: seg.flags&flagACK != 0 && !seg.noACK,
		packets: packets, at: s.clock(), newest: s.clock(),
		first: from == seg.seq, bytes: netstack.NewPayload(seg.payload[from-seg.seq : to-seg.seq]),
	}
}

// lostLast drops the last entry.
func (s *Stack) lostLast(f *flow, why outcome.Drop) {
	s.counters.dropped[why] += uint64(f.q.last().packets)
	s.loses(f.key.service, why, why, uint64(f.q.last().n))
	f.q.removeLast()
}
