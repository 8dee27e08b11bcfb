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
// at the SYN, or at a request in the middle. Stack.mu guards all of it.
type flow struct {
	key      flowKey
	id       clientID // its virtual client's; 0 before there is one
	port     uint16   // of gVisor's listener
	state    flowState
	standing standing
	conn     *Conn // nil until gVisor's listener has handed it out

	hasBase bool   // it is known where the stream starts
	base    uint32 // sequence number of the stream's first byte; parked: the lowest seen
	oldest  uint32 // its oldest byte that can still be told from what is to come; valid with long
	long    bool   // it has sent more than maxWindow
	lostSYN bool   // parked: no SYN will come any more
	either  bool   // parked: both ends have a port of the service, and the client may be the server
	past    span   // what came of the connection before the flow, in one piece
	pastACK front  // what its last bytes acknowledged
	counted uint32 // with past: the holes before it were counted
	picked  bool   // it did not begin at a SYN
	early   bool   // parked: it holds what came with the SYN
	taken   bool   // parked: the server has acknowledged some of it
	lastACK uint32 // parked: what the client acknowledged last
	framing framing

	// What gVisor said.
	ack       uint32 // everything before it has been received in order
	windowEnd uint32 // first sequence number beyond the advertised window
	peerSeq   uint32 // gVisor's own sequence number: what the client acknowledges
	scale     uint8
	shift     uint32 // what the client's sequence numbers are ahead of gVisor's: bytes spliced out

	// What the mirror said.
	ev          evidence
	beyond      uint32 // the client has sent everything before it
	serverClaim uint32 // what a single packet of the server acknowledged; 0: none
	serverAck   uint32 // the server has received everything before it; base at first
	serverSaid  mark   // what its last packet acknowledged
	cut         span   // came, but cut by the mirror
	aside       []aside
	multipath   bool // of an MPTCP connection that has had several subflows

	q        sendQueue
	cost     int // what q counts for in the budgets
	finSeen  bool
	fin      uint32 // sequence number of the FIN: there are no bytes at it or behind
	finAlone bool   // the FIN's packet brought nothing else
	finished bool   // gVisor has the FIN
	rstSeen  bool
	rst      uint32    // sequence number of the RST
	rstAt    time.Time // when it came
	rstEarly bool      // it came before what is in front of it, and the client may go on
	got      int       // bytes that gVisor has received in order
	unread   []uint32  // ends of the entries that gVisor has and that may not have been read
	starts   starts    // of requests that were received and perhaps not read

	ending bool // end with reason once all that is contiguous has been received
	reason outcome.End

	lostFor outcome.Drop // parked: what the connection's stream was given up for; else, where it had none, outcome.DropMidStream

	synSeen      bool  // stubs has a SYN of these addresses
	older, newer *flow // the same addresses, one connection after the other; the newest is in Stack.flows

	opened    time.Time // when the flow was made, or its SYN injected
	progress  time.Time // when gVisor last took something or grew its window
	backoff   time.Duration
	hole      time.Time // since when bytes are missing at ack; zero when none are
	certain   time.Time // since when they are known to be lost
	strayed   span      // where a segment goes on that was dropped from beside the stream
	ahead     time.Time // when a packet last said that the client has sent more than is here
	claims    int       // how many packets did since the hole
	shown     time.Time // when that packet was captured: this process may be late
	beside    time.Time // when the client was last seen not to have sent more
	besides   int       // how often since
	serverRST time.Time // when a reset of the server's came that is not where its bytes end
	serverAt  time.Time // when the server last said that it has no more than is here
	doomed    time.Time // when that hole was first found to be hopeless
	due       time.Time // parked: when to look for a start
	seen      time.Time // last packet
	last      time.Time // when the client's last one was captured

	watch   stopwatch
	dirty   bool // in Stack.dirty
	eager   bool // counted in Stack.eager
	removed bool
	active  int // index in Stack.active, -1 when not there
}

// span is the sequence numbers from from on and before to.
type span struct{ from, to uint32 }

func (s span) has(seq uint32) bool { return seq-s.from < s.to-s.from }

// starts remembers the places in a stream at which requests begin that may not
// have been read yet, in order.
type starts []uint32

// maxStarts bounds them: 4 KiB for a stream whose reader is far behind.
const maxStarts = 1024

func (s *starts) add(seq uint32) {
	if len(*s) < maxStarts {
		*s = append(*s, seq)
	}
}

// forget drops the places before seq.
func (s *starts) forget(seq uint32) {
	gone := 0
	for gone < len(*s) && seqLess((*s)[gone], seq) {
		gone++
	}
	*s = (*s)[:copy(*s, (*s)[gone:])]
	if cap(*s) > 16 && len(*s) == 0 {
		*s = nil
	}
}

