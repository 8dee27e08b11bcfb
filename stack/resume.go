package stack

import "netmirror/outcome"

// finished is called by a stream's reader at the client's FIN.
func (s *Stack) finished(c *Conn) {
	f := c.flow
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.removed {
		return
	}
	s.now = s.cfg.Now()
	s.collect()
	s.counters.completed++
	s.level(f, c.position())
	if f.q.len() > 0 && f.q.first().fin {
		s.received(f)
	}
	s.discard(f, outcome.DropDuplicate, over)
	s.pumpDirty()
}

// left is called by a stream's reader that gives up. Where the target has only
// closed its connection, which it may do between two requests, the stream goes
// on as another one.
func (s *Stack) left(c *Conn, closed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = s.cfg.Now()
	s.collect()
	defer s.pumpDirty()
	f := c.flow
	if closed && s.resume(f, c) {
		return
	}
	end, live := c.leave()
	if !live || f.removed {
		return
	}
	s.level(f, end)
	s.counters.ended[outcome.EndTargetClosed]++
	if !closed {
		s.missed(&f.q, nil, f.ack, f.sent())
		s.discard(f, outcome.DropTargetEnded, s.remains(f))
	} else {
		rest := f.rest()
		s.discard(f, outcome.DropTargetEnded, s.remains(f))
		s.pickUp(f, rest, outcome.DropTargetEnded)
	}
}

// resume hands out the part of a stream that begins at the first request that
// the target has nothing of, as a stream of its own. It reports false where
// there is no such request. At one place that is tried once: a target that
// takes nothing at all would be dialled for ever.
func (s *Stack) resume(f *flow, c *Conn) bool {
	from := c.position()
	if seqLess(from, c.begin) {
		from = c.begin // what is in front of it is given again
	}
	if c.retried && !seqLess(c.begin, from) && s.cfg.Midstream == MidstreamHTTP {
		from = c.begin + 1
	}
	at, ok := f.nextStart(from)
	switch s.cfg.Midstream {
	case MidstreamAny:
		at, ok = from, c.unread() > 0 && !(c.retried && !seqLess(c.begin, from))
	case MidstreamHTTP:
		ok = ok && !seqLess(c.received(), at) // or it waits for gVisor, and pickUp finds it
	}
	if !ok || s.stopping || f.shift != 0 || s.cfg.Midstream == MidstreamOff {
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
	s.counters.flowsOpened++
	if f.conn == c {
		f.conn = next
	}
	s.accepted.put(next)
	return true
}
