package stack

import (
	"time"

	"netmirror/outcome"
	"netmirror/stack/netstack"
)

// touch marks a flow to be pumped: before Stack.mu is released, or, where a batch waits for the
// one behind it, before anybody else looks at the flow.
func (s *Stack) touch(f *flow) {
	if !f.dirty {
		f.dirty = true
		s.dirty = append(s.dirty, f)
	}
}

// pumpRounds bounds how long a batch keeps the capture waiting.
const pumpRounds = 4

// pumpDirty lets every touched flow do what it can. What gVisor answers to
// that in the meantime is acted upon as well, for some rounds; what it answers
// later wakes serve where a flow waits for it.
func (s *Stack) pumpDirty() {
	s.undone = time.Time{}
	if s.closed {
		return
	}
	for range pumpRounds {
		for i := 0; i < len(s.dirty); i++ {
			f := s.dirty[i]
			s.dirty[i] = nil
			f.dirty = false
			if !f.removed {
				s.pump(f)
			}
		}
		s.dirty = s.dirty[:0]
		if s.eager.Load() == 0 || !s.ns.HasAnswers() && !s.accepts.Load() {
			return
		}
		s.collect()
	}
	s.signal()
}

// pumpWaiting pumps the flows of a batch that waits for the one behind it.
func (s *Stack) pumpWaiting() {
	if len(s.dirty) > 0 {
		s.now = s.cfg.Now()
		s.pumpDirty()
	}
}

// pump moves a flow as far as it goes without an answer.
func (s *Stack) pump(f *flow) {
	if f.state == opening && f.virtual.id == 0 && f.mayConnect() {
		s.connect(f)
	}
	if f.state == open {
		s.pumpOpen(f)
	}
	if f.removed {
		return
	}
	s.setEager(f, f.waits())
	if f.busy() {
		s.activate(f)
		if !s.alert && !f.calm() {
			s.alert = true
			s.signal()
		}
	} else {
		s.deactivate(f)
	}
}

func (s *Stack) pumpOpen(f *flow) {
	if len(f.aside) > 0 {
		s.reconsider(f)
	}
	if f.finSeen && !f.removed {
		s.queueFIN(f)
	}
	if f.removed {
		return
	}
	s.inject(f)
	s.settle(f)
}

// inject sends what the window has room for.
func (s *Stack) inject(f *flow) {
	if f.virtual.greeted {
		s.endHandshake(f)
	}
	for e := f.q.unsent; e != nil; e = f.q.unsent {
		switch {
		case e.fin: // not for gVisor, whose connection may serve another stream
			f.virtual.closesAt(e.seq)
			if e.seq == f.virtual.ack {
				s.takeFIN(f)
				s.touch(f)
			}
			return
		case !seqLess(e.seq, f.virtual.windowEnd):
			return
		case f.q.beyondHole(e, f.virtual.ack) && !s.goesAhead(f, e):
			return
		}
		s.send(f, e)
	}
}

// goesAhead reports whether an entry behind a hole is injected all the same, for gVisor
// to put in order. A single segment waits: it may be none of the connection's, and gVisor
// would not give it back. So does what is behind a second hole, and more than gVisor
// keeps: it would have to be injected again for each hole.
func (s *Stack) goesAhead(f *flow, e *entry) bool {
	q := &f.q
	if !q.follows(e, f.virtual.ack) && (s.serviceOf(f).OnGap == GapSplice || f.claims <= 1 || e.prev() != nil && e.prev().ahead) {
		return false
	}
	if q.ahead+e.memory() > s.cfg.ReceiveBuffer/2 {
		return false
	}
	q.markAhead(e)
	return true
}

// maxGreeting bounds the bytes that end a handshake: gVisor counts them twice against the
// receive buffer, for as long as the connection lasts, which may serve many streams.
const maxGreeting = 4 << 10

// endHandshake acknowledges gVisor's SYN-ACK, unless the only segment that there is to
// send does: each that gVisor gets costs it microseconds. With several, gVisor would take
// the first one last.
func (s *Stack) endHandshake(f *flow) {
	f.virtual.greeted = false
	if e := f.q.unsent; e != nil && e.seq == f.virtual.ack && !e.fin {
		if last := f.lastOf(e); last.isLast() && last.end()-e.seq <= maxGreeting {
			return
		}
	}
	s.deliver(f, f.virtual.ack, flagACK, nil, nil)
}

// send injects an entry's bytes, with those that go on from it: gVisor's cost is for each
// segment.
func (s *Stack) send(f *flow, e *entry) {
	last := f.lastOf(e)
	s.payloads = s.payloads[:0]
	for at := e; ; at = at.next() {
		f.q.markSent(at)
		s.payloads = append(s.payloads, at.bytes)
		if at == last {
			break
		}
	}
	f.virtual.sentTo = seqMax(f.virtual.sentTo, last.end())
	s.deliver(f, e.seq, flagACK|flagPSH, nil, s.payloads)
}

// maxPieces bounds the entries in one segment, each of which is charged as if it were one.
const maxPieces = 8

// lastOf is the last entry that goes with e into one segment.
func (f *flow) lastOf(e *entry) *entry {
	if f.q.beyondHole(e, f.virtual.ack) {
		return e // gVisor may have to be given what is behind a hole again
	}
	last := e
	for range maxPieces - 1 {
		next := last.next()
		if next == nil || next.fin || next.sent || next.seq != last.end() ||
			next.end()-e.seq > maxPayload || seqLess(f.virtual.windowEnd, next.end()) {
			break
		}
		last = next
	}
	return last
}

