package stack

import (
	"bytes"
	"time"

	"netmirror/http1"
	"netmirror/outcome"
	"netmirror/service"
)

// park keeps a segment of a connection whose start was not seen: its SYN may
// be late, or it may be part of a request to begin with.
func (s *Stack) park(seg *segment, known *stub) {
	if len(seg.payload) == 0 && seg.flags&(flagFIN|flagRST) == 0 {
		s.drop(seg, outcome.DropNoPayload)
		return
	}
	if seg.flags&(flagACK|flagRST) == 0 {
		s.drop(seg, outcome.DropRejected)
		return
	}
	f := s.newFlow(seg, stray)
	if f == nil {
		return
	}
	if known != nil {
		s.takeUp(f, known)
	}
	s.parked(f, seg)
}

// takeUp lets f go on with a connection of which a stub is known. A SYN that came since stays.
func (s *Stack) takeUp(f *flow, known *stub) {
	f.lostSYN, f.past = true, s.past(known, f.key.service)
	f.first.set(known.seen().from + 1)
	f.learn(known)
	next, ok := s.stubs.get(&f.key, s.now)
	if f.synSeen = ok && next.kind == halfOpen; f.synSeen {
		next.prev = nil
		f.behind.set(next.base)
		s.stubs.put(&f.key, next, next.put.time())
		return
	}
	s.stubs.remove(&f.key)
}

// learn takes over what is remembered of a connection.
func (f *flow) learn(known *stub) {
	if known.prior != (span{}) {
		f.prior = known.prior
	}
	if known.ev != nil {
		f.ev = *known.ev
	}
	if at := known.left; at != nil {
		f.framing, f.counted, f.lostFor = at.framing, at.counted, at.lostFor
		f.pastACK, f.skipped = at.pastACK, at.skipped
		f.q.acked, f.q.ack = at.acked, at.ack
	}
}

// past is what was seen of a connection before: it is in a stream, or was given
// up. Where any segment may begin a stream, all that is older counts.
func (s *Stack) past(known *stub, of service.ID) span {
	if s.services[of].Midstream == MidstreamAny {
		return span{known.end - maxWindow, known.end}
	}
	return known.seen()
}

// parked takes a segment of a flow that has no start yet, or, with the SYN's
// data in hand, waits for the proof that the server took it.
func (s *Stack) parked(f *flow, seg *segment) {
	if !f.hasBase || f.due.IsZero() || !within(seg.ack, f.lastACK, maxWindow) {
		f.lastACK = seg.ack // else the least that the client acknowledged proves the SYN
	}
	switch {
	case f.hasBase:
		s.unproven(f, seg)
	case f.past.has(seg.seq):
		s.drop(seg, outcome.DropDuplicate)
	case seg.flags&(flagACK|flagRST) == 0, f.refuses(seg):
		s.drop(seg, outcome.DropRejected)
	default:
		if len(f.aside) > 0 {
			s.compares(f, seg)
		}
		if seqLess(seg.seq, f.base) {
			if f.q.len() > 0 && f.q.last().end()-seg.seq >= maxWindow {
				s.drop(seg, outcome.DropOutOfWindow) // not all of it can be of one connection
				return
			}
			f.base = seg.seq
		}
		f.due = earlier(f.due, s.now.Add(s.cfg.Grace))
		s.segmentOf(f, seg)
		if !f.removed && len(f.aside) > 0 {
			s.reconsider(f)
		}
		if !f.removed && f.state == parked && f.q.count > s.cfg.MaxPending {
			f.lostSYN = true
			s.seek(f, true)
		}
	}
}

// refuses reports whether the real server drops a segment of a flow without a start, by
// what its other segments have shown.
func (f *flow) refuses(seg *segment) bool {
	// Where the mirror shows the client only, it may have taken any answer by bare ACKs.
	if seg.flags&flagRST != 0 || f.q.len() == 0 && (f.past == (span{}) || !f.ev.server.nxt.known) {
		return false
	}
	v := f.ev.judge(seg)
	return (v == rejected || v == doubtful && !f.ev.plausible(seg.ack)) && !f.ev.refuse(seg)
}

