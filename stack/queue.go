package stack

import "gvisor.dev/gvisor/pkg/buffer"

// entry is a run of client bytes that gVisor has not acknowledged yet, with
// the packet that carries it there.
type entry struct {
	seq     uint32
	n       uint32       // payload bytes
	packets uint32       // mirrored packets that brought them
	fin     bool         // the client's FIN; then n is 0
	sent    bool         // injected since the last go-back
	view    *buffer.View // IP header, TCP header, payload; nil for a FIN
}

// end is the sequence number behind the entry.
func (e *entry) end() uint32 {
	if e.fin {
		return e.seq + 1
	}
	return e.seq + e.n
}

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
	next  int // index in buf: every entry before it has been sent
}

func (q *sendQueue) len() int { return len(q.buf) - q.head }

func (q *sendQueue) first() *entry { return &q.buf[q.head] }

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
	q.next = min(q.next, at)
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

// acked drops the entries that end at or before ack and returns the packets
// and bytes that they brought. An entry acknowledged in part stays whole.
func (q *sendQueue) acked(ack uint32) (packets, bytes uint64) {
	for q.head < len(q.buf) && !seqLess(ack, q.buf[q.head].end()) {
		p, n := q.pop()
		packets += p
		bytes += n
	}
	return packets, bytes
}

// clear drops everything.
func (q *sendQueue) clear() (packets, bytes uint64) {
	for q.head < len(q.buf) {
		p, n := q.pop()
		packets += p
		bytes += n
	}
	return packets, bytes
}

func (q *sendQueue) pop() (packets, bytes uint64) {
	e := &q.buf[q.head]
	packets, bytes = uint64(e.packets), uint64(e.n)
	q.bytes -= int(e.n)
	e.release()
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
