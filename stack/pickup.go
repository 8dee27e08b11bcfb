package stack

import (
	"netmirror/http1"
	"netmirror/outcome"
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

// remains is the kind of stub that is left of a flow's connection when its stream is given up.
func (s *Stack) remains(f *flow) stubKind {
	midstream := s.serviceOf(f).Midstream
	switch {
	case f.over() || f.state == open && f.ended() || f.final || f.virtual.finished || f.ending && f.reason.Final():
		return over
	case midstream == MidstreamOff, midstream == MidstreamHTTP && f.framing.opaque():
		return opaque
	}
	return midStream
}

// rest is a flow that is not in the table yet, with what is known of f's
// connection, whose stream is given up for why, and what f holds.
func (f *flow) rest(why outcome.Drop) *flow {
	r := &flow{
		key: f.key, picked: true, prior: f.prior, counted: f.came(midStream), lostFor: why, ending: f.ending, reason: f.reason, final: f.final,
		mirrorView: mirrorView{
			base: f.base, lostSYN: true, past: span{f.origin() - 1, f.came(midStream)},
			beyond: f.beyond, serverAck: f.serverAck, q: f.q.moved(), ev: f.ev, framing: f.framing.apart(),
			multipath: f.multipath, last: f.last,
			finSeen: f.finSeen, fin: f.fin, rstSeen: f.rstSeen, rst: f.rst,
		},
		virtual: virtualClient{finished: f.virtual.finished},
	}
	r.standing.rank = f.standing.rank
	r.pastACK = front{r.past.to, f.q.ack, f.q.acked}
	r.aside, f.aside = f.aside, nil
	return r
}

// inOnePiece reports whether what a rest holds goes on where the stream has ended, without a hole.
func (f *flow) inOnePiece() bool {
	first, last := f.q.first(), f.q.last()
	return first == nil || first.seq == f.past.to && last.seq+last.n-first.seq == uint32(f.q.bytes)
}

// pickUp begins another stream in what f, which has been given up, held; why is the
// reason under which bytes that join no stream are counted.
func (s *Stack) pickUp(f, rest *flow, why outcome.Drop) {
	undecided, reached := s.withdraw(f, rest), rest.sent()
	s.pickUpQueued(f, rest, why)
	s.takeIn(undecided, reached)
}

// pickUpQueued is pickUp for what f had in its place.
func (s *Stack) pickUpQueued(f, rest *flow, why outcome.Drop) {
	start := s.startAt(rest)
	known, next := s.stubs.get(&f.key, s.now)
	next = next && known.kind == halfOpen // the next connection's SYN
	overtaken := s.knowsNext(f)
	late := !rest.ending && (why != outcome.DropGap && !rest.inOnePiece() || rest.endsInLine()) // the mirror, or the client, may bring it yet
	if rest.q.len() == 0 || start.e == nil && !late || f.newer != nil || s.stops(f.key.service) && !rest.ending {
		s.missed(rest, nil, rest.counted, rest.sent())
		rest.counted = rest.sent()
		for rest.q.len() > 0 {
			s.skip(rest, why, why)
		}
		switch { // with what was passed over
		case f.newer != nil || overtaken:
		case s.flows[f.key] == f: // until gVisor has handed it out
			f.passedOver = rest
		default:
			s.leaves(&f.key, rest.stub(s.remains(rest)))
		}
		return
	}
	wait := start.e == nil || !start.sure && s.clock()-start.e.at < s.cfg.Grace
	if !wait {
		s.missed(rest, start.e, f.virtual.ack, start.e.seq)
	}
	if rest.synSeen, rest.overtaken = next, overtaken; !next && !overtaken {
		s.stubs.remove(&f.key)
	}
	s.add(rest) // in front of f, which has not been handed out yet, or of the one before
	if wait {
		// What is in front may be late, and hold the head of a request, or show that this is
		// the middle of one.
		rest.base, rest.due = rest.q.first().seq, s.now.Add(tick)
		s.charge(rest)
		return
	}
	s.pickedUp(rest, start, why)
}

// endsInLine reports whether what f holds ends with what may be the beginning of a request line,
// which the client may still be writing.
func (f *flow) endsInLine() bool {
	end := f.q.last()
	for e := end; e != nil && e.n > 0 && end.end()-e.seq <= maxRequestLine; e = e.prev() {
		if l, last := f.likeness(e); l == http1.Possible && last == end {
			return true
		}
	}
	return false
}

// beforeRequest shortens p so that it cannot hold the beginning of the next
// request of c's stream. The error is outcome.EndTargetClosed where there is nothing before.
func (s *Stack) beforeRequest(c *Conn, p []byte) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.serviceOf(c.flow).Midstream != MidstreamHTTP || s.stops(c.flow.key.service) || c.flow.virtual.shift != 0 {
		return p, nil
	}
	s.catchUp()
	defer s.pumpDirty()
	at, ok := c.flow.nextStart(c.position())
	if ok && at == c.position() {
		switch {
		case c.retried && at == c.begin: // it would begin there again
			at, ok = c.flow.nextStart(at + 1)
		case c.unread() == 0: // it is not with gVisor yet, or a budget has taken it and ended the stream
			return c.lookedAt(p)
		default:
			return nil, outcome.EndTargetClosed
		}
	}
	if !ok {
		return c.lookedAt(p)
	}
	return p[:min(len(p), int(at-c.position()))], nil
}

// came is the sequence number before which what is remembered of a connection ends: of
// one that goes on, only bytes that came in one piece.
func (f *flow) came(kind stubKind) uint32 {
	switch {
	case kind == over:
	case f.state == open:
		return f.virtual.ack
	case !f.hasBase && f.past != (span{}):
		return f.past.to
	case !f.hasBase && f.passed != (span{}):
		return f.passed.to
	}
	return f.sent()
}

// accounted is the sequence number before which the holes of a flow that ends were
// counted.
func (f *flow) accounted() uint32 {
	switch {
	case f.state == parked && (f.past != (span{}) || f.passed != (span{})):
		return f.counted
	case f.dropped.known:
		return f.dropped.at
	}
	return f.sent()
}

// over reports whether the connection has ended with a FIN or a RST that counted: all
// before it came, or the server has it.
func (f *flow) over() bool {
	at, has := f.came(midStream), f.serverAck
	if f.state != open && f.past == (span{}) {
		if f.passed == (span{}) {
			return f.finSeen || f.rstSeen
		}
		if has = at; f.serverSaid.known {
			has = f.serverSaid.at
		}
	}
	return f.finSeen && (at == f.fin || at == f.fin+1 || seqLess(f.fin, has)) ||
		f.rstSeen && (at == f.rst || has == f.rst)
}