// seekAside takes back what is beside a flow without a start, if the mirror has not shown
// the server since.
func (s *Stack) seekAside(f *flow) {
	if len(f.aside) == 0 || s.serverSpeaks(f) || s.now.Sub(f.aside[0].at) < s.cfg.Grace {
		return
	}
	f.ev.silent()
	f.ev.client.ack.set(f.aside[0].ack)
	s.reconsider(f)
}

// setStrayAside keeps the last segment that a flow holds beside its stream, which is about
// to begin, where it lies further ahead than a single one is believed.
func (s *Stack) setStrayAside(f *flow) {
	e := f.q.last()
	if e == nil || e.n == 0 || e.packets > 1 || e.prev() == nil || e.seq-e.prev().end() <= nearby || f.multipath {
		return
	}
	seg := segment{key: f.key, seq: e.seq, ack: e.ack, flags: flagPSH, part: e.packets == 0, noACK: !e.acks, payload: bytes.Clone(e.payload())}
	if e.acks {
		seg.flags |= flagACK
	}
	f.q.removeLast()
	if f.beyond == seg.end() {
		f.beyond = f.q.last().end()
	}
	s.charge(f) // it takes its room again, or none
	s.setAside(f, &seg, farAway)
}

// seek lets a parked flow begin where it may, once what the mirror has delayed
// has had time to come, or now. What has waited in vain is dropped.
func (s *Stack) seek(f *flow, now bool) {
	if s.seekAside(f); f.removed {
		return
	}
	elapsed := s.clock()
	start := s.startAt(f)
	if start.e != nil && elapsed-start.e.at >= s.patience(f) && f.oldInFront(start.e) {
		s.dropsOld(f, start.e)
		start = s.startAt(f)
	}
	if start.e != nil && (now || elapsed-start.e.at >= s.patience(f)) {
		if s.mayBegin(f) && s.withinRate(f) {
			if f.past != (span{}) {
				s.missed(f, start.e, f.counted, start.e.seq)
			}
			s.pickedUp(f, start, outcome.DropMidStream)
		}
		return
	}
	for f.q.first() != start.e && (elapsed >= s.frontUntil(f) || f.q.count > s.cfg.MaxPending) {
		s.passOver(f, outcome.DropMidStream)
	}
	s.charge(f)
	switch {
	case start.e != nil:
		f.due = s.epoch.Add(start.e.at + s.patience(f))
	case f.q.len() > 0:
		f.due = s.epoch.Add(s.frontUntil(f))
	case f.rstSeen && s.now.Sub(f.opened) < s.hold(f):
		f.due = f.opened.Add(s.hold(f))
	default:
		s.discard(f, outcome.DropMidStream, s.remains(f))
	}
}

// earlier is the earlier of two times, of which a may be none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}

// hold is how long what a flow without a start holds waits for a place to begin at.
func (s *Stack) hold(f *flow) time.Duration {
	if f.lostSYN {
		return s.cfg.Grace
	}
	return s.cfg.GapTimeout
}

// frontUntil is until when the first bytes that f holds wait for a place to begin at, since
// Stack.epoch. If the client may still be writing the request line that they begin, the time
// begins with the last of them.
func (s *Stack) frontUntil(f *flow) time.Duration {
	first := f.q.first()
	if likeness, last := f.likeness(first); likeness == http1.Possible {
		return last.newest + s.cfg.GapTimeout
	}
	return first.at + s.hold(f)
}

// oldInFront reports whether e is a single segment that came after what lies behind it, and
// behind a hole that has stayed open: the server has had that place before. It has not if
// it says that it has this segment and nothing behind it.
func (f *flow) oldInFront(e *entry) bool {
	next := e.next()
	if f.serverSaid.known && f.serverSaid.at == e.end() {
		return false
	}
	return f.past == (span{}) && next != nil && next.seq != e.end() && next.at < e.at && e.packets <= 1
}

