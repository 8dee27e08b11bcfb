package stack

import (
	"slices"
	"time"

	"netmirror/http1"
)

// Midstream says where a stream may begin in a connection whose start was not
// seen, or that lost bytes, or whose target ended first.
type Midstream uint8

const (
	// MidstreamHTTP begins where a segment begins an HTTP/1.x request that the
	// client had reason to send: the first, or one behind an answer. What it
	// sends on without an answer may be a body.
	MidstreamHTTP Midstream = iota
	MidstreamAny            // at the next segment
	MidstreamOff            // never
)

// place is where a stream may begin: at, in the entry e.
type place struct {
	e    *entry
	at   uint32
	sure bool // nothing is missing in front of it that could show otherwise
}

// startAt finds the first place in what f holds at which a stream may begin; its
// entry is nil if there is none.
//
// Where the framing of what came before is known, that is where the next request
// begins, wherever a segment does. Behind a loss that hides it, and in a connection
// older than netmirror, it is a segment that looks like the beginning of a request.
func (s *Stack) startAt(f *flow) (found place) {
	switch s.cfg.Midstream {
	case MidstreamOff:
		return place{}
	case MidstreamAny:
		for e := f.q.first(); e != nil; e = e.next() {
			if e.first && e.n > 0 && !e.mayProbe() {
				return place{e, e.seq, true}
			}
		}
		return place{}
	}
	g := f.framing.apart()
	missing := false
	for e := f.q.first(); e != nil && found.e == nil; e = e.next() {
		if e.n == 0 {
			continue
		}
		if prev, seen := f.before(e); seen && prev.end != e.seq {
			missing = true
		}
		if g.known && seqLess(g.at, e.seq) {
			g.skip(e.seq)
		}
		switch {
		case g.known && !seqLess(g.at, e.end()):
		case g.known:
			g.read(e.payload()[g.at-e.seq:], func(at uint32) {
				if found.e == nil {
					found = place{e, at, !missing}
				}
			})
		case f.begins(e):
			found = place{e, e.seq, !missing}
		}
	}
	return found
}

// maxRequestLine is how many bytes are looked at for the end of a request line
// that is split over segments.
const maxRequestLine = 16 << 10

// begins reports whether the segment at e begins an HTTP/1 request that the client
// was free to send: one directly behind what it sent before the last answer is a part
// of that.
func (f *flow) begins(e *entry) bool {
	if !e.first || e.mayProbe() || !f.fresh(e) {
		return false
	}
	judge := http1.Unmistakable
	if prev, seen := f.before(e); seen && prev.end == e.seq {
		judge = http1.Start // what is in front of it is there, so that it is no part of a line
	}
	if e.n == 1 && e.next() != nil && e.next().seq == e.end() && e.next().n > 1 &&
		http1.Unmistakable(e.next().payload()) == http1.Request {
		return false // a probe, and the request behind it
	}
	l := judge(e.payload())
	if l != http1.Possible {
		return l == http1.Request
	}
	line := slices.Clone(e.payload())
	judged := len(line)
	for end := e.end(); l == http1.Possible && len(line) < maxRequestLine; end = e.end() {
		// What follows an answer is not the rest of a line.
		if e = e.next(); e == nil || e.n == 0 || e.seq != end || e.ack != e.prev().ack {
			break
		}
		line = append(line, e.payload()...)
		// Not at each of many small pieces: it takes time linear in the line.
		if len(line)-judged > judged/8 {
			l, judged = judge(line), len(line)
		}
	}
	if l == http1.Possible {
		l = judge(line)
	}
	return l == http1.Request || l == http1.Possible && len(line) >= maxRequestLine
}

// front is what is known of what the client sent in front of a place.
type front struct {
	end   uint32 // the bytes end before
	ack   uint32 // what they acknowledged; valid with acked
	acked bool
}

// before is what was seen in front of e. seen is false where nothing was.
func (f *flow) before(e *entry) (at front, seen bool) {
	for prev := e.prev(); prev != nil; prev = prev.prev() {
		if !prev.single || e.at-prev.at < probePause {
			return front{prev.end(), prev.ack, prev.acks}, true
		}
	}
	return front{f.past.to, f.q.ack, f.q.acked}, f.past != span{}
}

// fresh reports whether the client had been answered between the bytes in
// front of e and e. Where nothing is known of what is in front, it may have
// been. Where bytes are missing in between, it is not enough that the client had an
// answer since: that may be the one to the request before the one whose head is
// missing.
func (f *flow) fresh(e *entry) bool {
	prev, seen := f.before(e)
	if !prev.acked || !e.acks {
		return true
	}
	if !seqLess(f.ev.answers.beyond(prev.ack), e.ack) {
		return false
	}
	if seen && prev.end != e.seq {
		if yes, ok := f.ev.answers.between(prev.end, e.seq, e.ack); ok {
			return yes
		}
	}
	return true
}

