package stack

import "netmirror/outcome"

// reverseSubflow takes a server's segment of a TCP connection that speaks MPTCP. The
// flow of the connection learns from it in data sequence space.
func (s *Stack) reverseSubflow(m *Segment, seg *segment) {
	if s.damaged(m) {
		return
	}
	var o mptcpOptions
	o.read(seg.options)
	known, next := s.subflow(&seg.key)
	accepts := seg.synACK()
	switch {
	case next != nil && accepts && seg.ack == next.isn+1:
		s.subflowAnswered(m, seg, &o, next)
	case known != nil && accepts && seg.ack == known.isn+1:
		s.answeredLate(m, seg, &o, known)
	case known != nil && accepts:
	case known != nil && known.kind == belongs:
		s.ofServer(m, known, seg, &o)
	case known == nil && next != nil && next.kind == joining && seg.flags&flagRST != 0:
		s.refusedJoin(&seg.key, next)
	case known != nil, next != nil && next.kind != candidate && next.kind != plainTCP:
	case accepts && o.join, accepts && o.capable: // the SYN was lost
		kind := candidate
		if o.join {
			kind = orphan
		}
		s.subflowAnswered(m, seg, &o, s.newSubflow(&seg.key, kind, seg.ack-1))
	default:
		s.serverSays(m, seg)
	}
}

// subflowAnswered takes the SYN-ACK of a connection that asked for MPTCP. A server that
// does not speak it leaves the option out.
func (s *Stack) subflowAnswered(m *Segment, seg *segment, o *mptcpOptions, f *subflow) {
	f.ev.answered(seg, s.clock())
	f.serverISN, f.hasServerISN = seg.seq, true
	switch {
	case f.kind == joining, f.kind == orphan:
		return
	case f.kind == candidate && o.capable && o.keys == 1:
		f.serverKey, f.hasKey, f.version = o.key[0], true, o.version
	case f.kind == candidate && !o.capable:
		f.kind = plainTCP
	}
	s.serverSays(m, seg)
}

// answeredLate takes a SYN-ACK that comes behind what it was acknowledged with.
func (s *Stack) answeredLate(m *Segment, seg *segment, o *mptcpOptions, f *subflow) {
	if f.hasServerISN && f.ev.server.nxt.known {
		return // again
	}
	f.ev.answered(seg, s.clock())
	f.serverISN, f.hasServerISN = seg.seq, true
	c := f.of
	if f.kind != belongs || c.key != seg.key || !o.capable || o.keys != 1 {
		return
	}
	c.scale = f.ev.server.scale
	token, idsn := ofKey(o.version, o.key[0])
	if !f.hasKey {
		f.serverKey, f.hasKey = o.key[0], true
		c.serverKey, c.hasKey, c.token = f.serverKey, true, token
		s.called(c)
	}
	seg.seq, seg.ack = idsn, c.base
	if !c.answered.known {
		c.answered.set(idsn + 1)
	}
	s.serverSays(m, seg)
}

// ofServer takes a server's segment of a subflow.
func (s *Stack) ofServer(m *Segment, f *subflow, seg *segment, o *mptcpOptions) {
	c := f.of
	f.seen = s.now
	f.ev.hears(seg, s.clock())
	place := seg.seq
	s.ontoAnswers(f, seg, o)
	if o.fastclose = o.fastclose && (!c.hasClientKey || o.key[1] == c.clientKey); o.fastclose || seg.flags&flagRST != 0 {
		s.serverEnds(m, f, seg, o, place)
		return
	}
	if seg.flags&flagFIN != 0 {
		f.end()
		seg.flags &^= flagFIN
	}
	if mp, ok := o.mapping(f.serverISN, 0); ok && !o.capable && f.hasServerISN {
		f.server.add(mp)
	}
	if f.ev.server.nxt.known {
		f.server.movedTo(f.ev.server.nxt.at)
	}
	whole := *seg
	for rest := seg.payload; len(rest) > 0; {
		mp := f.server.find(place)
		if mp == nil {
			break
		}
		covered, _ := mp.covers(place)
		n := min(len(rest), int(covered))
		piece := whole
		piece.seq, piece.payload = mp.place(place), rest[:n]
		c.answered.move(piece.end(), farthest)
		s.serverSays(m, &piece)
		rest, place = rest[n:], place+uint32(n)
	}
	if len(seg.payload) > 0 || !c.answered.known {
		return
	}
	seg.seq = c.answered.at
	if o.bareFIN() {
		seg.seq, seg.flags = o.dsn, seg.flags|flagFIN
	}
	s.serverSays(m, seg)
}

// serverEnds takes a server's segment that ends a subflow, or the whole connection.
func (s *Stack) serverEnds(m *Segment, f *subflow, seg *segment, o *mptcpOptions, place uint32) {
	c := f.of
	if !o.fastclose && !o.fail && !f.ev.endsAt(place) {
		s.serverResets(m, f, seg, o, place)
		return
	}
	f.end()
	switch {
	case o.fastclose, !s.goesOnWithout(c, o):
		if c.answered.known {
			seg.flags, seg.seq, seg.payload = flagRST, c.answered.at, nil
			s.serverSays(m, seg)
		}
	case o.fail && f.ev.server.nxt.known && within(place, f.ev.server.nxt.at, nearby):
		s.mappingFailed(c, o.failAt)
	}
}

// serverResets takes a server's RST that lies elsewhere than its bytes end in the subflow. The
// client asks back (RFC 5961, section 3.2), and goes on if the RST was none of the subflow's.
// Of the only subflow, the flow judges it as that of a TCP connection.
func (s *Stack) serverResets(m *Segment, f *subflow, seg *segment, o *mptcpOptions, place uint32) {
	c, at := f.of, f.ev.server.nxt
	switch {
	case !at.known || !within(place, at.at, f.ev.client.maxWindow()-1) || c.finSeen || o.transient || f.ended:
	case c.alive > 1:
		f.end()
		f.doubted = true
	case c.answered.known:
		seg.flags, seg.seq, seg.payload = flagRST, c.answered.at+(place-at.at), nil
		s.serverSays(m, seg)
	}
}

// mappingFailed is called where the server found a checksum of the data wrong (RFC 8684,
// section 3.7). It has discarded what came on that subflow from a data sequence number on, and the
// client sends it again on another. Which of the bytes in the stream something on the way has
// altered is not known.
func (s *Stack) mappingFailed(c *multipath, from uint32) {
	g := s.flows[c.key]
	if g == nil || g.state == parked || !seqLess(from, g.beyond) || seqLess(from, g.origin()) {
		return
	}
	s.end(g, outcome.EndGap, outcome.DropSubflow)
}

// ontoAnswers moves a server's segment of a subflow to its connection's key,
// acknowledgements and window.
func (s *Stack) ontoAnswers(f *subflow, seg *segment, o *mptcpOptions) {
	c := f.of
	if o.acks {
		c.serverAt.move(o.ack, maxWindow)
		seg.ack = o.ack
	} else {
		seg.ack, seg.noACK = c.serverAt.at, true
	}
	if !c.serverAt.known {
		seg.ack = c.base
	}
	seg.key, seg.stamped, seg.options = c.key, false, nil
	window := uint32(seg.window) << f.ev.server.scale >> c.scale
	seg.window = uint16(min(window, unscaled))
}
