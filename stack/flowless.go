package stack

import (
	"bytes"
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
	case known.kind == over && (known.owns(seg.seq) || showsAgain(known.prior, known.last.age(s.captured), seg)):
		s.drop(seg, outcome.DropFlowOver)
	case known.kind == over:
		s.park(seg, nil) // another connection on these ports, whose SYN was lost or is late
		if f := s.flows[seg.key]; f != nil {
			f.prior = known.seen()
		}
	case known.kind == halfOpen:
		s.halfOpened(&known, seg)
	default:
		s.goesOn(&known, nil, seg)
	}
}

// showsAgain reports whether a mirror may show a segment again: the last one of the next
// connection came age ago.
func showsAgain(prior span, age time.Duration, seg *segment) bool {
	return age < repeatedFor && prior.has(seg.seq)
}

// goesOn takes a segment of a connection whose stream was given up. next is the SYN that came
// since, nil if none did.
func (s *Stack) goesOn(known, next *stub, seg *segment) {
	if seg.flags&flagRST == 0 && (seg.flags&flagACK == 0 || known.refuses(seg)) {
		s.drop(seg, outcome.DropRejected)
		return
	}
	ends := seg.flags&(flagFIN|flagRST) != 0
	known.last = momentOf(s.captured)
	why := outcome.DropMidStream
	if known.kind == overRate {
		why = outcome.DropOverRate
	}
	switch {
	case ends && len(seg.payload) == 0 && seg.seq == known.end:
		s.leaveBeside(&seg.key, known.ended(seg.seq+1), next)
		s.drop(seg, why)
	case ends && len(seg.payload) == 0 && known.kind != overRate: // elsewhere it is a claim
		s.drop(seg, outcome.DropOutOfWindow)
	case known.kind != midStream && ends && seg.seq == known.end:
		s.leaveBeside(&seg.key, known.ended(seg.next()), next)
		s.dropAs(seg, why, known.cause(why))
	case known.kind != midStream:
		as := s.follow(known, seg, why)
		s.leaveBeside(&seg.key, *known, next)
		s.dropAs(seg, why, as)
	case s.past(known, seg.key.service).has(seg.seq):
		s.drop(seg, outcome.DropDuplicate)
	case s.lone(known, seg):
		known.left.strayed = span{seg.next(), seg.next() + nearby}
		s.leaveBeside(&seg.key, *known, next)
		s.drop(seg, outcome.DropOutOfWindow)
	case seg.seq-known.end < maxWindow || known.end-seg.seq < maxWindow:
		s.park(seg, known)
	default:
		s.park(seg, nil) // another connection on these ports
	}
}

// lone reports whether a segment of a connection whose stream was given up is further from
// what came of it than a single one is believed: by more than a connection can have had in
// flight, for the mirror may have lost much.
func (s *Stack) lone(known *stub, seg *segment) bool {
	if known.kind != midStream || known.left == nil || known.left.strayed.has(seg.seq) {
		return false
	}
	n := uint32(max(s.cfg.FlowBytes, nearby))
	return !within(seg.seq, known.end, n) && !within(known.end, seg.seq, n) && !within(seg.seq, known.left.counted, n)
}

// cause is the reason for which bytes count as lost that are dropped for why, in a connection in
// which no stream can begin any more.
func (s *stub) cause(why outcome.Drop) outcome.Drop {
	if s.kind == opaque {
		return s.left.lostFor
	}
	return why
}

// follow tracks a connection in which no stream can begin any more. It returns the reason
// for which the segment's bytes are lost. Bytes that are missing in front of the segment
// count as missing if they would have been forwarded.
func (s *Stack) follow(known *stub, seg *segment, why outcome.Drop) (as outcome.Drop) {
	if known.kind == overRate {
		if within(seg.seq, known.end, nearby) {
			known.end = seg.end()
		}
		return why
	}
	from := seqMax(known.end, known.left.counted)
	if within(seg.seq, known.end, nearby) {
		known.end = seg.end()
	}
	if !within(seg.seq, from, nearby) && seqLess(from, seg.seq) && !known.left.strayed.has(seg.seq) {
		known.left.strayed = span{seg.next(), seg.next() + nearby}
		return known.left.lostFor // a single one says nothing of what is in front
	}
	if !seqLess(from, seg.end()) {
		return outcome.DropDuplicate // counted before, as missing or as it came
	}
	if len(seg.payload) > 0 && seqLess(from, seg.seq) && within(seg.seq, from, nearby) {
		s.missedBytes(&seg.key, seg.seq-from)
	}
	known.left.counted = seg.end()
	return known.left.lostFor
}

// refuses reports whether the real server drops a segment of a connection without a flow.
func (s *stub) refuses(seg *segment) bool {
	return s.ev != nil && s.ev.judge(seg) == rejected && !s.ev.refuse(seg)
}

