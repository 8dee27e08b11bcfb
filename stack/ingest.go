package stack

import (
	"bytes"
	"slices"
	"time"

	"netmirror/http1"
	"netmirror/outcome"
)

// incoming is a captured segment, parsed before the stack is locked: work that is linear
// in the packet's length is done then. The checksum of a server's segment is left for
// later, because it rarely matters.
type incoming struct {
	*Segment
	segment segment
	ok      bool // a connection can have its addresses
}

// read parses a batch, in memory that it may replace. The result aliases both.
func (s *Stack) read(batch []Segment, memory []incoming) []incoming {
	memory = slices.Grow(memory[:0], len(batch))[:len(batch)]
	for i := range batch {
		m, in := &batch[i], &memory[i]
		*in = incoming{Segment: m}
		in.ok = in.segment.parse(m)
		if in.ok && !m.FromServer && !m.Truncated {
			in.segment.sum = s.cfg.Checksums.sumOf(m)
		}
	}
	return memory
}

// takeBatch takes the segments of a batch to their flows, and counts them.
func (s *Stack) takeBatch(batch []incoming) {
	bytes, serverBytes := 0, 0
	for i := range batch {
		in := &batch[i]
		n := len(in.segment.payload)
		serves := s.serves(in.Service)
		if in.FromServer || in.Either && in.ok && serves && s.turned(&in.segment) {
			serverBytes += n
			s.fromServer(in, serves)
			continue
		}
		bytes += n
		if in.ok && serves {
			s.services[in.Service].stats.Bytes += uint64(n)
		}
		s.fromClient(in, serves)
	}
	s.counters.packets += uint64(len(batch))
	s.counters.bytes += uint64(bytes)
	s.counters.serverBytes += uint64(serverBytes)
}

func (s *Stack) fromServer(in *incoming, serves bool) {
	switch {
	case !serves:
		s.counters.dropped[outcome.DropShutdown]++
	case !in.ok:
		s.counters.dropped[outcome.DropBadAddress]++
	default:
		s.reverse(in.Segment, &in.segment)
	}
}

func (s *Stack) fromClient(in *incoming, serves bool) {
	switch {
	case !serves:
		s.drop(&in.segment, outcome.DropShutdown)
	case !in.ok:
		s.drop(&in.segment, outcome.DropBadAddress)
	case in.Truncated:
		s.drop(&in.segment, outcome.DropTruncated)
		s.truncated(in.Segment, &in.segment)
	default:
		s.whole(&in.segment)
	}
}

// whole takes a client's segment that the mirror has not cut.
func (s *Stack) whole(seg *segment) {
	if !s.cfg.Checksums.passes(seg.sum) {
		s.drop(seg, outcome.DropBadChecksum)
		return
	}
	if s.subflows.concerns(seg) {
		s.fromSubflow(seg)
		return
	}
	s.toFlow(seg)
}

// toFlow takes a client's segment to its flow.
func (s *Stack) toFlow(seg *segment) {
	if f := s.flows[seg.key]; f != nil {
		s.known(f, seg)
	} else {
		s.unknown(seg)
	}
}

// turned decides which end is the client if both ends have a port of the service. It
// reports true, and turns the segment's key around, if the segment comes from the server.
// The SYN tells; without one, the first request or status line does. Until then, the end
// whose segment came first counts as the client.
func (s *Stack) turned(seg *segment) bool {
	back := seg.key.back()
	switch {
	case seg.flags&flagSYN != 0:
	case bytes.HasPrefix(seg.payload, []byte("HTTP/1.")) && !s.certain(&seg.key):
		s.mistaken(&seg.key)
		seg.key = back
		return true
	case http1.Unmistakable(seg.payload) == http1.Request && !s.certain(&back):
		s.mistaken(&back)
		return false
	}
	if seg.flags&(flagSYN|flagACK) != flagSYN|flagACK && (seg.flags&flagSYN != 0 || s.follows(&seg.key) || !s.follows(&back)) {
		return false
	}
	seg.key = back
	return true
}

