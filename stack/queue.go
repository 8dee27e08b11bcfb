package stack

import (
	"slices"
	"time"

	"gvisor.dev/gvisor/pkg/buffer"
)

// entry is a run of client bytes that gVisor has not acknowledged yet.
type entry struct {
	seq     uint32
	n       uint32        // payload bytes
	ack     uint32        // what the client acknowledged with them
	packets uint32        // mirrored packets that brought them
	at      time.Duration // when they came, since Stack.epoch
	acks    bool          // ack is set
	fin     bool          // the client's FIN; then n is 0
	first   bool          // begins where a segment does
	sent    bool          // injected since the last go-back
	view    *buffer.View  // the bytes; gVisor may share them. nil for a FIN
}

// end is the sequence number behind the entry.
func (e *entry) end() uint32 {
	if e.fin {
		return e.seq + 1
	}
	return e.seq + e.n
}

// memory is what an entry takes, with what gVisor needs for it: payloads are
// kept in chunks of powers of two.
func (e *entry) memory() int { return entryOverhead + e.view.Capacity() }

// entryOverhead is what an entry costs beside its payload: its place in the
// queue, headers, and gVisor's own bookkeeping.
const entryOverhead = 512

func (e *entry) release() {
	if e.view != nil {
		e.view.Release()
		e.view = nil
	}
}

// sendQueue holds a flow's unacknowledged entries in sequence order, without
// overlap. Its bounds are the flow's budgets. The zero value is empty.
type sendQueue struct {
	buf   []entry // buf[head:] are the entries
	head  int
	bytes int // payload bytes held
	mem   int // bytes of memory held
	count int // mirrored packets that brought what is held
	next  int // index in buf: every entry before it has been sent

	acked bool   // ack is set
	ack   uint32 // what the client acknowledged with the newest bytes that left the front
}

func (q *sendQueue) len() int { return len(q.buf) - q.head }

func (q *sendQueue) first() *entry { return &q.buf[q.head] }

func (q *sendQueue) last() *entry { return &q.buf[len(q.buf)-1] }

// lacks finds the first part [from, to) of [seq, end) that the queue does not
// hold, and the index at which insert puts it. ok is false where it holds all.
//
// Mirrored segments come in order but for a few, so the place is looked for
// from the back.
func (q *sendQueue) lacks(seq, end uint32) (at int, from, to uint32, ok bool) {
	at = len(q.buf)
	for at > q.head && seqLess(seq, q.buf[at-1].end()) {
		at--
	}
	for ; at < len(q.buf) && seqLess(seq, end); at++ {
		e := &q.buf[at]
		if seqLess(seq, e.seq) {
			if seqLess(e.seq, end) {
				end = e.seq
			}
			return at, seq, end, true
		}
		seq = e.end()
	}
	return at, seq, end, seqLess(seq, end)
}

// insert puts e at the index that lacks gave.
func (q *sendQueue) insert(at int, e entry) {
	if len(q.buf) == cap(q.buf) && q.head > len(q.buf)/2 {
		at -= q.compact()
	}
	q.buf = append(q.buf, entry{})
	copy(q.buf[at+1:], q.buf[at:])
	q.buf[at] = e
	q.bytes += int(e.n)
	q.mem += e.memory()
	q.count += int(e.packets)
	q.next = min(q.next, at)
}

// extend adds the first n bytes of a segment to the last entry, if they directly
// follow it, were sent in one go with it, and it was not injected yet: gVisor
// takes one large segment at a third of what many small ones cost it. No stream
// can begin there, so that the boundary is not needed.
func (q *sendQueue) extend(seg *segment, n int) bool {
	if q.len() == 0 || n == 0 {
		return false
	}
	e := q.last()
	if e.fin || e.sent || e.end() != seg.seq || !e.acks || seg.flags&flagACK == 0 || e.ack != seg.ack || int(e.n)+n > maxPayload {
		return false
	}
	q.mem -= e.memory()
	if e.view.AvailableSize() < n {
		e.grow(n)
	}
	_, _ = e.view.Write(seg.payload[:n]) // has no error to return
	q.mem += e.memory()
	e.n += uint32(n)
	e.packets++
	q.count++
	q.bytes += n
	return true
}