// settle does what is due at the place that gVisor has come to.
func (s *Stack) settle(f *flow) {
	if f.holed() {
		s.noteHole(f)
		return
	}
	f.clearHole()
	if f.claims > 0 && f.gapless() && !seqLess(f.received(), f.sent()) {
		f.claims = 0
	}
	if f.rstSeen && seqLess(f.rst, f.virtual.ack) {
		s.forgetRST(f) // the stream went on behind it
	}
	switch {
	case f.q.len() > 0:
		return
	case f.virtual.conn == nil:
		return // not handed out yet; acceptAll comes back
	case f.rstEarly && f.rstSeen:
		// The server has ignored it, if the client goes on.
	case f.rstSeen:
		s.end(f, outcome.EndClientReset, outcome.DropDuplicate)
	case f.ending && (f.due.IsZero() || f.virtual.finished):
		s.end(f, f.reason, f.reason.Drop())
	}
}

// deliver injects a segment of f's virtual client. The numbers are the client's,
// and become gVisor's; what is acknowledged is gVisor's already.
func (s *Stack) deliver(f *flow, seq uint32, flags uint8, opts []byte, payload []netstack.Payload) {
	if s.closed || f.removed {
		return // its connection may be another flow's
	}
	ack := f.virtual.peerSeq
	if flags&flagACK == 0 {
		ack = 0
	}
	seg := netstack.Segment{
		From: f.virtual.id, Port: f.virtual.port, Seq: seq - f.virtual.shift - f.virtual.offset, Ack: ack, Flags: flags, Options: opts,
	}
	if f.virtual.ep != nil {
		f.virtual.ep.Deliver(seg, payload)
	} else {
		s.ns.Deliver(seg, payload)
	}
}

// collect acts on gVisor's answers and takes the streams that it has ready.
func (s *Stack) collect() {
	if s.closed {
		return
	}
	answers := s.ns.Answers(s.answers)
	for i := range answers {
		s.answer(&answers[i])
	}
	s.answers = answers
	s.acceptAll()
}

// catchUp is for whoever is not the capture and asks something of the flows: gVisor's answers
// may have waited since the last batch.
func (s *Stack) catchUp() {
	s.now = s.cfg.Now()
	s.collect()
}

// answer brings a flow up to date with one answer.
func (s *Stack) answer(a *netstack.Answer) {
	f, flags := s.clients[a.To], a.Flags&(flagSYN|flagACK|flagRST)
	switch {
	case f == nil && flags == flagSYN|flagACK:
		// Of an attempt that was given up: it would wait for two minutes.
		s.ns.Deliver(netstack.Segment{From: a.To, Port: a.From, Seq: a.Ack, Flags: flagRST}, nil)
	case f == nil:
	case f.state == opening && flags == flagSYN|flagACK && a.Ack == f.base:
		f.state = open
		f.virtual.ack, f.virtual.sentTo, f.virtual.peerSeq, f.virtual.scale = f.base, f.base, a.Seq+1, a.Scale
		f.virtual.windowEnd = f.virtual.ack + uint32(a.Window) // never scaled in a SYN (RFC 7323, section 2.2)
		f.virtual.progress, f.virtual.tried, f.virtual.late = s.now, s.now, 0
		f.virtual.greeted = true
		s.claimed(f)
		s.touch(f)
	case f.state == open && flags == flagACK && a.Seq == f.virtual.peerSeq:
		s.acknowledged(f, a)
	}
}

func (s *Stack) acknowledged(f *flow, a *netstack.Answer) {
	ack := a.Ack + f.virtual.shift + f.virtual.offset
	end := ack + uint32(a.Window)<<f.virtual.scale
	if !seqLess(f.virtual.ack, ack) && !seqLess(f.virtual.windowEnd, end) {
		return
	}
	f.virtual.progress, f.virtual.backoff = s.now, minBackoff
	if seqLess(f.virtual.ack, ack) {
		s.advance(f, ack)
		for f.q.len() > 0 && !seqLess(ack, f.q.first().end()) {
			s.received(f)
		}
		s.charge(f)
	}
	f.virtual.windowEnd = seqMax(f.virtual.windowEnd, end)
	s.touch(f)
}

// takeFIN ends a stream behind the bytes that gVisor has: the FIN is next.
func (s *Stack) takeFIN(f *flow) {
	s.advance(f, f.q.first().end())
	s.received(f)
	s.charge(f)
}

// received lets go of the first entry, which gVisor has. An entry that it has
// in part stays whole.
func (s *Stack) received(f *flow) {
	first := f.q.first()
	s.frame(f, first, first.end())
	f.virtual.unread = append(f.virtual.unread, first.end())
	f.virtual.finished = f.virtual.finished || first.fin
	packets, bytes := f.q.pop()
	s.counters.packetsUsed += packets
	s.counters.bytesInOrder += bytes
	f.virtual.got += int(bytes)
}

// frame reads what gVisor has received of an entry, before end, for the places at
// which requests begin.
func (s *Stack) frame(f *flow, e *entry, end uint32) {
	g := &f.framing
	g.known = g.known && !seqLess(g.at, e.seq)
	if g.known && e.n > 0 && seqLess(g.at, end) {
		g.read(e.payload()[g.at-e.seq:end-e.seq], f.virtual.starts.add)
		s.serviceOf(f).proxied = s.serviceOf(f).proxied || len(g.proxied()) > 0
	}
}