// certain reports whether it is known who the client of such a connection is, by more than
// whose segment came first.
func (s *Stack) certain(key *flowKey) bool {
	if f := s.flows[*key]; f != nil {
		return f.state != parked || f.hasBase
	}
	known, ok := s.stubs.get(key, s.now)
	return ok && (known.kind == halfOpen || known.whole) || s.subflows.has(key)
}

// mistaken forgets a connection whose server was taken for its client.
func (s *Stack) mistaken(key *flowKey) {
	if f := s.flows[*key]; f != nil {
		s.discard(f, outcome.DropMidStream, over)
	}
	s.stubs.remove(key)
}

// follows reports whether anything is known of a connection.
func (s *Stack) follows(key *flowKey) bool {
	if s.flows[*key] != nil || s.subflows.has(key) {
		return true
	}
	_, ok := s.stubs.get(key, s.now)
	return ok
}

func (s *Stack) drop(seg *segment, why outcome.Drop) { s.dropAs(seg, why, why) }

// dropAs is drop for a segment that is lost for another reason than it is dropped for.
func (s *Stack) dropAs(seg *segment, why, as outcome.Drop) {
	s.counters.dropped[why] += uint64(seg.packets())
	s.loses(seg.key.service, why, as, uint64(len(seg.payload)))
}

// used counts a segment that was needed but brought no byte for the stream. Payload that it
// carries all the same belongs to no connection.
func (s *Stack) used(seg *segment) {
	s.counters.packetsUsed += uint64(seg.packets())
	s.loses(seg.key.service, outcome.DropOutOfWindow, outcome.DropOutOfWindow, uint64(len(seg.payload)))
}

// clock is the time of the batch at hand, since the stack began.
func (s *Stack) clock() time.Duration { return s.now.Sub(s.epoch) }

// truncated learns from a cut segment which bytes will not come whole.
func (s *Stack) truncated(m *Segment, seg *segment) {
	if s.subflows.has(&seg.key) {
		return // its flow has other sequence numbers
	}
	f := s.flows[seg.key]
	whole := m.length()
	if f == nil || f.state != open || whole < len(m.IP) {
		return
	}
	end := seg.end() + uint32(whole-len(m.IP))
	if !s.misplaced(f, seg) && f.ev.judge(seg) == accepted {
		f.cut = span{seg.seq, end}
		s.sentUpTo(f, end)
		s.touch(f)
	}
}

// known takes a segment of a connection that has a flow.
func (s *Stack) known(f *flow, seg *segment) {
	if seg.flags&flagSYN != 0 {
		s.synAgain(f, seg)
		return
	}
	f.ev.rested(s.clock())
	f.multipath = f.multipath || seg.multipath
	if !f.ev.sums.trusts(seg.sum, len(seg.payload)) {
		s.drop(seg, outcome.DropBadChecksum)
		return
	}
	if f.synSeen && s.superseded(f, seg) {
		return
	}
	if s.ofOlder(f, seg) || s.passesBy(f, seg) {
		return
	}
	f.seen, f.last = s.now, s.captured
	s.proceeds(f, seg)
	if f.state == parked {
		s.parked(f, seg)
		return
	}
	s.judged(f, seg)
}

// judged takes a segment of a flow that has a start. It treats the segment as the real
// server did.
func (s *Stack) judged(f *flow, seg *segment) {
	if seg.flags&flagRST != 0 {
		s.reset(f, seg)
		return
	}
	switch f.ev.judge(seg) {
	case rejected:
		if !f.ev.refuse(seg) {
			s.drop(seg, outcome.DropRejected)
			return
		}
	case doubtful:
		s.setAside(f, seg, oddACK)
		return
	}
	if len(f.aside) > 0 {
		s.compares(f, seg)
	}
	if s.misplaced(f, seg) {
		s.setAside(f, seg, farAway)
		return
	}
	s.admit(f, seg)
}

