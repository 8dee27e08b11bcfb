package stack

import (
	"time"

	"netmirror/outcome"
)

// reverse learns from what the server sent, where the mirror carries that too.
// It is evidence only: everything works without.
func (s *Stack) reverse(m *Segment, seg *segment) {
	s.counters.dropped[outcome.DropReverse]++
	s.serverShown = s.now
	if s.subflows.concerns(seg) {
		s.reverseSubflow(m, seg)
		return
	}
	s.serverSays(m, seg)
}

// serverSays takes a server's segment to its flow, or to what is remembered of its connection.
func (s *Stack) serverSays(m *Segment, seg *segment) {
	f := s.flows[seg.key]
	if f != nil && s.forNextServer(f, seg) {
		f = nil
	}
	var known stub
	remembered := false
	if f == nil {
		if known, remembered = s.stubs.get(&seg.key, s.now); !remembered && seg.flags&flagSYN == 0 {
			s.answerFirst(m, seg)
			return
		}
	} else {
		f.seen = s.now
	}
	// Most segments say nothing new, so that their checksum does not matter.
	news := seg.flags&(flagSYN|flagRST) != 0 || f != nil && (f.state == parked || seqLess(f.serverAck, seg.ack))
	if news && s.damaged(m) {
		return
	}
	if f == nil {
		s.reverseStub(&known, remembered, seg)
		return
	}
	switch {
	case seg.flags&flagRST != 0:
		s.serverReset(f, seg)
	case seg.synACK():
		s.serverAccepted(f, seg)
	case seg.flags&flagACK != 0 && s.foreign(f, seg):
		return
	case seg.flags&flagACK != 0:
		f.ev.hears(seg, s.clock())
		s.prove(f)
		if !seg.noACK {
			s.serverHas(f, seg)
		}
	}
	if !f.removed && len(f.aside) > 0 {
		s.reconsider(f)
	}
}

// answerFirst remembers a connection of which the first packet that is seen is an interim answer: the
// client sends the rest of a body next, which may look like a request. Or it is one that changes the
// protocol: no request follows.
func (s *Stack) answerFirst(m *Segment, seg *segment) {
	a, kind := answers{}, midStream
	if changesProtocol(seg) {
		kind = opaque
	}
	switch {
	case s.services[seg.key.service].Midstream != MidstreamHTTP, seg.noACK, seg.flags&flagACK == 0, kind == midStream && !a.readsInterim(seg):
		return
	case s.damaged(m):
		return
	}
	ev := new(evidence)
	ev.hears(seg, s.clock())
	s.leaves(&seg.key, stub{
		kind: kind, twoWay: true, base: seg.ack, end: seg.ack, last: momentOf(s.captured), ev: ev,
		// The client had acknowledged what the server sent before.
		left: &leftOff{lostFor: outcome.DropMidStream, counted: seg.ack, ack: seg.seq, acked: true, pastACK: front{seg.ack, seg.seq, true}},
	})
}

// foreign reports whether the first packet of a server that the mirror shows
// acknowledges more than the client can have sent. It says nothing of the server then:
// the client's ACK numbers would be measured by those of another connection.
func (s *Stack) foreign(f *flow, seg *segment) bool {
	return f.state != parked && !f.ev.server.nxt.known && !seg.noACK && seqLess(f.sent()+s.near(f), seg.ack)
}

// bigStep is how much more than the client was seen to send a single packet of the
// server's can prove to have come: some segments, which the mirror lost.
const bigStep = 4 * usualSegment

// serverHas notes what the server has acknowledged.
func (s *Stack) serverHas(f *flow, seg *segment) {
	if f.state == parked {
		s.serverTook(f, seg)
		return
	}
	ack := seg.ack
	if !within(ack, f.floor(), maxWindow) {
		return
	}
	f.serverSaid.set(ack)
	if !seqLess(f.tail(), ack) {
		f.serverAt = s.now // the server has no more than is here
	}
	bare := len(seg.payload) == 0 && seg.flags == flagACK
	f.challenged = f.challenged || bare && f.rstSeen && f.gapless() && ack == f.tail() && seqLess(ack, f.rst)
	if !f.ev.server.ack.known {
		f.ev.server.ack.set(f.floor()) // so that the first packet is no better than any other
	}
	if f.claimedAgain(ack) {
		return
	}
	if !seqLess(f.serverAck, ack) || !f.ev.server.ack.move(ack, s.near(f)) {
		return
	}
	doubtful := seqLess(f.sent(), ack) && ack-f.sent() > bigStep && !f.serverSure(ack)
	if f.lacks(ack) {
		s.claim(f)
	}
	if !doubtful {
		f.serverAck = ack
	}
	s.sentUpTo(f, ack)
	s.touch(f)
}

// claimedAgain reports whether ack is what one packet of the server's has claimed, and
// nothing else supports yet: a mirror may show that packet twice.
func (f *flow) claimedAgain(ack uint32) bool {
	odd := &f.ev.server.ack
	return (f.serverClaim != 0 && ack == f.serverClaim || odd.hasOdd && ack == odd.odd) && seqLess(f.tail(), ack)
}

// serverSure reports whether an earlier packet of the server's said as much as ack.
func (f *mirrorView) serverSure(ack uint32) bool {
	sure := f.serverClaim != 0 && ack != f.serverClaim && within(ack, f.serverClaim, maxWindow)
	f.serverClaim = ack
	return sure
}