// halfOpened takes a segment of a connection whose SYN was seen.
func (s *Stack) halfOpened(known *stub, seg *segment) {
	switch {
	case seg.flags&flagRST != 0 && seg.seq == known.base:
		s.stubs.remove(&seg.key)
		s.used(seg)
		return
	case seg.seq != known.base && showsAgain(known.prior, known.put.age(s.now), seg):
		s.drop(seg, outcome.DropFlowOver)
		return
	case len(seg.payload) > 0 && seg.seq != known.base && known.prev != nil && known.prev.isNear(seg.seq):
		// It is late, or the SYN was a stray and the connection before it goes on.
		s.goesOn(known.prev, known, seg)
		return
	case !proves(seg, known.base) && !known.tookData(seg):
		if len(seg.payload) > 0 && seg.flags&(flagACK|flagRST) == flagACK && !near(seg.seq, known.base) {
			s.besideSYN(known, seg)
			return
		}
		s.drop(seg, outcome.DropOutOfWindow)
		return
	case seg.flags&flagRST == 0 && known.ev != nil && known.ev.judge(seg) == rejected:
		s.drop(seg, outcome.DropRejected)
		return
	}
	if seg.seq != known.base && !within(seg.seq, known.base, nearby) {
		s.besideSYN(known, seg)
		return
	}
	f := s.newFlow(seg, opened)
	s.stubs.remove(&seg.key)
	if f == nil {
		return
	}
	f.learn(known)
	f.hasBase, f.base, f.beyond = true, known.base, known.base
	if len(known.synData()) > 0 {
		f.early = true
		s.storeSYNData(f, known, nil)
	}
	s.parked(f, seg)
}

// besideSYN takes a segment that is too far from the SYN before it to be of its connection. It
// is a late one of the connection before, or the SYN is a stray. If the server has not accepted
// the SYN, what comes next tells.
func (s *Stack) besideSYN(known *stub, seg *segment) {
	if known.ev != nil && known.ev.server.first.known {
		s.drop(seg, outcome.DropOutOfWindow)
		return
	}
	if f := s.newFlow(seg, stray); f != nil {
		f.synSeen, f.prior = true, known.prior
		f.behind.set(known.base)
		s.parked(f, seg)
	}
}

// remember keeps what is known of a connection that has not been proven: the
// sequence number of its first byte.
func (s *Stack) remember(key *flowKey, half stub) {
	s.counters.halfOpen++
	switch known, ok := s.stubs.get(key, s.now); {
	case ok && known.kind == halfOpen:
		half.prev, half.prior = known.prev, known.prior
	case ok && known.kind == over:
		half.prior = known.seen()
	case ok:
		before := known // a copy, so that a flood of SYNs allocates nothing
		half.prev = &before
	}
	s.stubs.put(key, half, s.now)
	if f := s.flows[*key]; f != nil {
		f.synSeen = true
	}
}

// leaves remembers a connection whose flow ends.
func (s *Stack) leaves(key *flowKey, left stub) {
	if next, ok := s.stubs.get(key, s.now); ok && next.kind == halfOpen {
		s.leaveBeside(key, left, &next)
		return
	}
	s.leaveBeside(key, left, nil)
}

// leaveBeside remembers a connection that has no flow. The SYN next that came since stays, nil if
// none did: it may be the next connection's, or a stray.
func (s *Stack) leaveBeside(key *flowKey, left stub, next *stub) {
	if next == nil {
		s.stubs.put(key, left, s.now)
		return
	}
	next.prev = nil
	if left.kind == over {
		next.prior = left.seen()
	} else {
		before := left // a copy: the address of left would put every flow's stub on the heap
		before.put = momentOf(s.now)
		next.prev = &before
	}
	s.stubs.put(key, *next, next.put.time())
}

// syn remembers a client's SYN. The proof that the server accepted it comes later. Until
// then it costs only a stub, unless it carries data (RFC 7413).
func (s *Stack) syn(seg *segment) {
	base := seg.seq + 1
	if seg.flags&(flagACK|flagRST|flagFIN) != 0 {
		s.drop(seg, outcome.DropOutOfWindow)
		return
	}
	known, ok := s.stubs.get(&seg.key, s.now)
	if ok && known.began(base, s.now, s.captured) {
		s.drop(seg, outcome.DropDuplicate)
		return
	}
	first := synOf(seg)
	if len(seg.payload) == 0 || s.flows[seg.key] != nil {
		half := stub{kind: halfOpen, base: base, syn: first}
		if len(seg.payload) > 0 {
			data := bytes.Clone(seg.payload)
			half.data = &data
		}
		s.remember(&seg.key, half)
		s.used(seg)
		return
	}
	s.counters.halfOpen++
	if f := s.newFlow(seg, stray); f != nil {
		s.stubs.remove(&seg.key)
		f.ev = *first.evidence(s.clock())
		f.hasBase, f.base, f.beyond, f.early = true, base, base, true
		if ok && known.kind == over {
			f.prior = known.seen()
		}
		data := *seg
		data.seq, data.flags = base, 0
		s.store(f, &data)
	}
}

// proves reports whether a segment shows that the server accepted the SYN before it: it
// acknowledges the right number, or follows the first data, which is then late.
func proves(seg *segment, base uint32) bool {
	if seg.seq == base {
		return seg.flags&(flagACK|flagRST) == flagACK
	}
	behind := len(seg.payload) > 0 && seg.flags&flagACK != 0 || seg.flags&(flagFIN|flagRST) != 0
	return behind && seg.seq-base < maxWindow
}