// misplaced reports whether a segment lies beyond the server's window, or before
// everything that was seen of the connection.
func (s *Stack) misplaced(f *flow, seg *segment) bool {
	floor := f.floor()
	if seqLess(floor, seg.seq) {
		return seqLess(f.beyond, seg.seq) && !seqLess(seg.seq, s.reach(f))
	}
	return seqLess(seg.next(), floor) && floor-seg.seq > floor-f.origin()+unscaled
}

// near is how far ahead of what the client has sent a single segment is believed, in
// bytes, if the server's window is not known: as much as the connection can have had in
// flight.
func (s *Stack) near(f *flow) uint32 {
	if f.multipath {
		return uint32(s.cfg.FlowBytes) // the other subflows may be behind
	}
	return uint32(max(nearby, min(f.virtual.got+f.q.bytes, s.cfg.FlowBytes)))
}

// reach is the sequence number before which a segment must begin to be believed by itself.
func (s *Stack) reach(f *flow) uint32 {
	if sv := &f.ev.server; sv.scaled && sv.nxt.known && !f.multipath {
		return sv.edge
	}
	return f.beyond + s.near(f)
}

// superseded takes the first segment of a newer connection on the same ports. It reports
// false if seg is not such a segment.
func (s *Stack) superseded(f *flow, seg *segment) bool {
	next, ok := s.stubs.get(&seg.key, s.now)
	if !ok || next.kind != halfOpen {
		f.synSeen = false
		return false
	}
	if f.state == parked && !f.hasBase && seg.seq == next.base && proves(seg, next.base) && f.beganAt(next.base) && !f.apartFrom(&next) {
		s.beginsLate(f, &next)
		s.toFlow(seg)
		return true
	}
	goesOn := f.goesOnAt(seg.seq) // the SYN was a stray
	fast := next.tookData(seg)
	if seg.seq != next.base && !fast && f.drains() && s.owns(f, seg.seq) {
		return false // it is late
	}
	if seg.flags&flagRST != 0 || !proves(seg, next.base) && !fast || (seg.seq != next.base && !fast || goesOn) && !f.delivered() {
		return false
	}
	if next.ev != nil && next.ev.judge(seg) != accepted {
		return false
	}
	s.stubs.remove(&seg.key)
	if nf := s.replace(f, &next, seg); nf != nil {
		nf.learn(&next)
		if !s.begin(nf, next.base) {
			s.unknown(seg)
			return true
		}
		if len(next.synData()) > 0 && seg.seq != next.base {
			s.storeSYNData(nf, &next, seg)
		}
		s.judged(nf, seg)
	}
	return true
}

// goesOnAt reports whether the client's next byte is at seq.
func (f *flow) goesOnAt(seq uint32) bool {
	if f.state == parked {
		last := f.q.last()
		return last != nil && seq == last.end()
	}
	return f.state == open && seq == f.tail() && seq != f.base
}

// delivered reports whether gVisor has all that the client sent.
func (f *flow) delivered() bool {
	return f.state == open && f.q.len() == 0 && !f.holed() && (f.finSeen || f.virtual.finished || f.rstSeen)
}

// synAgain takes a SYN on the addresses of a flow.
func (s *Stack) synAgain(f *flow, seg *segment) {
	base := seg.seq + 1
	switch {
	case f.hasBase && base == f.base && !f.replayed(s.captured), s.mayBeSYNOf(f, base),
		f.past.has(seg.seq) && s.serviceOf(f).Midstream != MidstreamAny:
		s.drop(seg, outcome.DropDuplicate)
	case f.state == parked && !f.hasBase && seg.flags&(flagACK|flagRST|flagFIN) == 0 && (f.beganRightAt(base) || f.tookData(seg)):
		s.comesLate(f, seg)
	default:
		s.syn(seg)
	}
}

// mayBeSYNOf reports whether a SYN in front of base may be the late one of a stream that was
// picked up without.
func (s *Stack) mayBeSYNOf(f *flow, base uint32) bool {
	return f.picked && f.base-base < lateSYN && s.now.Sub(f.opened) < s.cfg.GapTimeout
}

