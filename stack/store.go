package stack

import (
	"bytes"

	"gvisor.dev/gvisor/pkg/buffer"
)

// segmentOf takes data, FIN or RST into the flow.
func (s *Stack) segmentOf(f *flow, seg *segment) {
	if seg.flags&flagACK != 0 {
		f.clientAck = seg.ack
	}
	switch {
	case seg.flags&flagRST != 0:
		s.reset(f, seg)
	case len(seg.payload) > 0 || seg.flags&flagFIN != 0:
		s.store(f, seg)
	default:
		// It brings nothing, but says what was sent before it.
		s.drop(seg, DropNoPayload)
		if f.state == open {
			f.sentUpTo(seg.seq)
			if f.active < 0 && f.holed() || f.active >= 0 && !s.alert && !f.calm() {
				s.touch(f)
			}
		}
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
	f.sentUpTo(seg.seq)
	s.used(seg)
	s.touch(f)
}

// store queues what is new in a segment.
func (s *Stack) store(f *flow, seg *segment) {
	floor := f.floor()
	seq, end := seg.seq, seg.end()
	if f.ending && !seqLess(seq, f.sent()) || seqLess(floor, seq) && seq-floor >= maxWindow {
		s.drop(seg, DropOutOfWindow)
		return
	}
	if seqLess(end, floor) {
		s.drop(seg, DropDuplicate)
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
	if !s.room(f, seg) {
		return
	}
	s.recognise(f, seg)
	packets, stored := uint32(1), 0
	if seq == seg.seq && f.q.extend(seg, int(end-seq)) {
		packets, stored, seq = 0, int(end-seq), end
	}
	for seqLess(seq, end) {
		before, from, to, ok := f.q.lacks(seq, end)
		if !ok {
			break
		}
		to = min(to-from, maxPayload) + from
		if e := f.q.insert(before, s.carry(seg, from, to, packets)); e.late() {
			s.send(f, e)
		}
		packets, stored = 0, stored+int(to-from)
		seq = to
	}
	if seg.flags&flagFIN != 0 && !f.finSeen && !seqLess(seg.end(), floor) {
		packets = s.fin(f, seg.end(), packets)
	}
	f.sentUpTo(end)
	if stored > 0 {
		s.timed(f, end)
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

// carry keeps [from, to) of a segment.
func (s *Stack) carry(seg *segment, from, to, packets uint32) entry {
	view := buffer.NewViewWithData(seg.payload[from-seg.seq : to-seg.seq])
	return entry{
		seq: from, n: to - from, ack: seg.ack, acks: seg.flags&flagACK != 0 && !keepAlive(seg.payload),
		packets: packets, at: s.now.Sub(s.epoch),
		first: from == seg.seq, view: view,
	}
}

// keepAlive reports whether the payload looks like that of a keep-alive probe
// with a garbage byte (RFC 9293, section 3.8.4): it repeats the last byte's
// place, and says nothing of what the client was sending.
func keepAlive(payload []byte) bool { return len(payload) == 1 && payload[0] == 0 }

// recognise looks at what a connection begins with: one that does not speak
// HTTP/1 has no requests to pick up, whatever a part of it looks like. One that
// changes to HTTP/2 begins anew.
func (s *Stack) recognise(f *flow, seg *segment) {
	first := f.hasBase && !f.picked && seg.seq == f.base && len(seg.payload) > 0
	if first && requestLikeness(seg.payload) == contradicts || bytes.HasPrefix(seg.payload, []byte(preface)) {
		f.opaque = true
	}
}

// fin queues the client's FIN and returns the packets that are still to be
// accounted for. Bytes behind a FIN do not exist; where there seem to be some,
// the FIN is a forgery, or they are, and the stream goes on without either.
func (s *Stack) fin(f *flow, seq, packets uint32) uint32 {
	before, _, _, ok := f.q.lacks(seq, seq+1)
	if !ok || before != nil {
		return packets
	}
	f.q.insert(nil, entry{seq: seq, fin: true, packets: packets, at: s.now.Sub(s.epoch)})
	f.finSeen, f.fin = true, seq
	return 0
}

// dropFIN lets go of a parked FIN, which bytes behind it show to be of an older
// connection on the same ports.
func (s *Stack) dropFIN(f *flow) {
	f.finSeen = false
	if f.q.len() > 0 && f.q.last().fin {
		s.lostLast(f, DropOutOfWindow)
	}
}

// lostLast drops the last entry.
func (s *Stack) lostLast(f *flow, why Drop) {
	s.counters.dropped[why] += uint64(f.q.last().packets)
	s.counters.droppedBytes[why] += uint64(f.q.last().n)
	f.q.removeLast()
}
