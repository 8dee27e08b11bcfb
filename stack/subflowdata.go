package stack

import (
	"time"

	"netmirror/outcome"
)

// ontoData learns from a client's segment of a subflow and moves it to its
// connection's key and acknowledgements; its sequence number is left for the caller.
// Timestamps, options and checksums count within the subflow only.
func (s *Stack) ontoData(f *subflow, seg *segment, o *mptcpOptions) {
	c := f.of
	f.ev.takes(seg, s.clock())
	if o.acks {
		c.clientAt.move(o.ack, maxWindow)
	}
	if m, ok := f.mappingOf(o); ok {
		f.client.add(m)
	}
	seg.key, seg.subflow, seg.multipath = c.key, true, c.joined
	seg.stamped, seg.options, seg.sum = false, nil, sumUnread
	switch {
	case o.acks:
		seg.ack = o.ack
	case c.clientAt.known:
		seg.ack = c.clientAt.at
	default:
		seg.noACK = true
	}
}

// mappingOf is the mapping that the options of a client's segment have. One without an
// end turns the subflow into a TCP connection, from what was received on (RFC 8684, section
// 3.7): it places the bytes where the mappings before do, or it is none that a receiver could use.
func (f *subflow) mappingOf(o *mptcpOptions) (m mapping, ok bool) {
	m, ok = o.mapping(f.isn, f.of.base)
	return m, ok && (!m.endless || f.client.goOn(&m))
}

// mapping is the mapping that the options of a segment of a subflow have. base is the
// data sequence number behind the sender's initial one.
func (o *mptcpOptions) mapping(isn, base uint32) (m mapping, ok bool) {
	switch {
	case o.capable && o.length > 0:
		return mapping{from: isn + 1, dsn: base, n: uint32(o.length)}, true
	case !o.maps || o.bareFIN():
		return mapping{}, false
	}
	m = mapping{from: isn + o.ssn, dsn: o.dsn, n: uint32(o.dll), endless: o.dll == 0, fin: o.dataFIN}
	if m.fin {
		m.n--
	}
	return m, m.n > 0 || m.endless
}

// mapped takes a segment with payload, which begins at a place in the subflow, piece by
// piece of its mappings.
func (s *Stack) mapped(f *subflow, seg *segment, o *mptcpOptions, place uint32) {
	f.client.movedTo(f.next.at)
	whole := *seg
	own, hasOwn := f.mappingOf(o)
	for rest := seg.payload; len(rest) > 0; {
		piece := whole
		m := f.client.find(place)
		if n, ok := own.covers(place); hasOwn && ok && n > 0 {
			m = &own // what comes with the bytes is surer than what came before
		}
		if m == nil {
			m = f.fallback(place)
		}
		n := len(rest)
		if m != nil {
			covered, _ := m.covers(place)
			n = min(n, int(covered))
		} else {
			n = f.client.unmapped(place, n)
		}
		piece.payload, rest = rest[:n], rest[n:]
		last := len(rest) == 0
		piece.flags &^= flagFIN
		if m == nil {
			s.drop(&piece, outcome.DropSubflow) // a hole, so that the stream ends rather than be altered
		} else {
			s.piece(f, &piece, m, place, last && seg.flags&flagFIN != 0)
		}
		place, whole.part = place+uint32(n), true
	}
	if seg.flags&flagFIN != 0 {
		f.end()
	}
	if o.bareFIN() {
		whole.payload = nil
		s.dataFIN(f, &whole, o.dsn)
	}
	if g := s.flows[f.of.key]; seg.flags&flagFIN != 0 && g != nil && f.of.endMissed() {
		s.sentUpTo(g, f.of.sent.at+1)
		s.touch(g)
	}
}

// endMissed reports whether all subflows have ended, and no DATA_FIN has come.
func (c *multipath) endMissed() bool { return c.alive == 0 && !c.finSeen }

