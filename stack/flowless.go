package stack

import (
	"time"

	"netmirror/outcome"
)

// unknown takes a segment of a connection that has no flow.
func (s *Stack) unknown(seg *segment) {
	known, ok := s.stubs.get(&seg.key, s.now)
	if ok && known.ev != nil && !known.ev.sums.trusts(seg.sum, len(seg.payload)) {
		s.drop(seg, outcome.DropBadChecksum)
		return
	}
	switch {
	case seg.flags&flagSYN != 0:
		s.syn(seg)
	case !ok:
		s.park(seg, nil)
	case known.kind == over && (known.seen().has(seg.seq) || seg.seq == known.end):
		s.drop(seg, outcome.DropFlowOver)
	case known.kind == over:
		s.park(seg, nil) // another connection on these ports, whose SYN was lost or is late
	case known.kind == halfOpen:
		s.halfOpened(&known, seg)
	default:
		s.goesOn(&known, seg)
	}
}

// goesOn takes a segment of a connection whose stream was given up.
func (s *Stack) goesOn(known *stub, seg *segment) {
	if seg.flags&flagRST == 0 && seg.flags&flagACK == 0 || seg.flags&flagRST == 0 && known.ev != nil && known.ev.judge(seg) == rejected {
		s.drop(seg, outcome.DropRejected)
		return
	}
	if seg.flags&(flagFIN|flagRST) != 0 && len(seg.payload) == 0 {
		if within(seg.seq, known.end, nearby) {
			s.stubs.put(&seg.key, known.ended(seg.seq+1), s.now)
			s.drop(seg, outcome.DropMidStream)
		} else {
			s.drop(seg, outcome.DropOutOfWindow)
		}
		return
	}
	switch {
	case known.kind == opaque:
		s.drop(seg, outcome.DropMidStream)
		s.stubs.put(&seg.key, *known, s.now)
	case s.past(known).has(seg.seq):
		s.drop(seg, outcome.DropDuplicate)
	case seg.seq-known.end < maxWindow || known.end-seg.seq < maxWindow:
		s.park(seg, known)
	default:
		s.park(seg, nil) // another connection on these ports
	}
}

// halfOpened takes a segment of a connection of which the SYN was seen.
func (s *Stack) halfOpened(known *stub, seg *segment) {
	switch {
	case seg.flags&flagRST != 0 && seg.seq == known.base:
		s.stubs.remove(&seg.key)
		s.used(seg)
		return
	case !proves(seg, known.base):
		s.drop(seg, outcome.DropOutOfWindow)
		return
	case seg.flags&flagRST == 0 && known.ev != nil && known.ev.judge(seg) == rejected:
		s.drop(seg, outcome.DropRejected)
		return
	}
	far := seg.seq != known.base && !within(seg.seq, known.base, nearby)
	as := opened
	if far {
		as = stray
	}
	f := s.newFlow(seg, as)
	if f == nil {
		s.stubs.remove(&seg.key)
		return
	}
	s.stubs.remove(&seg.key)
	f.learn(known)
	f.hasBase, f.base, f.beyond = true, known.base, known.base
	if far {
		f.hasBase = false // it is too far from the SYN to be of its connection
	}
	s.parked(f, seg)
}

// remember keeps what is known of a connection that has not been proven: the
// sequence number of its first byte.
func (s *Stack) remember(key *flowKey, half stub) {
	s.counters.halfOpen++
	s.stubs.put(key, half, s.now)
	if f := s.flows[*key]; f != nil {
		f.synSeen = true
	}
}

// syn remembers a client's SYN. What proves that the server took it comes
// later; until then it costs no more than a stub, unless it brings data along
// (RFC 7413).
func (s *Stack) syn(seg *segment) {
	base := seg.seq + 1
	if seg.flags&(flagACK|flagRST|flagFIN) != 0 {
		s.drop(seg, outcome.DropOutOfWindow)
		return
	}
	if known, ok := s.stubs.get(&seg.key, s.now); ok && known.began(base, s.now, s.captured) {
		s.drop(seg, outcome.DropDuplicate)
		return
	}
	ev := new(evidence)
	ev.sums.trusts(seg.sum, 0)
	ev.opens(seg, s.clock())
	if len(seg.payload) == 0 || s.flows[seg.key] != nil {
		s.remember(&seg.key, stub{kind: halfOpen, base: base, ev: ev})
		s.used(seg)
		return
	}
	s.counters.halfOpen++
	if f := s.newFlow(seg, stray); f != nil {
		s.stubs.remove(&seg.key)
		f.ev = *ev
		f.hasBase, f.base, f.beyond, f.early = true, base, base, true
		data := *seg
		data.seq, data.flags = base, 0
		s.store(f, &data)
	}
}