// comesLate starts a flow at its SYN, which was only late: the parked segments prove it.
func (s *Stack) comesLate(f *flow, seg *segment) {
	base, took := seg.seq+1, f.tookData(seg)
	s.counters.halfOpen++
	f.anew()
	f.ev.opens(seg, s.clock())
	s.unpark(f, base)
	if !took || f.removed {
		s.used(seg)
		return
	}
	data := *seg
	data.seq, data.flags = base, 0
	s.store(f, &data)
}

// tookData reports whether a parked flow shows that the server accepted the data in its SYN,
// which is late (RFC 7413): the client continues behind them.
func (f *flow) tookData(seg *segment) bool {
	behind := seg.seq + 1 + uint32(len(seg.payload))
	if first := f.q.first(); first != nil {
		return len(seg.payload) > 0 && first.seq == behind
	}
	return len(seg.payload) > 0 && f.finSeen && f.fin == behind
}

// apartFrom reports whether a parked flow came behind a SYN that it is too far from to be of its
// connection.
func (f *flow) apartFrom(syn *stub) bool {
	return f.cameBehind(syn) && !near(f.base, syn.base)
}

// beganAt reports whether the parked segments can belong to a client that begins at base:
// some lie closely behind base, and none closely before it.
func (f *flow) beganAt(base uint32) bool {
	if f.q.len() == 0 {
		return true
	}
	for e := f.q.first(); e != nil; e = e.next() {
		if near(e.seq, base) {
			return !seqLess(e.seq, base)
		}
	}
	return f.q.first().seq-base < lateSYN
}

// beganRightAt is beganAt where nothing is missing in front of the parked segments. If
// something is, the SYN may be a stray: it counts when that comes.
func (f *flow) beganRightAt(base uint32) bool {
	return f.beganAt(base) && (f.q.len() == 0 || f.q.first().seq == base)
}

// beginsLate starts a flow at a SYN that came too late for it, now that what was missing
// behind the SYN has come.
func (s *Stack) beginsLate(f *flow, at *stub) {
	s.stubs.remove(&f.key)
	f.synSeen = false
	f.anew()
	if ev := at.ev; ev != nil {
		f.ev.client.scale, f.ev.client.scaled = ev.client.scale, ev.client.scaled
		if ev.server.nxt.known {
			f.ev.server = ev.server
		}
		f.ev.server.scaled = f.ev.server.scaled || ev.server.scaled
	}
	s.unpark(f, at.base)
}

// replayed reports whether a SYN with the flow's own number begins another connection: the
// client has ended the first one, or has been silent, for so long that the SYN is no copy made by
// the mirror.
func (f *flow) replayed(captured time.Time) bool {
	return captured.Sub(f.last) >= time.Second || (f.finSeen || f.virtual.finished || f.rstSeen) && captured.Sub(f.last) >= repeatsFor(f.ev.server.nxt.known)
}

// anew forgets the connection before the one that begins now: its framing says nothing
// about the new one.
func (f *flow) anew() {
	if f.past != (span{}) {
		f.past, f.picked, f.ev = span{}, false, evidence{}
	}
}

// unpark starts a flow whose SYN came after its other segments. It drops segments that an
// older connection on the same ports left behind.
func (s *Stack) unpark(f *flow, base uint32) {
	for f.q.len() > 0 && f.q.first().seq-base >= maxWindow {
		s.lost(f, 1, outcome.DropOutOfWindow)
	}
	f.q.acked = false // what left the front was not of this connection
	for f.q.len() > 0 && f.q.last().seq-base >= maxWindow {
		s.lostLast(f, outcome.DropOutOfWindow)
	}
	for e := f.q.first(); e != nil; e = e.next() {
		e.single = false
	}
	f.finSeen = f.finSeen && f.fin-base < maxWindow
	s.charge(f)
	f.rstSeen = f.rstSeen && f.rst-base < maxWindow
	s.begin(f, base)
}
