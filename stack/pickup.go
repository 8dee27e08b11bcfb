package stack

import (
	"time"

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
	case f.finSeen || f.rstSeen || f.ending && f.reason.Final():
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
func (s *Stack) pickUp(f, rest *flow, why outcome.Drop) {
	undecided := rest.aside
	rest.aside = nil
	s.pickUpQueued(f, rest, why)
	s.takeIn(undecided)
}

// pickUpQueued is pickUp for what f had in its place.
func (s *Stack) pickUpQueued(f, rest *flow, why outcome.Drop) {
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
// request of c's stream. The error is outcome.EndTargetClosed where there is nothing before.
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
			return nil, outcome.EndTargetClosed
		}
	}
	if !ok {
		// What can be read by now was looked at; what comes next was not.
		return p[:min(len(p), max(c.unread(), 1))], nil
	}
	return p[:min(len(p), int(at-c.position()))], nil
}