// proves reports whether a segment shows that the server took the SYN before
// it: an acknowledgement of the right place, or what comes behind the first
// data, which then is late.
func proves(seg *segment, base uint32) bool {
	if seg.seq == base {
		return seg.flags&(flagACK|flagRST) == flagACK
	}
	behind := len(seg.payload) > 0 && seg.flags&flagACK != 0 || seg.flags&(flagFIN|flagRST) != 0
	return behind && seg.seq-base < maxWindow
}

// unproven takes a segment of a flow whose SYN was seen, and of which it is not known
// yet that the server took it.
func (s *Stack) unproven(f *flow, seg *segment) {
	within := proves(seg, f.base) || seg.flags&(flagACK|flagRST) == flagACK && seg.seq-f.base <= f.sent()-f.base
	switch {
	case seg.flags&flagRST != 0 && seg.seq == f.base && (f.early || f.q.len() == 0):
		s.used(seg)
		s.discard(f, outcome.DropOutOfWindow, over)
	case !within:
		s.drop(seg, outcome.DropOutOfWindow)
	case seg.flags&flagRST == 0 && f.ev.judge(seg) == rejected:
		s.drop(seg, outcome.DropRejected)
	case f.ev.server.nxt.known && seg.flags&flagRST == 0 && f.ev.judge(seg) == accepted, f.ev.server.nxt.known && seg.flags&flagRST != 0, !f.ev.server.nxt.known && !s.twoWay():
		if seg.seq == f.base && f.q.len() == 0 {
			f.q.acked, f.q.ack = true, seg.ack // what is sent next is no answer to an answer
		}
		s.start(f, f.base)
		s.judged(f, seg)
	default:
		// The mirror shows servers: a moment for the SYN-ACK to come, or for the
		// reset with which the server answers a wrong acknowledgement.
		f.due = earlier(f.due, s.now.Add(s.cfg.Grace))
		s.segmentOf(f, seg)
	}
}

// proved starts a flow whose SYN was seen, if the server has shown by now that what
// the client acknowledged was right.
func (s *Stack) proved(f *flow) {
	if f.due.IsZero() || !f.ev.server.nxt.known {
		return
	}
	switch f.ev.judgeACK(f.lastACK) {
	case accepted:
		s.start(f, f.base)
	case rejected:
		s.turnedAway(f, outcome.DropRejected)
	}
}

// unanswered ends the wait for the server's word on a flow whose SYN was seen.
func (s *Stack) unanswered(f *flow) {
	if f.ev.judgeACK(f.lastACK) != accepted {
		if f.ev.server.heard > f.opened.Sub(s.epoch) {
			s.turnedAway(f, outcome.DropRejected)
			return
		}
		f.ev.silent()
	}
	s.start(f, f.base)
}

// turnedAway drops what the server has refused: it was never part of a connection.
func (s *Stack) turnedAway(f *flow, why outcome.Drop) {
	key, half := f.key, stub{kind: halfOpen, base: f.base}
	if f.hasBase {
		ev := f.ev
		half.ev = &ev
	}
	s.discard(f, why, over)
	if half.ev != nil {
		s.stubs.put(&key, half, s.now) // the right acknowledgement may still come
	} else {
		s.stubs.remove(&key)
	}
}

// serverShownFor is how long a mirror without a packet of any server is still taken
// for one that shows servers.
const serverShownFor = 10 * time.Second

// twoWay reports whether the mirror shows the server's direction as well.
func (s *Stack) twoWay() bool {
	return !s.serverShown.IsZero() && s.now.Sub(s.serverShown) < serverShownFor
}
