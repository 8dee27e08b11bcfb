package stack

import (
	"slices"
	"time"
)

const (
	// halfOpenTimeout is how long an unproven SYN is remembered: longer than
	// a client goes on retransmitting the end of its handshake unanswered.
	halfOpenTimeout = 30 * time.Second
	// overTimeout is how long the end of a flow is remembered, so that what
	// the client retransmits of it is known for what it is.
	overTimeout = 60 * time.Second
)

// segment takes one segment in.
func (s *Stack) segment(m *Segment) {
	s.counters.packets++
	var seg segment
	network := slices.Index(s.cfg.VNIs, m.VNI)
	ok := network >= 0 && seg.parse(m, network)
	s.counters.bytes += uint64(len(seg.payload))
	switch {
	case !ok:
		s.drop(&seg, DropBadAddress)
	case m.FromServer:
		s.drop(&seg, DropReverse)
	case m.Truncated:
		s.drop(&seg, DropTruncated)
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

// used counts a segment that did its work without a byte for the stream.
func (s *Stack) used() { s.counters.packetsUsed++ }

// unknown takes a segment of a connection that has no flow.
func (s *Stack) unknown(seg *segment) {
	known, ok := s.stubs.get(&seg.key, s.now)
	switch {
	case seg.flags&flagSYN != 0:
		s.syn(seg)
	case !ok:
		s.park(seg)
	case known.kind == over:
		s.drop(seg, DropFlowOver)
	case known.kind == midStream:
		s.drop(seg, DropMidStream)
	case seg.flags&flagRST != 0 && seg.seq == known.base:
		s.stubs.remove(&seg.key)
		s.used()
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

// syn remembers a client's SYN. What proves that the server took it comes
// later; until then it costs no more than a stub, unless it brings data along
// (RFC 7413).
func (s *Stack) syn(seg *segment) {
	base := seg.seq + 1
	if seg.flags&(flagACK|flagRST|flagFIN) != 0 {
		s.drop(seg, DropOutOfWindow)
		return
	}
	if known, ok := s.stubs.get(&seg.key, s.now); ok && known.kind == halfOpen && known.base == base {
		s.drop(seg, DropDuplicate)
		return
	}
	s.counters.halfOpen++
	if len(seg.payload) == 0 || s.flows[seg.key] != nil {
		s.stubs.put(&seg.key, stub{kind: halfOpen, base: base, until: s.now.Add(halfOpenTimeout)})
		s.used()
		s.counters.droppedBytes[DropOutOfWindow] += uint64(len(seg.payload))
		return
	}
	if f := s.newFlow(seg); f != nil {
		s.stubs.remove(&seg.key)
		f.hasBase, f.base = true, base
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

// park keeps a segment whose SYN was not seen, in case that it is only late.
func (s *Stack) park(seg *segment) {
	if len(seg.payload) == 0 && seg.flags&(flagFIN|flagRST) == 0 {
		s.drop(seg, DropNoPayload)
		return
	}
	if f := s.newFlow(seg); f != nil {
		f.base = seg.seq
		s.parked(f, seg)
	}
}

// parked takes a segment of a flow that waits for its SYN, or, with the SYN's
// data in hand, for the proof that the server took it.
func (s *Stack) parked(f *flow, seg *segment) {
	switch {
	case f.hasBase && proves(seg, f.base):
		s.start(f, f.base)
		s.segmentOf(f, seg)
	case f.hasBase && seg.flags&flagRST != 0 && seg.seq == f.base:
		s.used()
		s.discard(f, DropOutOfWindow, over)
	case f.hasBase:
		s.drop(seg, DropOutOfWindow)
	case f.q.len() >= s.cfg.MaxPending:
		s.drop(seg, DropMidStream)
		s.discard(f, DropMidStream, midStream)
	default:
		if seqLess(seg.seq, f.base) {
			f.base = seg.seq
		}
		s.segmentOf(f, seg)
	}
}

// known takes a segment of a connection that has a flow.
func (s *Stack) known(f *flow, seg *segment) {
	if seg.flags&flagSYN != 0 {
		s.synAgain(f, seg)
		return
	}
	// The first segment of a connection that followed on the same ports.
	if next, ok := s.stubs.get(&seg.key, s.now); ok && next.kind == halfOpen &&
		seg.flags&flagRST == 0 && proves(seg, next.base) && (seg.seq == next.base || f.delivered()) {
		s.stubs.remove(&seg.key)
		if nf := s.replace(f, seg); nf != nil {
			s.start(nf, next.base)
			s.segmentOf(nf, seg)
		}
		return
	}
	f.seen = s.now
	if f.state == parked {
		s.parked(f, seg)
		return
	}
	s.segmentOf(f, seg)
}

// delivered reports whether gVisor has all that the client sent.
func (f *flow) delivered() bool {
	return f.state == open && f.q.len() == 0 && (f.finSeen || f.rstSeen)
}

// synAgain takes a SYN on the addresses of a flow.
func (s *Stack) synAgain(f *flow, seg *segment) {
	switch {
	case f.hasBase && seg.seq+1 == f.base:
		s.drop(seg, DropDuplicate)
	case f.state == parked && !f.hasBase && seg.flags&(flagACK|flagRST|flagFIN) == 0:
		// Late, as was hoped; what is parked proves it.
		s.counters.halfOpen++
		s.used()
		f.hasBase, f.base = true, seg.seq+1
		s.counters.droppedBytes[DropOutOfWindow] += uint64(len(seg.payload))
		s.unpark(f)
	default:
		s.syn(seg)
	}
}

// unpark starts a flow whose SYN came after other segments of it, and lets go
// of what an older connection on the same ports left behind.
func (s *Stack) unpark(f *flow) {
	for f.q.len() > 0 && f.q.first().seq-f.base >= maxWindow {
		p, n := f.q.pop()
		s.lost(p, n, DropOutOfWindow)
	}
	s.charge(f)
	f.finSeen = f.finSeen && f.fin-f.base < maxWindow
	f.rstSeen = f.rstSeen && f.rst-f.base < maxWindow
	s.start(f, f.base)
}

// segmentOf takes data, FIN or RST into the flow.
func (s *Stack) segmentOf(f *flow, seg *segment) {
	switch {
	case seg.flags&flagRST != 0:
		s.reset(f, seg)
	case len(seg.payload) > 0 || seg.flags&flagFIN != 0:
		s.store(f, seg)
	default:
		s.drop(seg, DropNoPayload)
	}
}

// reset notes a client's RST. It takes effect when everything before it has
// been received, so that it cannot throw away what the server still read. One
// that lies before what was received already is from another time.
func (s *Stack) reset(f *flow, seg *segment) {
	if f.rstSeen || f.ending || seqLess(seg.seq, f.floor()) || seg.seq-f.floor() >= maxWindow {
		s.drop(seg, DropOutOfWindow)
		return
	}
	f.rstSeen, f.rst = true, seg.seq
	s.counters.packetsUsed++
	s.counters.droppedBytes[DropOutOfWindow] += uint64(len(seg.payload))
	s.touch(f)
}

// store queues what is new in a segment.
func (s *Stack) store(f *flow, seg *segment) {
	floor := f.floor()
	seq, end := seg.seq, seg.end()
	if f.ending || seqLess(floor, seq) && seq-floor >= maxWindow {
		s.drop(seg, DropOutOfWindow)
		return
	}
	if seqLess(seq, floor) {
		seq = floor
	}
	if f.finSeen && seqLess(f.fin, end) {
		if f.hasBase {
			end = f.fin
		} else {
			s.dropFIN(f)
		}
	}
	if need := entryOverhead + len(seg.payload); f.cost+need > s.cfg.FlowBytes {
		s.shed(f, seg, DropFlowBudget)
		return
	} else if s.held+need > s.cfg.TotalBytes {
		s.shed(f, seg, DropTotalBudget)
		return
	}
	packets, stored := uint32(1), 0
	for seqLess(seq, end) {
		at, from, to, ok := f.q.lacks(seq, end)
		if !ok {
			break
		}
		to = min(to-from, maxPayload) + from
		f.q.insert(at, s.carry(f, seg, from, to, packets))
		packets, stored = 0, stored+int(to-from)
		seq = to
	}
	if seg.flags&flagFIN != 0 && !f.finSeen && !seqLess(seg.end(), floor) {
		packets = s.fin(f, seg.end(), packets)
	}
	if packets == 1 {
		s.counters.dropped[DropDuplicate]++
	}
	s.counters.droppedBytes[DropDuplicate] += uint64(len(seg.payload) - stored)
	s.charge(f)
	s.touch(f)
}

// maxPayload is what fits into one packet beside either IP header.
const maxPayload = 65535 - ipv6HeaderLen - tcpHeaderLen

// carry makes the packet that takes [from, to) of a segment to gVisor.
func (s *Stack) carry(f *flow, seg *segment, from, to, packets uint32) entry {
	view, room := newPacket(&f.key, s.cfg.Port, from, flagACK|flagPSH, nil, int(to-from))
	copy(room, seg.payload[from-seg.seq:])
	return entry{seq: from, n: to - from, packets: packets, view: view}
}

// fin queues the client's FIN and returns the packets that are still to be
// accounted for. Bytes behind a FIN do not exist; where there seem to be some,
// the FIN is a forgery, or they are, and the stream goes on without either.
func (s *Stack) fin(f *flow, seq, packets uint32) uint32 {
	at, _, _, ok := f.q.lacks(seq, seq+1)
	if !ok || at != len(f.q.buf) {
		return packets
	}
	view, _ := newPacket(&f.key, s.cfg.Port, seq, flagACK|flagFIN, nil, 0)
	f.q.insert(at, entry{seq: seq, fin: true, packets: packets, view: view})
	f.finSeen, f.fin = true, seq
	return 0
}

// dropFIN lets go of a parked FIN, where bytes behind it show that it belongs
// to an older connection on the same ports.
func (s *Stack) dropFIN(f *flow) {
	last := &f.q.buf[len(f.q.buf)-1]
	s.lost(uint64(last.packets), 0, DropOutOfWindow)
	last.release()
	f.q.buf = f.q.buf[:len(f.q.buf)-1]
	f.finSeen = false
}

// charge brings the budgets up to date with what the flow holds.
func (s *Stack) charge(f *flow) {
	cost := f.q.bytes + f.q.len()*entryOverhead
	s.held += cost - f.cost
	f.cost = cost
}

// shed resets a flow for which there is no room.
func (s *Stack) shed(f *flow, seg *segment, why Drop) {
	s.drop(seg, why)
	s.end(f, EndShed, why)
}
