package stack

import "time"

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

// startAt finds the first entry that a stream may begin at, nil if there is none.
func (s *Stack) startAt(q *sendQueue) *entry {
	if s.cfg.Midstream == MidstreamOff {
		return nil
	}
	for e := q.first(); e != nil; e = e.next() {
		if s.cfg.Midstream == MidstreamAny && e.first || q.request(e) {
			return e
		}
	}
	return nil
}

// park keeps a segment of a connection whose start was not seen: its SYN may
// be late, or it may be part of a request to begin with.
func (s *Stack) park(seg *segment, known *stub) {
	if len(seg.payload) == 0 && seg.flags&(flagFIN|flagRST) == 0 {
		s.drop(seg, DropNoPayload)
		return
	}
	f := s.newFlow(seg)
	if f == nil {
		return
	}
	if known != nil {
		s.stubs.remove(&seg.key)
		f.lostSYN, f.past = true, s.past(known)
		f.q.acked, f.q.ack = known.acked, known.ack
	}
	s.parked(f, seg)
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
	switch {
	case f.hasBase && (proves(seg, f.base) || seg.flags&(flagACK|flagRST) == flagACK && seg.seq-f.base <= f.sent()-f.base):
		s.start(f, f.base)
		s.segmentOf(f, seg)
	case f.hasBase && seg.flags&flagRST != 0 && seg.seq == f.base:
		s.used(seg)
		s.discard(f, DropOutOfWindow, over)
	case f.hasBase:
		s.drop(seg, DropOutOfWindow)
	case f.past.has(seg.seq):
		s.drop(seg, DropDuplicate)
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
	elapsed := s.now.Sub(s.epoch)
	start := s.startAt(&f.q)
	if start != nil && (now || elapsed-start.at >= s.cfg.Grace) {
		s.lostBefore(&f.q, start, DropMidStream)
		s.charge(f)
		s.counters.pickedUp++
		f.picked = true
		s.start(f, f.q.first().seq)
		return
	}
	hold := s.cfg.GapTimeout
	if f.lostSYN {
		hold = s.cfg.Grace
	}
	for f.q.first() != start && (elapsed-f.q.first().at >= hold || f.q.count > s.cfg.MaxPending) {
		s.lost(&f.q, 1, DropMidStream)
	}
	s.charge(f)
	switch {
	case start != nil:
		f.due = s.epoch.Add(start.at + s.cfg.Grace)
	case f.q.len() > 0:
		f.due = s.epoch.Add(f.q.first().at + hold)
	case f.rstSeen && s.now.Sub(f.opened) < hold:
		f.due = f.opened.Add(hold)
	default:
		s.discard(f, DropMidStream, s.remains(f))
	}
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
	case s.cfg.Midstream == MidstreamOff, s.cfg.Midstream == MidstreamHTTP && f.opaque:
		return opaque
	}
	return midStream
}

// rest is a flow that is not in the table yet, with what is known of f's
// connection and what f holds.
func (f *flow) rest() *flow {
	return &flow{
		key: f.key, base: f.base, picked: true, opaque: f.opaque, past: span{f.origin() - 1, f.sent()},
		beyond: f.beyond, clientAck: f.clientAck, serverAck: f.serverAck, q: f.q.moved(),
		finSeen: f.finSeen, fin: f.fin, rstSeen: f.rstSeen, rst: f.rst,
		ending: f.ending, reason: f.reason,
	}
}

// pickUp begins another stream in what f, which has been given up, held; why
// is what of it is counted under that is in no stream.
func (s *Stack) pickUp(f, rest *flow, why Drop) {
	start := s.startAt(&rest.q)
	kind := s.remains(rest)
	known, next := s.stubs.get(&f.key, s.now)
	next = next && known.kind == halfOpen // the next connection's SYN
	if start == nil || kind == opaque || f.newer != nil || s.stopping && !rest.ending {
		s.missed(&rest.q, nil, f.ack, rest.sent())
		s.lost(&rest.q, rest.q.len(), why)
		if s.flows[f.key] == nil && !next {
			s.stubs.put(&f.key, rest.stub(kind), s.now)
		}
		return
	}
	s.missed(&rest.q, start, f.ack, start.seq)
	s.lostBefore(&rest.q, start, why)
	s.counters.pickedUp++
	if rest.synSeen = next; !next {
		s.stubs.remove(&f.key)
	}
	s.add(rest)
	if !f.removed {
		rest.older, f.newer = f, rest
	}
	s.start(rest, rest.q.first().seq)
	s.charge(rest)
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
		case c.retried && at == c.first: // it would begin there again
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
