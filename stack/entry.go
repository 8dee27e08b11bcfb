package stack

import (
	"time"

	"netmirror/stack/netstack"
)

// entry is a run of client bytes that gVisor has not acknowledged yet.
type entry struct {
	seq     uint32
	n       uint32           // payload bytes
	ack     uint32           // what the client acknowledged with them
	packets uint32           // mirrored packets that brought them
	at      time.Duration    // when they came, since Stack.epoch
	newest  time.Duration    // when the last of them came
	acks    bool             // ack is set
	fin     bool             // the client's FIN; then n is 0
	first   bool             // begins where a segment does
	single  bool             // one byte, which may be a probe's where its place is not known
	asked   asked            // what was known when it came
	sent    bool             // injected since the last go-back; never a FIN
	ahead   bool             // sent while something was missing in front
	bytes   netstack.Payload // gVisor may share them. None for a FIN
	links   tower            // its place in the list that holds it
}

// asked says whether the server had answered something in the hole in front of an entry when
// the client sent that.
type asked uint8

const (
	unasked asked = iota // not asked, or it had answered too often to tell
	unanswered
	mayBeAnswered // it had, or the mirror did not show it
	interimOnly   // there is no hole, and the client had nothing but interim answers
)

// next is the entry behind e in its queue, nil at the end.
func (e *entry) next() *entry { return e.links.next }

// prev is the entry in front of e in its queue, nil at the front.
func (e *entry) prev() *entry { return e.links.prev }

// end is the sequence number behind the entry.
func (e *entry) end() uint32 {
	if e.fin {
		return e.seq + 1
	}
	return e.seq + e.n
}

// isLast reports whether no bytes are behind the entry.
func (e *entry) isLast() bool { return e.next() == nil || e.next().fin }

// late reports whether an entry behind e was sent before e came.
func (e *entry) late() bool { return !e.sent && e.next() != nil && e.next().sent }

// probePause is less than there is between a keep-alive probe and what comes next, as
// a rule, and more than between the segments of one write.
const probePause = 50 * time.Millisecond

// mayProbe reports whether an entry is one byte that a pause follows, as a keep-alive
// probe's is: the client repeats in it a byte that was sent before.
func (e *entry) mayProbe() bool {
	next := e.next()
	return e.single && (next == nil || next.at-e.at >= probePause)
}

// payload aliases the entry's bytes.
func (e *entry) payload() []byte { return e.bytes.Bytes() }

// memory is what an entry takes, with what gVisor needs for it: payloads are
// kept in chunks of powers of two.
func (e *entry) memory() int { return entryOverhead + e.bytes.Cap() }

// entryOverhead is what an entry costs beside its payload: its place in the
// queue, headers, and gVisor's own bookkeeping.
const entryOverhead = 512

// grow makes room for n more bytes, and, where so much came in one go that more
// is to be expected, for all that a packet can carry: the bytes are copied each
// time.
func (e *entry) grow(n int) {
	size := e.bytes.Len() + n
	if size > 8<<10 {
		size = maxPayload
	}
	e.bytes.Grow(size)
}