// dropsOld drops what f holds up to e, which is old. It says nothing of what comes next.
func (s *Stack) dropsOld(f *flow, e *entry) {
	acked, ack := f.q.acked, f.q.ack
	for behind := e.next(); f.q.first() != behind; {
		s.lost(f, 1, outcome.DropOutOfWindow)
	}
	f.q.acked, f.q.ack, f.base = acked, ack, f.q.first().seq
}

// patience is how long a place to begin at waits. Where the mirror shows the server,
// a request of a connection that nothing is known of waits for its word: it may answer
// with a reset. Beside a SYN it waits for the client's: it may be of the connection before.
func (s *Stack) patience(f *flow) time.Duration {
	if !f.lostSYN && !f.taken && f.past == (span{}) && (s.twoWay() || f.synSeen) {
		return s.cfg.GapTimeout
	}
	return s.cfg.Grace
}

// pickedUp begins a stream at a place in what f holds.
func (s *Stack) pickedUp(f *flow, start place, why outcome.Drop) {
	for f.q.first() != start.e {
		if e := f.q.first(); f.past != (span{}) && !seqLess(f.counted, e.end()) {
			s.lostAs(f, 1, why, outcome.DropDuplicate)
			continue
		}
		s.lost(f, 1, why)
	}
	if n := f.q.trimFront(start.at); n > 0 {
		s.loses(f.key.service, why, f.cause(why), uint64(n))
	}
	s.charge(f)
	s.counters.pickedUp++
	f.picked = true
	lead, whole := f.framing.proxied(), f.framing.whole
	f.framing.begin(start.at, false)
	f.framing.lead, f.framing.whole, f.framing.sure, f.framing.alike = lead, whole, true, start.like
	if s.serviceOf(f).Midstream != MidstreamHTTP {
		f.framing.known = false
	}
	s.start(f, start.at)
	s.setStrayAside(f)
}

// passOver drops the first entry that f holds, in which no stream can begin, and counts
// the hole in front of it.
func (s *Stack) passOver(f *flow, why outcome.Drop) {
	e, as := f.q.first(), f.cause(why)
	switch {
	case e.mayProbe():
		as = outcome.DropProbe
	case f.past == (span{}):
		// A single packet elsewhere may be a stray, and says nothing of what was missing.
		next := e.next()
		switch goesOn := e.packets > 1 || next != nil && next.seq == e.end(); {
		case f.passed != (span{}) && goesOn && seqLess(f.counted, e.seq):
			s.missed(f, e, f.counted, e.seq)
			f.counted = e.end()
		case f.passed == (span{}), f.counted == e.seq:
			f.counted = e.end()
		}
	case seqLess(f.counted, e.end()):
		s.missed(f, e, f.counted, e.seq)
		f.counted = e.end()
	default:
		as = outcome.DropDuplicate // it comes late, and was counted as missing
	}
	s.skip(f, why, as)
}

// passesOver notes bytes in which no stream can begin, as far as they came in one piece.
func (f *flow) passesOver(e *entry) {
	f.skipped = stretch{e.seq, front{e.end(), e.ack, e.acks}}
	if f.hasBase {
		return // past and passed are of what came before the stream
	}
	in := &f.past
	if f.past == (span{}) {
		if in = &f.passed; f.passed == (span{}) {
			f.passed = span{e.seq - 1, e.seq}
		}
	}
	if in.has(e.seq-1) && seqLess(in.to, e.end()) {
		in.to = e.end()
		f.pastACK = front{in.to, e.ack, e.acks}
	}
}

// skip drops the first entry that f holds and reads its framing.
func (s *Stack) skip(f *flow, why, as outcome.Drop) {
	if e := f.q.first(); !e.fin && !e.mayProbe() {
		f.framing.readOn(e.seq, e.payload(), &f.ev.answers)
		f.passesOver(e)
	}
	s.lostAs(f, 1, why, as)
}
