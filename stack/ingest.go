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
	if !seg.synACK() && (seg.flags&flagSYN != 0 || s.follows(&seg.key) || !s.follows(&back)) {
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
	if s.ofOlder(f, seg) || s.passesBy(f, seg) || s.ofBefore(f, seg) {
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
		if f.ev.plausible(seg.ack) {
			f.serverRST = time.Time{}
		}
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
		beyond, reach := f.beyond, s.reach(f)
		switch rest := f.passedOver; {
		case rest != nil:
			beyond, reach = rest.beyond, rest.beyond+s.near(f)
		case f.dropped.known:
			beyond, reach = f.dropped.at, f.dropped.at+s.near(f)
		}
		return seqLess(beyond, seg.seq) && !seqLess(seg.seq, reach)
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