// from is the first place at or behind seq.
func (s starts) from(seq uint32) (uint32, bool) {
	for _, at := range s {
		if !seqLess(at, seq) {
			return at, true
		}
	}
	return 0, false
}

// nextStart is the first request at or behind seq that gVisor has, or is about
// to have.
func (f *flow) nextStart(seq uint32) (uint32, bool) {
	if at, ok := f.starts.from(seq); ok {
		return at, true
	}
	g := f.framing.apart()
	found, ok := uint32(0), false
	for e := f.q.first(); e != nil && e.n > 0 && !ok && g.known && f.q.follows(e, f.ack); e = e.next() {
		if !seqLess(g.at, e.end()) {
			continue
		}
		g.read(e.payload()[g.at-e.seq:], func(at uint32) {
			if !ok && !seqLess(at, seq) {
				found, ok = at, true
			}
		})
	}
	return found, ok
}

// chain is the flow and the older ones on its addresses. The flow at hand may
// be removed.
func (f *flow) chain() iter.Seq[*flow] {
	return func(yield func(*flow) bool) {
		for f != nil {
			older := f.older
			if !yield(f) {
				return
			}
			f = older
		}
	}
}

// maxWindow is the largest window that TCP can have (RFC 7323, section 2.3):
// nothing further ahead can belong to the connection.
const maxWindow = 1 << 30

// floor is the lowest sequence number that can still be new.
func (f *flow) floor() uint32 {
	if f.state == open {
		return f.ack
	}
	return f.base
}

// origin is the sequence number of the first byte that was seen of the
// connection, or that of a byte as far back as sequence numbers tell.
func (f *flow) origin() uint32 {
	if f.long {
		return f.oldest
	}
	if f.past != (span{}) {
		return f.past.from + 1
	}
	return f.base
}

// sentUpTo notes that a packet says that the client has sent everything before seq.
func (s *Stack) sentUpTo(f *flow, seq uint32) {
	if !seqLess(f.beyond, seq) || !within(seq, f.floor(), maxWindow) {
		return
	}
	f.beyond = seq
}

// sent is the sequence number after the last byte that the client is known to have sent.
func (f *flow) sent() uint32 {
	if f.finSeen && !seqLess(f.fin, f.beyond) {
		return f.fin + 1
	}
	return f.beyond
}

// holed reports whether bytes are missing right after those that gVisor has. This is exact,
// because the queue holds everything that was not acknowledged.
func (f *flow) holed() bool {
	switch {
	case f.state != open:
		return false
	case f.q.len() > 0:
		return seqLess(f.ack, f.q.first().seq)
	}
	return seqLess(f.ack, f.sent())
}

// lost reports whether the bytes missing at ack are known not to come any more, unless the
// mirror has only delayed them: the server has them, or a truncated copy came.
func (f *flow) lost() bool {
	return seqLess(f.ack, f.serverAck) || f.cut.has(f.ack)
}

// gapless reports whether nothing is missing in front of or between what is queued.
func (f *flow) gapless() bool {
	first := f.q.first()
	return first == nil || !seqLess(f.ack, first.seq) && f.q.last().seq+f.q.last().n-first.seq == uint32(f.q.bytes)
}

// received is the sequence number after the last byte that has come.
func (f *flow) received() uint32 {
	if last := f.q.last(); last != nil && seqLess(f.ack, last.seq+last.n) {
		return last.seq + last.n
	}
	return f.ack
}

// maxTail bounds the search for the first hole in what gVisor has not acknowledged.
const maxTail = 256

// tail is the sequence number at which the first byte is missing.
func (f *flow) tail() uint32 {
	if f.gapless() {
		return f.received()
	}
	tail := f.ack
	e := f.q.first()
	for n := 0; e != nil && !seqLess(tail, e.seq) && n < maxTail; n++ {
		tail = e.end()
		e = e.next()
	}
	return tail
}

// busy reports whether the flow needs looking after although no packet comes.
func (f *flow) busy() bool {
	return f.state != open || f.conn == nil || f.q.len() > 0 || f.rstSeen || f.finSeen || f.ending || f.newer != nil || len(f.aside) > 0 || !f.serverRST.IsZero() || f.holed()
}

// calm reports whether a busy flow waits only for gVisor, which has all bytes that the
// client is known to have sent.
func (f *flow) calm() bool {
	return f.state == open && !f.waits() && f.newer == nil && !f.finSeen && len(f.aside) == 0 && f.q.len() > 0 &&
		!f.holed() && f.sent()-f.q.first().seq == uint32(f.q.bytes)
}

// waits reports whether the flow has something to do as soon as gVisor
// answers, and not just something to forget.
func (f *flow) waits() bool {
	return f.state == opening || f.state == open && (f.q.unsent != nil || f.rstSeen || f.ending)
}