// fallback is the mapping of a connection without any: it fell back to TCP before its
// first byte (RFC 8684, section 3.7).
func (f *subflow) fallback(place uint32) *mapping {
	if c := f.of; len(f.client) > 0 || c.joined || place != f.isn+1 {
		return nil
	}
	f.client.add(mapping{from: f.isn + 1, dsn: f.of.base, endless: true})
	return &f.client[0]
}

// piece takes a piece of a segment that lies within the mapping m. fin says that the
// subflow ends with it.
func (s *Stack) piece(f *subflow, seg *segment, m *mapping, place uint32, fin bool) {
	c := f.of
	seg.seq = m.place(place)
	if m.fin && place+uint32(len(seg.payload)) == m.from+m.n || m.endless && fin {
		seg.flags |= flagFIN
		c.finSeen = true
	}
	c.sent.move(seg.end(), farthest)
	s.toFlow(seg)
}

// dataFIN takes a DATA_FIN that comes without the last byte.
func (s *Stack) dataFIN(f *subflow, seg *segment, at uint32) {
	c := f.of
	c.finSeen = true
	c.sent.move(at, farthest)
	seg.seq = at
	seg.flags |= flagFIN
	s.toFlow(seg)
}

// bare takes a segment of a subflow without payload.
func (s *Stack) bare(f *subflow, seg *segment, o *mptcpOptions, place uint32) {
	c := f.of
	ends := seg.flags&flagFIN != 0
	seg.flags &^= flagFIN
	if ends {
		f.end()
	}
	if o.bareFIN() {
		s.dataFIN(f, seg, o.dsn)
		return
	}
	at, known := f.sentBefore(place)
	switch {
	case ends && len(f.client) > 0 && f.client[len(f.client)-1].endless:
		c.finSeen, seg.flags = true, seg.flags|flagFIN
	case ends && c.endMissed():
		at = c.sent.at + 1
		if g := s.flows[c.key]; g != nil {
			s.sentUpTo(g, at)
		}
	case c.joined:
		g := s.flows[c.key]
		if g != nil && g.state == open {
			g.seen, g.last = s.now, s.captured
			if !known || !seqLess(g.tail(), at) {
				g.ev.takes(seg, s.clock())
				g.serverRST = time.Time{}
				s.drop(seg, outcome.DropNoPayload) // that this subflow has sent no more says nothing
				return
			}
		}
	}
	seg.seq = at
	s.toFlow(seg)
}

// sentBefore is the data sequence number before which the client has sent everything
// where the subflow has sent everything before place. known is false where the
// mappings do not tell.
func (f *subflow) sentBefore(place uint32) (at uint32, known bool) {
	c := f.of
	if len(f.client) == 0 {
		return c.base + (place - f.isn - 1), !c.joined
	}
	m := &f.client[len(f.client)-1]
	return m.place(place), !c.joined || m.endless || place-m.from <= m.n
}

// subflowReset takes the RST of a subflow at a place in it. It ends the connection
// only where nothing else carries it, nor will.
func (s *Stack) subflowReset(f *subflow, seg *segment, o *mptcpOptions, place uint32) {
	if !within(place, f.next.at, nearby) {
		s.drop(seg, outcome.DropOutOfWindow)
		return
	}
	f.doubted = f.doubted || !f.ended && place != f.next.at
	f.end()
	if s.goesOnWithout(f.of, o) {
		s.drop(seg, outcome.DropNoPayload)
		return
	}
	s.connectionReset(f, seg, place-f.next.at)
}

// goesOnWithout reports whether a connection goes on behind the RST of a subflow: others are
// there, or the client has asked for another one.
func (s *Stack) goesOnWithout(c *multipath, o *mptcpOptions) bool {
	return c.alive > 0 || c.finSeen || o.transient || s.now.Sub(c.asked) < halfOpenTimeout
}

// connectionReset takes a segment that aborts the whole connection (RFC 8684, section 3.5).
// It is ahead of what was seen of the subflow.
func (s *Stack) connectionReset(f *subflow, seg *segment, ahead uint32) {
	f.end()
	seg.flags = flagRST | seg.flags&flagACK
	seg.seq = f.of.sent.at + ahead
	s.toFlow(seg)
}
