package stack

import (
	"iter"
	"time"
)

// flowState says how far the virtual client of a flow has got.
type flowState uint8

const (
	parked  flowState = iota // holds what came before the SYN, or data in the SYN
	waiting                  // proven; an older flow still has the endpoint of these addresses
	opening                  // SYN injected
	open                     // handshake done
)

// flow is one client's half of one mirrored connection. All of it is guarded
// by Stack.mu.
type flow struct {
	key   flowKey
	state flowState
	conn  *Conn // nil until gVisor's listener has handed it out

	hasBase bool   // the SYN was seen
	base    uint32 // sequence number of the stream's first byte

	// What gVisor said.
	ack       uint32 // everything before it has been received in order
	windowEnd uint32 // first sequence number beyond the advertised window
	peerSeq   uint32 // gVisor's own sequence number: what the client acknowledges
	scale     uint8

	q       sendQueue
	cost    int // what q counts for in the budgets
	finSeen bool
	fin     uint32 // sequence number of the FIN: there are no bytes at it or behind
	rstSeen bool
	rst     uint32 // sequence number of the RST

	ending bool // end with reason once all that is contiguous has been received
	reason End

	older, newer *flow // the same addresses, one connection after the other

	opened   time.Time // when the flow was made, or its SYN injected
	progress time.Time // when gVisor last took something or grew its window
	backoff  time.Duration
	hole     time.Time // since when bytes are missing at ack; zero when none are
	seen     time.Time // last packet

	dirty   bool // in Stack.dirty
	eager   bool // counted in Stack.eager
	removed bool
	active  int // index in Stack.active, -1 when not there
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

// holed reports whether bytes are missing right behind what gVisor has. The
// queue holds all that was not acknowledged, so that this is exact.
func (f *flow) holed() bool {
	if f.state != open {
		return false
	}
	if f.q.len() > 0 {
		return seqLess(f.ack, f.q.first().seq)
	}
	return f.rstSeen && seqLess(f.ack, f.rst)
}

// finReady reports whether every byte before the FIN, the queue's last entry,
// has been sent without a gap. gVisor loses a FIN that it has to put off: its
// receiver takes an empty segment at the awaited sequence number for one that
// was received before.
func (f *flow) finReady(fin *entry) bool {
	first := f.q.first()
	return !seqLess(f.ack, first.seq) && fin.seq-first.seq == uint32(f.q.bytes)
}

// busy reports whether the flow needs looking after although no packet comes.
func (f *flow) busy() bool {
	return f.state != open || f.q.len() > 0 || f.rstSeen || f.ending || f.newer != nil
}

// waits reports whether the flow has something to do as soon as gVisor
// answers, and not just something to forget.
func (f *flow) waits() bool {
	return f.state == opening || f.state == open && (f.q.next < len(f.q.buf) || f.rstSeen || f.ending)
}

// entryOverhead is what an entry costs beside its payload: its place in the
// queue, headers, and gVisor's own bookkeeping.
const entryOverhead = 512