// park keeps a segment of a connection whose start was not seen: its SYN may
// be late, or it may be part of a request to begin with.
func (s *Stack) park(seg *segment, known *stub) {
	if len(seg.payload) == 0 && seg.flags&(flagFIN|flagRST) == 0 {
		s.drop(seg, DropNoPayload)
		return
	}
	if seg.flags&(flagACK|flagRST) == 0 {
		s.drop(seg, DropRejected)
		return
	}
	f := s.newFlow(seg, stray)
	if f == nil {
		return
	}
	if known != nil {
		s.stubs.remove(&seg.key)
		f.lostSYN, f.past = true, s.past(known)
		f.q.acked, f.q.ack = known.acked, known.ack
		f.learn(known)
	}
	s.parked(f, seg)
}

// learn takes over what is remembered of a connection.
func (f *flow) learn(known *stub) {
	if known.ev != nil {
		f.ev = *known.ev
	}
	if known.framing != nil {
		f.framing = *known.framing
	}
}

// past is what was seen of a connection before: it is in a stream, or was given
// up. Where any segment may begin a stream, all that is older counts.
func (s *Stack) past(known *stub) span {
	if s.cfg.Midstream == MidstreamAny {
		return span{known.end - maxWindow, known.end}
	}
	return known.seen()
}

// parked takes a segment of a flow that has no start yet, or, with the SYN's
// data in hand, waits for the proof that the server took it.
func (s *Stack) parked(f *flow, seg *segment) {
	f.lastACK = seg.ack
	switch {
	case f.hasBase:
		s.unproven(f, seg)
	case f.past.has(seg.seq):
		s.drop(seg, DropDuplicate)
	case seg.flags&(flagACK|flagRST) == 0:
		s.drop(seg, DropRejected)
	default:
		if seqLess(seg.seq, f.base) {
			if f.q.len() > 0 && f.q.last().end()-seg.seq >= maxWindow {
				s.drop(seg, DropOutOfWindow) // not all of it can be of one connection
				return
			}
			f.base = seg.seq
		}
		f.due = earlier(f.due, s.now.Add(s.cfg.Grace))
		s.segmentOf(f, seg)
		if !f.removed && f.q.count > s.cfg.MaxPending {
			f.lostSYN = true
			s.seek(f, true)
		}
	}
}

// seek lets a parked flow begin where it may, once what the mirror has delayed
// has had time to come, or now. What has waited in vain is dropped.
func (s *Stack) seek(f *flow, now bool) {
	elapsed := s.clock()
	start := s.startAt(f)
	if start.e != nil && (now || elapsed-start.e.at >= s.patience(f)) {
		if s.mayBegin(f) {
			if f.past != (span{}) {
				s.missed(&f.q, start.e, f.past.to, start.e.seq)
			}
			s.pickedUp(f, start, DropMidStream)
		}
		return
	}
	hold := s.cfg.GapTimeout
	if f.lostSYN {
		hold = s.cfg.Grace
	}
	for f.q.first() != start.e && (elapsed-f.q.first().at >= hold || f.q.count > s.cfg.MaxPending) {
		s.passOver(f, DropMidStream)
	}
	s.charge(f)
	switch {
	case start.e != nil:
		f.due = s.epoch.Add(start.e.at + s.patience(f))
	case f.q.len() > 0:
		f.due = s.epoch.Add(f.q.first().at + hold)
	case f.rstSeen && s.now.Sub(f.opened) < hold:
		f.due = f.opened.Add(hold)
	default:
		s.discard(f, DropMidStream, s.remains(f))
	}
}

// patience is how long a place to begin at waits. Where the mirror shows the server,
// a request of a connection that nothing is known of waits for its word: it may answer
// with a reset.
func (s *Stack) patience(f *flow) time.Duration {
	if !f.lostSYN && !f.taken && f.past == (span{}) && s.twoWay() {
		return s.cfg.GapTimeout
	}
	return s.cfg.Grace
}

// pickedUp begins a stream at a place in what f holds.
func (s *Stack) pickedUp(f *flow, start place, why Drop) {
	for f.q.first() != start.e {
		s.lost(&f.q, 1, why)
	}
	if n := f.q.trimFront(start.at); n > 0 {
		s.counters.droppedBytes[why] += uint64(n)
	}
	s.charge(f)
	s.counters.pickedUp++
	f.picked = true
	lead, whole := f.framing.proxied(), f.framing.whole
	f.framing.begin(start.at, false)
	f.framing.lead, f.framing.whole, f.framing.sure = lead, whole, true
	if s.cfg.Midstream != MidstreamHTTP {
		f.framing.known = false
	}
	s.start(f, start.at)
}