// serverTook notes that the server has acknowledged what a flow without a start
// holds: the connection is one.
func (s *Stack) serverTook(f *flow, seg *segment) {
	if within(seg.ack, f.base, maxWindow) {
		f.serverSaid.set(seg.ack)
		if !seqLess(f.tail(), seg.ack) {
			f.serverAt = s.now
		}
	}
	if f.hasBase {
		s.proved(f)
		return
	}
	if f.synSeen {
		if syn, ok := s.stubs.get(&seg.key, s.now); ok && syn.kind == halfOpen && syn.base == seg.ack {
			return // it answers the SYN
		}
	}
	if f.q.len() > 0 && within(seg.ack, f.q.first().seq+1, maxWindow) {
		f.taken = true
		s.seek(f, false)
	}
}

// serverAccepted takes a SYN-ACK: it knows the client's sequence number, also
// where the SYN was lost.
func (s *Stack) serverAccepted(f *flow, seg *segment) {
	switch {
	case f.state == parked && f.hasBase:
		f.ev.answered(seg, s.clock())
		if f.early && seg.ack == f.base { // without what came with the SYN (RFC 7413, section 4.2)
			s.dropSYNData(f, outcome.DropOutOfWindow)
		}
		s.proved(f)
	case f.state == parked && !f.mayBeginAt(seg.ack):
		if syn, ok := s.stubs.get(&seg.key, s.now); ok && syn.kind == halfOpen && syn.base == seg.ack {
			s.stubs.evidence(&seg.key).answered(seg, s.clock()) // it is of the next connection
		}
	case f.state == parked:
		syn, ok := s.stubs.get(&seg.key, s.now)
		ok = ok && syn.kind == halfOpen && syn.base == seg.ack
		switch {
		case ok && f.apartFrom(&syn):
			s.stubs.evidence(&seg.key).answered(seg, s.clock())
			return
		case !ok && !f.beganRightAt(seg.ack):
			s.remember(&seg.key, stub{kind: halfOpen, base: seg.ack}) // it may be a stray
			s.stubs.evidence(&seg.key).answered(seg, s.clock())
			return
		}
		f.anew()
		if ok {
			s.stubs.remove(&seg.key)
			f.learn(&syn)
		}
		f.ev.answered(seg, s.clock())
		s.unpark(f, seg.ack)
	case seg.ack == f.base && !f.picked && !f.ev.server.nxt.known:
		f.ev.answered(seg, s.clock())
	case f.state == open && !s.owns(f, seg.ack-1) && !s.mayBeSYNOf(f, seg.ack):
		known, ok := s.stubs.get(&seg.key, s.now)
		s.reverseStub(&known, ok, seg) // the SYN of the next connection may be lost
	}
}

// reverseStub takes a server's segment of a connection without a flow.
func (s *Stack) reverseStub(known *stub, ok bool, seg *segment) {
	switch {
	case seg.flags&flagRST != 0:
		s.refused(known, seg)
	case seg.synACK():
		if !ok || known.kind != halfOpen && !known.seen().has(seg.ack-1) && !known.began(seg.ack, s.now, s.captured) {
			s.remember(&seg.key, stub{kind: halfOpen, base: seg.ack})
			*known, ok = s.stubs.peek(&seg.key)
		}
		if ok && known.kind == halfOpen && known.base == seg.ack {
			s.stubs.evidence(&seg.key).answered(seg, s.clock())
		}
	case ok:
		known.hears(seg, s.clock())
	}
}

// hears notes what the server sent, where something is known of the connection. Behind a SYN
// that may be a stray, it may have sent that in the connection before, or in either.
func (s *stub) hears(seg *segment, now time.Duration) {
	ofSYN := s.prev == nil || near(seg.ack, s.base)
	if ofSYN && s.ev != nil {
		s.ev.hears(seg, now)
	}
	if s.prev != nil && (!ofSYN || s.prev.isNear(seg.ack)) {
		s.prev.hears(seg, now)
	}
}

// refused takes a server's RST for a connection without a flow.
func (s *Stack) refused(known *stub, seg *segment) {
	switch {
	case known.kind == halfOpen && seg.flags&flagACK != 0 && seg.ack != known.base:
	case known.kind == halfOpen && seg.flags&flagACK == 0:
		// It answers a segment that was none of the connection's.
	case known.kind == halfOpen:
		s.stubs.remove(&seg.key)
	case known.ev == nil || known.ev.endsAt(seg.seq):
		s.stubs.put(&seg.key, known.ended(known.end), s.now)
	}
}

// serverReset ends the flow when everything up to it has been delivered. A reset
// answers a segment of the client's with the number that this acknowledged, or is
// where the server's bytes end (RFC 9293, section 3.10.7); a stray one is of another
// connection on these ports.
func (s *Stack) serverReset(f *flow, seg *segment) {
	cl := &f.ev.client
	right := f.ev.endsAt(seg.seq)
	limit := uint32(nearby)
	if cl.scaled {
		limit = cl.maxWindow() - 1
	}
	inWindow := cl.ack.known && within(seg.seq, cl.ack.at, limit)
	switch {
	case f.state == parked && f.early && !f.ev.server.nxt.known && !cl.ack.known: // it answers the SYN, or is none of the connection's
		if seg.flags&flagACK != 0 && within(seg.ack, f.base, f.sent()-f.base) {
			s.turnedAway(f, outcome.DropRefused)
		}
	case f.state == parked && seg.flags&flagACK == 0 && seg.seq == f.lastACK:
		s.turnedAway(f, outcome.DropRefused)
	case f.newer == nil && !right && inWindow && f.state == open:
		f.serverRST = s.now // the client asks back, and goes on if it was none
		s.touch(f)
	case f.newer != nil || !right:
	case f.state == parked:
		f.ending, f.reason = true, outcome.EndServerReset
	default:
		if seg.flags&flagACK != 0 {
			s.serverHas(f, seg) // the client's last bytes may come behind it
		}
		s.endWhenDelivered(f, outcome.EndServerReset)
	}
}
