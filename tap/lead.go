package tap

import (
	"sync/atomic"

	"golang.org/x/sys/unix"

	"netmirror/sleeper"
)

// A ring of its own, without others to share packets with, and its spare one are a group of
// another kind (PACKET_FANOUT_ROLLOVER, packet(7)), by which no packet is lost at the
// moment at which a ring becomes full: the kernel goes over to the other of the two once less
// than a quarter of the blocks is free, and stays with that until the same is true there. So
// it has to be led back, by a block of the spare ring that only looks taken. From then on
// until the next packet has been read, the ring is as one without a spare one.

// lead has the kernel give the ring the next packet, once all is read that was captured before:
// the time in which there is no spare ring is then short, as the reader has nothing to do.
func (r *Ring) lead() {
	g, spare := r.group, r.group.spare
	g.astray = g.astray || spare.total() > g.led
	switch {
	case !g.astray:
	case r.queue.empty():
		spare.unmark()
		if !spare.ready() {
			r.look()
			spare.mark()
		}
	case spare.marked.Load() != 0: // it was empty, and has a packet
		spare.unmark()
		spare.look()
		g.astray, g.led = false, spare.total()
	}
}

// mark makes one free block look taken: the one by which the kernel judges whether there is
// room. It is far from the blocks in use.
func (q *queue) mark() {
	block := (int(q.current.Load()) + q.filling() + q.blocks/4) % q.blocks
	if atomic.CompareAndSwapUint32(q.status(block), unix.TP_STATUS_KERNEL, unix.TP_STATUS_USER) {
		q.marked.Store(int32(block) + 1)
	}
}

func (q *queue) unmark() {
	if block := int(q.marked.Swap(0)) - 1; block >= 0 {
		atomic.StoreUint32(q.status(block), unix.TP_STATUS_KERNEL)
	}
}

// filling is how many blocks ahead of the current one the kernel fills one, or waits for it.
func (q *queue) filling() (ahead int) {
	for ahead < q.blocks-1 && q.closed(ahead) {
		ahead++
	}
	return ahead
}

// total is how many packets the kernel has put into the queue so far. It is for the reader.
func (q *queue) total() uint64 {
	n := q.given
	for ahead := range q.filling() + 1 {
		n += uint64(atomic.LoadUint32(q.packets((int(q.current.Load()) + ahead) % q.blocks)))
	}
	return n
}

// look has the kernel see that a ring has room again. Where it once had not, the kernel passes
// it over until somebody polls its socket.
func (q *queue) look() { sleeper.RawReady(q.fd, unix.POLLIN) }