// passOver drops the first entry that f holds, in which no stream can begin, and
// reads its framing.
func (s *Stack) passOver(f *flow, why Drop) {
	e := f.q.first()
	if g := &f.framing; g.known && e.n > 0 {
		if seqLess(g.at, e.seq) {
			g.skip(e.seq)
		}
		if g.known && seqLess(g.at, e.end()) {
			g.read(e.payload()[g.at-e.seq:], nil)
		}
	}
	if f.past != (span{}) && seqLess(f.past.to, e.end()) {
		s.missed(&f.q, e, f.past.to, e.seq)
		f.past.to = e.end()
	}
	s.lost(&f.q, 1, why)
}

// earlier is the earlier of two times, of which a may be none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}

// remains is what a connection is to be remembered as whose stream is given up.
func (s *Stack) remains(f *flow) stubKind {
	switch {
	case f.finSeen || f.rstSeen || f.ending && f.reason.final():
		return over
	case s.cfg.Midstream == MidstreamOff, s.cfg.Midstream == MidstreamHTTP && f.framing.opaque():
		return opaque
	}
	return midStream
}

// rest is a flow that is not in the table yet, with what is known of f's
// connection and what f holds.
func (f *flow) rest() *flow {
	r := &flow{
		key: f.key, base: f.base, picked: true, lostSYN: true, past: span{f.origin() - 1, f.sent()},
		beyond: f.beyond, serverAck: f.serverAck, q: f.q.moved(), ev: f.ev, framing: f.framing.apart(),
		multipath: f.multipath,
		finSeen:   f.finSeen, fin: f.fin, rstSeen: f.rstSeen, rst: f.rst,
		ending: f.ending, reason: f.reason,
	}
	r.standing.rank = f.standing.rank
	if r.q.len() > 0 {
		r.past.to = f.ack
	}
	r.aside, f.aside = f.aside, nil
	return r
}

// pickUp begins another stream in what f, which has been given up, held; why is the
// reason under which bytes that join no stream are counted.
func (s *Stack) pickUp(f, rest *flow, why Drop) {
	undecided := rest.aside
	rest.aside = nil
	s.pickUpQueued(f, rest, why)
	s.takeIn(undecided)
}

// pickUpQueued is pickUp for what f had in its place.
func (s *Stack) pickUpQueued(f, rest *flow, why Drop) {
	start := s.startAt(rest)
	kind := s.remains(rest)
	known, next := s.stubs.get(&f.key, s.now)
	next = next && known.kind == halfOpen // the next connection's SYN
	if start.e == nil || kind == opaque || f.newer != nil || s.stopping && !rest.ending {
		from := rest.past.to
		if rest.q.len() == 0 {
			from = f.ack
		}
		s.missed(&rest.q, nil, from, rest.sent())
		rest.past.to = rest.sent()
		for rest.q.len() > 0 {
			s.passOver(rest, why)
		}
		if s.flows[f.key] == nil && !next {
			s.stubs.put(&f.key, rest.stub(kind), s.now)
		}
		return
	}
	wait := !start.sure && s.clock()-start.e.at < s.cfg.Grace
	if !wait {
		s.missed(&rest.q, start.e, f.ack, start.e.seq)
	}
	if rest.synSeen = next; !next {
		s.stubs.remove(&f.key)
	}
	older := s.flows[f.key] // f, which has not been handed out yet, or the one before
	s.add(rest)
	if older != nil {
		rest.older, older.newer = older, rest
	}
	if wait {
		// What is in front may be late, and show that this is the middle of a request.
		rest.base, rest.due = rest.q.first().seq, s.now.Add(tick)
		s.charge(rest)
		return
	}
	s.pickedUp(rest, start, why)
}

// beforeRequest shortens p so that it cannot hold the beginning of the next
// request of c's stream. The error is EndTarget where there is nothing before.
func (s *Stack) beforeRequest(c *Conn, p []byte) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cfg.Midstream != MidstreamHTTP || s.stopping || c.flow.shift != 0 {
		return p, nil
	}
	s.now = s.cfg.Now()
	s.collect()
	defer s.pumpDirty()
	at, ok := c.flow.nextStart(c.position())
	if ok && at == c.position() {
		switch {
		case c.retried && at == c.begin: // it would begin there again
			at, ok = c.flow.nextStart(at + 1)
		case c.unread() == 0:
			return nil, errWait
		default:
			return nil, EndTarget
		}
	}
	if !ok {
		// What can be read by now was looked at; what comes next was not.
		return p[:min(len(p), max(c.unread(), 1))], nil
	}
	return p[:min(len(p), int(at-c.position()))], nil
}
