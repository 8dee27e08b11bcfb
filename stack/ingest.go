package stack

import "slices"

// segment takes one segment in.
func (s *Stack) segment(m *Segment) {
	s.counters.packets++
	var seg segment
	network := slices.Index(s.cfg.VNIs, m.VNI)
	ok := network >= 0 && seg.parse(m, network)
	if m.FromServer {
		s.counters.serverBytes += uint64(len(seg.payload))
	} else {
		s.counters.bytes += uint64(len(seg.payload))
	}
	switch {
	case !ok && m.FromServer:
		s.counters.dropped[DropBadAddress]++
	case !ok:
		s.drop(&seg, DropBadAddress)
	case m.FromServer:
		s.reverse(m, &seg)
	case m.Truncated:
		s.drop(&seg, DropTruncated)
		s.truncated(m, &seg)
	case !s.cfg.Checksums.sound(m.IP, m.TCP):
		s.drop(&seg, DropBadChecksum)
	default:
		if f := s.flows[seg.key]; f != nil {
			s.known(f, &seg)
		} else {
			s.unknown(&seg)
		}
	}
}

func (s *Stack) drop(seg *segment, why Drop) {
	s.counters.dropped[why]++
	s.counters.droppedBytes[why] += uint64(len(seg.payload))
}

// used counts a segment that did its work without a byte for the stream. What it
// carries all the same is of no connection.
func (s *Stack) used(seg *segment) {
	s.counters.packetsUsed++
	s.counters.droppedBytes[DropOutOfWindow] += uint64(len(seg.payload))
}

// truncated learns from a segment that the mirror has cut that its bytes will
// not come whole.
func (s *Stack) truncated(m *Segment, seg *segment) {
	f := s.flows[seg.key]
	whole := m.length()
	if f == nil || f.state != open || whole < len(m.IP) {
		return
	}
	end := seg.end() + uint32(whole-len(m.IP))
	if seg.seq-f.ack < maxWindow || f.ack-seg.seq < maxWindow {
		f.cut = span{seg.seq, end}
		f.sentUpTo(end)
		s.touch(f)
	}
}

// unknown takes a segment of a connection that has no flow.
func (s *Stack) unknown(seg *segment) {
	known, ok := s.stubs.get(&seg.key, s.now)
	switch {
	case seg.flags&flagSYN != 0:
		s.syn(seg)
	case !ok:
		s.park(seg, nil)
	case known.kind == over && (known.seen().has(seg.seq) || seg.seq == known.end):
		s.drop(seg, DropFlowOver)
	case known.kind == over:
		s.park(seg, nil) // another connection on these ports, whose SYN was lost or is late
	case seg.flags&(flagFIN|flagRST) != 0 && known.kind != halfOpen && len(seg.payload) == 0:
		s.drop(seg, DropMidStream)
		s.stubs.put(&seg.key, known.ended(seg.seq+1), s.now)
	case known.kind == opaque:
		s.drop(seg, DropMidStream)
		s.stubs.put(&seg.key, known, s.now)
	case known.kind == midStream && s.past(&known).has(seg.seq):
		s.drop(seg, DropDuplicate)
	case known.kind == midStream && (seg.seq-known.end < maxWindow || known.end-seg.seq < maxWindow):
		s.park(seg, &known)
	case known.kind == midStream:
		s.park(seg, nil) // as above
	case seg.flags&flagRST != 0 && seg.seq == known.base:
		s.stubs.remove(&seg.key)
		s.used(seg)
	case !proves(seg, known.base):
		s.drop(seg, DropOutOfWindow)
	default:
		s.stubs.remove(&seg.key)
		if f := s.newFlow(seg); f != nil {
			s.start(f, known.base)
			s.segmentOf(f, seg)
		}
	}
}

// remember keeps what is known of a connection that has not been proven: the
// sequence number of its first byte.
func (s *Stack) remember(key *flowKey, base uint32) {
	s.counters.halfOpen++
	s.stubs.put(key, stub{kind: halfOpen, base: base}, s.now)
	if f := s.flows[*key]; f != nil {
		f.synSeen = true
	}
}

