package stack

import "netmirror/outcome"

// onReaderAtEnd is called by a stream's reader at the client's FIN.
func (s *Stack) onReaderAtEnd(c *Conn) {
	f := c.flow
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.removed {
		return
	}
	s.catchUp()
	s.counters.completed++
	s.level(f, c.position())
	if f.q.len() > 0 && f.q.first().fin {
		s.takeFIN(f)
	}
	s.discard(f, outcome.DropDuplicate, over)
	s.pumpDirty()
}

// lostWith is the reason for which unread bytes are lost when a reader gives up with e.
func lostWith(e outcome.End) outcome.Drop {
	if e == outcome.EndShed {
		return outcome.DropMaxConns // no other budget is a reader's
	}
	return e.Drop()
}

// onReaderClosed is called by a stream's reader that gives up with e. Where the target has only
// closed its connection, which it may do between two requests, the stream goes
// on as another one.
func (s *Stack) onReaderClosed(c *Conn, e outcome.End) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.catchUp()
	defer s.pumpDirty()
	f := c.flow
	closed, why := e == outcome.EndTargetClosed, lostWith(e)
	if closed && s.resume(f, c) {
		return
	}
	end, live := c.leave(why)
	if !live || f.removed {
		return
	}
	s.level(f, end)
	s.counters.ended[outcome.EndTargetClosed]++
	if !closed {
		undecided, reached := s.withdraw(f, f), f.sent()
		s.missed(f, nil, f.virtual.ack, f.sent())
		s.discard(f, why, s.remains(f))
		s.takeIn(undecided, reached) // one may hold the head of the next request
	} else {
		rest := f.rest(why)
		s.discard(f, why, s.remains(f))
		s.pickUp(f, rest, why)
	}
}

// resume hands out the part of a stream that begins at the first request that
// the target has nothing of, as a stream of its own. It reports false where
// there is no such request. At one place that is tried once: a target that
// takes nothing at all would be dialed forever.
func (s *Stack) resume(f *flow, c *Conn) bool {
	from := seqMax(c.position(), c.begin) // what is in front of c.begin is given again
	if c.retried && !seqLess(c.begin, from) && s.serviceOf(f).Midstream == MidstreamHTTP {
		from = c.begin + 1
	}
	at, ok := f.nextStart(from)
	switch s.serviceOf(f).Midstream {
	case MidstreamAny:
		at, ok = from, c.unread() > 0 && !(c.retried && !seqLess(c.begin, from))
	case MidstreamHTTP:
		ok = ok && !seqLess(c.received(), at) // or it waits for gVisor, and pickUp finds it
	}
	if !ok || s.stops(f.key.service) || f.virtual.shift != 0 || s.serviceOf(f).Midstream == MidstreamOff {
		return false
	}
	next := c.successor(at)
	if next == nil {
		return false
	}
	if _, ok := s.lingering[c]; ok {
		delete(s.lingering, c)
		s.lingering[next] = struct{}{}
	}
	s.counters.ended[outcome.EndTargetClosed]++
	s.counters.pickedUp++
	if f.virtual.conn == c {
		f.virtual.conn = next
	}
	s.serviceOf(f).conns-- // c's
	s.handOut(next)
	return true
}