// grow makes room for n more bytes, and, where so much came in one go that more
// is to be expected, for all that a packet can carry: the bytes are copied each
// time.
func (e *entry) grow(n int) {
	size := e.view.Size() + n
	if size > 8<<10 {
		size = maxPayload
	}
	view := buffer.NewView(size)
	_, _ = view.Write(e.view.AsSlice())
	e.view.Release()
	e.view = view
}

// compact moves the entries to the front of the array and says by how much.
func (q *sendQueue) compact() int {
	shift := q.head
	n := copy(q.buf, q.buf[shift:])
	clear(q.buf[n:])
	q.buf = q.buf[:n]
	q.head, q.next = 0, q.next-shift
	return shift
}

// drop lets the first n entries go and returns the packets and bytes that
// they brought.
func (q *sendQueue) drop(n int) (packets, bytes uint64) {
	for range n {
		p, n := q.pop()
		packets += p
		bytes += n
	}
	return packets, bytes
}

// payload aliases the entry's bytes.
func (e *entry) payload() []byte {
	b := e.view.AsSlice()
	return b[len(b)-int(e.n):] // less in front, where a part was accounted for already
}

// maxRequestLine is how many bytes are looked at for the end of a request line
// that is split over segments.
const maxRequestLine = 16 << 10

// request reports whether a segment at index i begins an HTTP/1 request that
// the client was free to send: one directly behind what it sent before the
// last answer is a part of that.
func (q *sendQueue) request(i int) bool {
	e := &q.buf[i]
	if !e.first || e.n == 0 || !q.fresh(i) {
		return false
	}
	l := requestLikeness(e.payload())
	if l != possible {
		return l == request
	}
	line := slices.Clone(e.payload())
	for end := e.end(); l == possible && len(line) < maxRequestLine; end = q.buf[i].end() {
		// What follows an answer is not the rest of a line.
		if i++; i == len(q.buf) || q.buf[i].n == 0 || q.buf[i].seq != end || q.fresh(i) {
			break
		}
		line = append(line, q.buf[i].payload()...)
		l = requestLikeness(line)
	}
	return l == request
}

// follows reports whether the entry at index i goes on where the one before
// ends, or, being the first, where gVisor has come to.
func (q *sendQueue) follows(i int, ack uint32) bool {
	if i == q.head {
		return !seqLess(ack, q.buf[i].seq)
	}
	return q.buf[i-1].end() == q.buf[i].seq
}

// fresh reports whether the client had been answered between the bytes in
// front of the entry at index i and the entry. Where nothing is known of what
// is in front, it may have been.
func (q *sendQueue) fresh(i int) bool {
	known, ack := q.acked, q.ack
	if i > q.head {
		known, ack = q.buf[i-1].acks, q.buf[i-1].ack
	}
	return !known || !q.buf[i].acks || seqLess(ack, q.buf[i].ack)
}

func (q *sendQueue) pop() (packets, bytes uint64) {
	e := &q.buf[q.head]
	packets, bytes = uint64(e.packets), uint64(e.n)
	if e.n > 0 {
		q.acked, q.ack = e.acks, e.ack
	}
	q.forget(e)
	q.head++
	q.next = max(q.next, q.head)
	if q.head == len(q.buf) {
		q.buf, q.head, q.next = q.buf[:0], 0, 0
		if cap(q.buf) > idleQueueCap {
			q.buf = nil
		}
	}
	return packets, bytes
}

func (q *sendQueue) removeLast() {
	last := len(q.buf) - 1
	q.forget(&q.buf[last])
	q.buf = q.buf[:last]
	q.next = min(q.next, last)
}

// forget takes an entry that is about to leave out of the sums.
func (q *sendQueue) forget(e *entry) {
	q.bytes -= int(e.n)
	q.mem -= e.memory()
	q.count -= int(e.packets)
	e.release()
}

// idleQueueCap is how many entries an empty queue may keep room for, so that
// a flow's memory falls back after a burst.
const idleQueueCap = 16

// resend marks every entry as not sent.
func (q *sendQueue) resend() {
	for i := q.head; i < len(q.buf); i++ {
		q.buf[i].sent = false
	}
	q.next = q.head
}

// moved is the queue for another endpoint, which has been sent nothing yet. q is
// empty afterwards.
func (q *sendQueue) moved() sendQueue {
	q.resend()
	to := *q
	*q = sendQueue{acked: q.acked, ack: q.ack}
	return to
}