// tookData reports whether a segment shows that the server accepted the data in the SYN:
// the client continues after them.
func (s *stub) tookData(seg *segment) bool {
	return len(s.synData()) > 0 && seg.seq == s.base+uint32(len(s.synData())) && seg.flags&(flagACK|flagRST) == flagACK
}

// storeSYNData gives a new flow the data of its SYN, which used has already counted. by is the
// segment that shows that the server took them, nil if that is not known.
func (s *Stack) storeSYNData(f *flow, known *stub, by *segment) {
	s.loses(f.key.service, outcome.DropOutOfWindow, outcome.DropOutOfWindow, -uint64(len(known.synData()))) // after all
	data := segment{key: f.key, seq: known.base, part: true, payload: known.synData()}
	if by != nil {
		data.ack, data.flags = by.ack, flagACK
	}
	s.store(f, &data)
}

// dropSYNData drops what came with the SYN of a flow.
func (s *Stack) dropSYNData(f *flow, why outcome.Drop) {
	f.early, f.beyond = false, f.base
	if e := f.q.first(); e != nil && e.seq == f.base && !e.acks {
		s.lost(f, 1, why)
	}
	if last := f.q.last(); last != nil {
		f.beyond = last.end()
	}
	s.charge(f)
}

// unproven takes a segment of a flow whose SYN was seen, but not yet the proof that the
// server accepted it.
func (s *Stack) unproven(f *flow, seg *segment) {
	fits := proves(seg, f.base) || seg.flags&(flagACK|flagRST) == flagACK && seg.seq-f.base <= f.sent()-f.base
	took := f.ev.server.ack
	if f.early && seg.seq == f.base && len(seg.payload) > 0 && f.ev.judge(seg) == accepted && (!took.known || took.at == f.base) {
		s.dropSYNData(f, outcome.DropDuplicate) // the client sends it again
	}
	switch {
	case seg.flags&flagRST != 0 && seg.seq == f.base && (f.early || f.q.len() == 0):
		s.used(seg)
		s.discard(f, outcome.DropOutOfWindow, over)
	case !fits:
		s.drop(seg, outcome.DropOutOfWindow)
	case seg.flags&flagRST == 0 && f.ev.judge(seg) == rejected:
		s.drop(seg, outcome.DropRejected)
	case f.ev.server.nxt.known && seg.flags&flagRST == 0 && f.ev.judge(seg) == accepted, f.ev.server.nxt.known && seg.flags&flagRST != 0, !f.ev.server.nxt.known && !s.twoWay():
		if seg.seq == f.base && f.q.len() == 0 {
			f.q.acked, f.q.ack = true, seg.ack // what is sent next is no answer to an answer
		}
		s.beginWith(f, f.base, seg)
	default:
		// The mirror shows servers: wait a moment for the SYN-ACK, or for the reset
		// with which the server answers a wrong acknowledgement.
		f.due = earlier(f.due, s.now.Add(s.cfg.Grace))
		switch {
		case !f.ev.server.nxt.known:
			s.segmentOf(f, seg)
		case seg.next() != seg.seq:
			s.setAside(f, seg, oddACK) // the real bytes may still come
		default:
			s.drop(seg, outcome.DropNoPayload)
		}
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
		s.begin(f, f.base)
	case rejected:
		s.turnedAway(f, outcome.DropRejected)
	}
}

// unanswered ends the wait for the server's answer to a SYN.
func (s *Stack) unanswered(f *flow) {
	if v := f.ev.judgeACK(f.lastACK); v != accepted {
		// Where the mirror has lost the SYN-ACK, it may have lost more of the server's.
		lost := v == doubtful && !f.ev.server.first.known && f.ev.plausible(f.lastACK)
		if f.ev.server.heard > f.opened.Sub(s.epoch) && !lost {
			s.turnedAway(f, outcome.DropRejected)
			return
		}
		f.ev.silent()
	}
	s.begin(f, f.base)
}

// turnedAway drops what the server has refused: it was never part of a connection.
func (s *Stack) turnedAway(f *flow, why outcome.Drop) {
	key, half := f.key, stub{kind: halfOpen, base: f.base}
	if f.hasBase {
		ev := f.ev
		half.ev = &ev
	}
	s.discard(f, why, over)
	switch known, ok := s.stubs.get(&key, s.now); {
	case half.ev != nil:
		s.stubs.put(&key, half, s.now) // the right acknowledgement may still come
	case !ok || known.kind != halfOpen: // else it is the SYN beside which this came
		s.stubs.remove(&key)
	}
}

// serverShownFor is how long a mirror counts as showing servers after the last packet of
// any server.
const serverShownFor = 10 * time.Second

// twoWay reports whether the mirror shows the server's direction as well.
func (s *Stack) twoWay() bool {
	return !s.serverShown.IsZero() && s.now.Sub(s.serverShown) < serverShownFor
}