// syn remembers a client's SYN. What proves that the server took it comes
// later; until then it costs no more than a stub, unless it brings data along
// (RFC 7413).
func (s *Stack) syn(seg *segment) {
	base := seg.seq + 1
	if seg.flags&(flagACK|flagRST|flagFIN) != 0 {
		s.drop(seg, DropOutOfWindow)
		return
	}
	if known, ok := s.stubs.get(&seg.key, s.now); ok && known.began(base, s.now) {
		s.drop(seg, DropDuplicate)
		return
	}
	if len(seg.payload) == 0 || s.flows[seg.key] != nil {
		s.remember(&seg.key, base)
		s.used(seg)
		return
	}
	s.counters.halfOpen++
	if f := s.newFlow(seg); f != nil {
		s.stubs.remove(&seg.key)
		f.hasBase, f.base, f.beyond = true, base, base
		data := *seg
		data.seq, data.flags = base, 0
		s.store(f, &data)
	}
}

// proves reports whether a segment shows that the server took the SYN before
// it: an acknowledgement of the right place, or what comes behind the first
// data, which then is late.
func proves(seg *segment, base uint32) bool {
	if seg.seq == base {
		return seg.flags&(flagACK|flagRST) == flagACK
	}
	behind := len(seg.payload) > 0 && seg.flags&flagACK != 0 || seg.flags&(flagFIN|flagRST) != 0
	return behind && seg.seq-base < maxWindow
}

// known takes a segment of a connection that has a flow.
func (s *Stack) known(f *flow, seg *segment) {
	if seg.flags&flagSYN != 0 {
		s.synAgain(f, seg)
		return
	}
	if f.synSeen && s.superseded(f, seg) {
		return
	}
	f.seen = s.now
	if f.state == parked {
		s.parked(f, seg)
		return
	}
	s.segmentOf(f, seg)
}

// superseded takes the first segment of a connection that followed on the same
// ports. It reports false where seg is none.
func (s *Stack) superseded(f *flow, seg *segment) bool {
	next, ok := s.stubs.get(&seg.key, s.now)
	if !ok || next.kind != halfOpen {
		f.synSeen = false
		return false
	}
	if seg.flags&flagRST != 0 || !proves(seg, next.base) || seg.seq != next.base && !f.delivered() {
		return false
	}
	s.stubs.remove(&seg.key)
	if nf := s.replace(f, seg); nf != nil {
		s.start(nf, next.base)
		s.segmentOf(nf, seg)
	}
	return true
}

// delivered reports whether gVisor has all that the client sent.
func (f *flow) delivered() bool {
	return f.state == open && f.q.len() == 0 && (f.finSeen || f.rstSeen)
}

// synAgain takes a SYN on the addresses of a flow.
func (s *Stack) synAgain(f *flow, seg *segment) {
	base := seg.seq + 1
	switch {
	case f.hasBase && base == f.base, f.past.has(seg.seq),
		f.picked && f.base-base < lateSYN && s.now.Sub(f.opened) < s.cfg.GapTimeout:
		s.drop(seg, DropDuplicate)
	case f.state == parked && !f.hasBase && seg.flags&(flagACK|flagRST|flagFIN) == 0:
		// Late, as was hoped; what is parked proves it.
		s.counters.halfOpen++
		s.used(seg)
		s.unpark(f, base)
	default:
		s.syn(seg)
	}
}

// unpark starts a flow whose SYN came after other segments of it, and lets go
// of what an older connection on the same ports left behind.
func (s *Stack) unpark(f *flow, base uint32) {
	for f.q.len() > 0 && f.q.first().seq-base >= maxWindow {
		s.lost(&f.q, 1, DropOutOfWindow)
	}
	f.q.acked = false // what left the front was not of this connection
	for f.q.len() > 0 && f.q.last().seq-base >= maxWindow {
		s.lostLast(f, DropOutOfWindow)
	}
	f.finSeen = f.finSeen && f.fin-base < maxWindow
	s.charge(f)
	f.rstSeen = f.rstSeen && f.rst-base < maxWindow
	s.start(f, base)
}
