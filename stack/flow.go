package stack

import (
	"iter"
	"time"

	"netmirror/outcome"
)

// flowState says how far the virtual client of a flow has got.
type flowState uint8

const (
	parked  flowState = iota // holds segments without a known start, or data in the SYN
	opening                  // SYN injected
	open                     // handshake done
)

// flow is a contiguous part of what one client sends on one mirrored connection. It begins
// at the SYN, or at a request in the middle. It holds what the mirror said of it, what gVisor
// said of it, and what follows from the two. Stack.mu guards all of it.
type flow struct {
	key      flowKey
	state    flowState
	standing standing
	mirrorView
	virtual virtualClient

	cost    int    // what q counts for in the budgets
	counted uint32 // with past: the holes before it were counted
	picked  bool   // it did not begin at a SYN
	ending  bool   // end with reason once all that is contiguous has been received
	reason  outcome.End
	final   bool         // its connection has ended as well, whatever reason is
	cameTo  mark         // ending before it is handed out: what came in one piece, dropped or not, ends before
	dropped mark         // likewise: where all that came ends, in one piece or not
	lostFor outcome.Drop // parked: what the connection's stream was given up for; else, where it had none, outcome.DropMidStream

	passedOver *flow // what rest returned, emptied, while the flow waits to be handed out and to end; else nil

	synSeen      bool  // stubs has a SYN of these addresses
	older, newer *flow // the same addresses, one connection after the other; the newest is in Stack.flows
	overtaken    bool  // there was a newer one
	behind       mark  // base of the SYN that had come before it
	prior        span  // what was seen of the connection before, which a mirror may show again

	opened  time.Time // when the flow was made, or its SYN injected
	hole    time.Time // since when bytes are missing at the virtual client's ack; zero when none are
	certain time.Time // since when they are known to be lost
	doomed  time.Time // when that hole was first found to be hopeless
	due     time.Time // parked: when to look for a start; replaced: until when its end may come

	watch   stopwatch
	dirty   bool // in Stack.dirty
	eager   bool // counted in Stack.eager
	removed bool
	active  int // index in Stack.active, -1 when not there
}

// nextStart is the first request at or behind seq that gVisor has, or is about
// to have.
func (f *flow) nextStart(seq uint32) (uint32, bool) {
	if at, ok := f.virtual.starts.from(seq); ok {
		return at, true
	}
	g := f.framing.apart()
	found, ok := uint32(0), false
	for e := f.q.first(); e != nil && e.n > 0 && !ok && g.known && f.q.follows(e, f.virtual.ack); e = e.next() {
		if !seqLess(g.at, e.end()) {
			continue
		}
		if seqLess(g.at, e.seq) {
			break
		}
		g.read(e.payload()[g.at-e.seq:], func(at uint32) {
			if !ok && !seqLess(at, seq) {
				found, ok = at, true
			}
		})
	}
	return found, ok
}

// allFlows are all flows, superseded ones included. The flow at hand may be removed.
func (s *Stack) allFlows() iter.Seq[*flow] {
	return func(yield func(*flow) bool) {
		for _, f := range s.flows {
			for f != nil {
				older := f.older
				if !yield(f) {
					return
				}
				f = older
			}
		}
	}
}

// floor is the lowest sequence number that can still be new.
func (f *flow) floor() uint32 {
	if f.state == open {
		return f.virtual.ack
	}
	return f.base
}

// sentUpTo notes that a packet says that the client has sent everything before seq.
func (s *Stack) sentUpTo(f *flow, seq uint32) {
	if !seqLess(f.beyond, seq) || !within(seq, f.floor(), maxWindow) || f.closedAt(seq) && !f.reason.Final() {
		return
	}
	f.beyond = seq
}

// holed reports whether bytes are missing right after those that gVisor has. This is exact,
// because the queue holds everything that was not acknowledged.
func (f *flow) holed() bool {
	switch {
	case f.state != open:
		return false
	case f.q.len() > 0:
		return seqLess(f.virtual.ack, f.q.first().seq)
	}
	return seqLess(f.virtual.ack, f.sent())
}

// lost reports whether the bytes missing at ack are known not to come any more, unless the
// mirror has only delayed them: the server has them, or a truncated copy came.
func (f *flow) lost() bool {
	return seqLess(f.virtual.ack, f.serverAck) || f.cut.has(f.virtual.ack)
}

// gapless reports whether nothing is missing in front of or between what is queued.
func (f *flow) gapless() bool {
	first := f.q.first()
	return first == nil || !seqLess(f.virtual.ack, first.seq) && f.q.last().seq+f.q.last().n-first.seq == uint32(f.q.bytes)
}

// received is the sequence number after the last byte that has come.
func (f *flow) received() uint32 {
	if last := f.q.last(); last != nil && seqLess(f.virtual.ack, last.seq+last.n) {
		return last.seq + last.n
	}
	return f.virtual.ack
}

// maxTail bounds the search for the first hole in what gVisor has not acknowledged.
const maxTail = 256

// tail is the sequence number at which the first byte is missing.
func (f *flow) tail() uint32 {
	if f.state == open && f.gapless() {
		return f.received()
	}
	tail := f.floor()
	e := f.q.first()
	for n := 0; e != nil && !seqLess(tail, e.seq) && n < maxTail; n++ {
		tail = e.end()
		e = e.next()
	}
	return tail
}

// busy reports whether the flow needs looking after although no packet comes.
func (f *flow) busy() bool {
	return f.state != open || f.virtual.conn == nil || f.q.len() > 0 || f.rstSeen || f.finSeen || f.ending || f.newer != nil || len(f.aside) > 0 || !f.serverRST.IsZero() || f.holed()
}

// calm reports whether a busy flow waits only for gVisor, which has all bytes that the
// client is known to have sent. Its reader knows of a FIN behind them.
func (f *flow) calm() bool {
	if f.state != open || f.waits() || f.newer != nil || len(f.aside) > 0 || f.q.len() == 0 || f.holed() {
		return false
	}
	held := uint32(f.q.bytes)
	if f.finQueued() {
		held++
	}
	return f.finSeen == f.finQueued() && f.sent()-f.q.first().seq == held
}

// waits reports whether the flow has something to do as soon as gVisor
// answers, and not just something to forget. A FIN is not sent: its reader knows of it.
func (f *flow) waits() bool {
	return f.state == opening || f.state == open && (f.q.unsent != nil && !f.q.unsent.fin || f.rstSeen || f.ending)
}
