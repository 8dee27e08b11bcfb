package stack

import "time"

// sendQueue holds a flow's unacknowledged entries in sequence order, without
// overlap. Its bounds are the flow's budgets. The zero value is empty.
//
// What was sent comes before what was not: an entry that is inserted in front of
// one that was sent (entry.late) must be sent at once.
type sendQueue struct {
	entryList
	bytes  int    // payload bytes held
	mem    int    // bytes of memory held
	count  int    // mirrored packets that brought what is held
	ahead  int    // bytes of memory of the entries that were sent while a hole was in front
	unsent *entry // every entry before it has been sent; nil: all were

	acked bool   // ack is set
	ack   uint32 // what the client acknowledged with the newest bytes that left the front
}

// hold adds to what q holds, and to what all queues of its pool hold.
func (q *sendQueue) hold(packets, bytes int) {
	q.count += packets
	q.bytes += bytes
	if q.pool != nil {
		q.pool.packets += packets
		q.pool.bytes += bytes
	}
}

// lacks finds the first part [from, to) of [seq, end) that the queue does not
// hold, and the entry that insert puts it in front of, nil for the end. ok is
// false where the queue holds all.
func (q *sendQueue) lacks(seq, end uint32) (before *entry, from, to uint32, ok bool) {
	e := q.find(seq)
	for ; e != nil && seqLess(seq, end); e = e.next() {
		if seqLess(seq, e.seq) {
			if seqLess(e.seq, end) {
				end = e.seq
			}
			return e, seq, end, true
		}
		seq = e.end()
	}
	return e, seq, end, seqLess(seq, end)
}

// insert puts e in front of the entry that lacks gave.
func (q *sendQueue) insert(before *entry, e entry) *entry {
	in := q.entryList.insert(before, e)
	q.mem += in.memory()
	q.hold(int(in.packets), int(in.n))
	if before == q.unsent {
		q.unsent = in
	}
	return in
}

// extend adds the first n bytes of a segment to the last entry, if they directly
// follow it, were sent in one go with it, and it was not injected yet: gVisor
// takes one large segment at a third of what many small ones cost it. No stream
// can begin there, so that the boundary is not needed.
func (q *sendQueue) extend(seg *segment, n int, now time.Duration) bool {
	e := q.last()
	if e == nil || n == 0 {
		return false
	}
	if e.fin || e.sent || e.single || e.end() != seg.seq || !e.acks || seg.flags&flagACK == 0 || seg.noACK || e.ack != seg.ack || int(e.n)+n > maxPayload {
		return false
	}
	q.mem -= e.memory()
	if e.bytes.Free() < n {
		e.grow(n)
	}
	e.bytes.Append(seg.payload[:n])
	q.mem += e.memory()
	e.n += uint32(n)
	e.newest = now
	e.packets += uint32(seg.packets())
	q.hold(seg.packets(), n)
	return true
}

// drop lets the first n entries go and returns the packets and bytes that
// they brought.
func (q *sendQueue) drop(n int) (packets, bytes uint64) {
	for range n {
		p, b := q.pop()
		packets += p
		bytes += b
	}
	return packets, bytes
}

// trimFront cuts off the part of the first entry that is before seq, and returns
// how many bytes that is. An entry that is before seq as a whole is the caller's
// to pop and to count.
func (q *sendQueue) trimFront(seq uint32) (bytes int) {
	e := q.first()
	if e == nil || !seqLess(e.seq, seq) || !seqLess(seq, e.end()) {
		return 0
	}
	n := seq - e.seq
	e.bytes.TrimFront(int(n))
	e.seq, e.n, e.first = seq, e.n-n, false
	q.hold(0, -int(n))
	q.acked, q.ack = e.acks, e.ack
	return int(n)
}

// follows reports whether e goes on where the entry before it ends, or, being
// the first, where gVisor has come to.
func (q *sendQueue) follows(e *entry, ack uint32) bool {
	if prev := e.prev(); prev != nil {
		return prev.end() == e.seq
	}
	return !seqLess(ack, e.seq)
}

// beyondHole reports whether something is missing in front of e, as far as the entry
// before it tells.
func (q *sendQueue) beyondHole(e *entry, ack uint32) bool {
	return !q.follows(e, ack) || e.prev() != nil && e.prev().ahead
}

// markAhead notes that an entry is sent although something is missing in front.
func (q *sendQueue) markAhead(e *entry) {
	e.ahead = true
	q.ahead += e.memory()
}

func (q *sendQueue) pop() (packets, bytes uint64) {
	e := q.first()
	packets, bytes = uint64(e.packets), uint64(e.n)
	if e.n > 0 && !e.mayProbe() {
		q.acked, q.ack = e.acks, e.ack
	}
	q.forget(e)
	return packets, bytes
}

func (q *sendQueue) removeLast() { q.forget(q.last()) }

// forget removes an entry and takes it out of the sums.
func (q *sendQueue) forget(e *entry) {
	q.mem -= e.memory()
	q.hold(-int(e.packets), -int(e.n))
	if e.ahead {
		q.ahead -= e.memory()
	}
	if q.unsent == e {
		q.unsent = e.next()
	}
	e.bytes.Release()
	q.remove(e)
}

// markSent notes that q.unsent, or a late entry, has been sent.
func (q *sendQueue) markSent(e *entry) {
	e.sent = true
	if q.unsent == e {
		q.unsent = e.next()
	}
}

// resend marks every entry as not sent.
func (q *sendQueue) resend() {
	for e := q.first(); e != q.unsent; e = e.next() {
		e.sent, e.ahead = false, false
	}
	q.ahead = 0
	q.unsent = q.first()
}

// moved is the queue for another endpoint, which has been sent nothing yet. q is
// empty afterwards.
func (q *sendQueue) moved() sendQueue {
	q.resend()
	to := *q
	*q = sendQueue{entryList: entryList{pool: q.pool}, acked: q.acked, ack: q.ack}
	return to
}
