package tap

import (
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// A ring of its own, without others to share packets with, and its spare one are a group of
// another kind (PACKET_FANOUT_ROLLOVER, packet(7)), by which no packet is lost at the
// moment at which a ring becomes full: the kernel goes over to the other of the two once less than a quarter of the
// blocks is free, and stays with that until the same is true there. So it has to be
// led back, by a block of the spare ring that only looks taken.

// leader leads the kernel back from the spare ring. It belongs to the reader.
type leader struct {
	astray bool    // packets may go to the spare ring
	mark   *uint32 // the status of the block that looks taken; nil: there is none
}

// lead has the kernel give the ring the next packet, once all is read that the ring had
// when packets went to the spare one.
func (r *Ring) lead() {
	l, spare := &r.group.leader, r.group.spare
	switch {
	case !l.astray:
	case r.queue.empty():
		l.unmark()
		look(r.fd)
		// The one that the kernel looks at. It is far from those that it uses.
		word := spare.status((spare.filling() + spare.blocks/4) % spare.blocks)
		if atomic.CompareAndSwapUint32(word, unix.TP_STATUS_KERNEL, unix.TP_STATUS_USER) {
			l.mark = word
		}
	case l.mark != nil: // which was empty, and has a packet
		l.unmark()
		look(spare.fd)
		l.astray = false
	}
}

func (l *leader) unmark() {
	if l.mark != nil {
		atomic.StoreUint32(l.mark, unix.TP_STATUS_KERNEL)
		l.mark = nil
	}
}

// filling is the block that the kernel fills, or waits for.
func (q *queue) filling() int {
	ahead := 0
	for ahead < q.blocks && q.closed(ahead) {
		ahead++
	}
	return (int(q.current.Load()) + ahead) % q.blocks
}

// look has the kernel see that a socket's ring has room again.
func look(fd int) {
	// It cannot fail with what it is given, but be interrupted before it has looked; then
	// the next time does.
	_, _ = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
}
