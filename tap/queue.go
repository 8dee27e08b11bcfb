package tap

import (
	"fmt"
	"os"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// slotBytes is tp_frame_size. Version 3 packs packets of any size into a block
// and uses it only to check the request.
const slotBytes = 2048

// queue is the blocks that a packet socket shares with the kernel, in the order in which
// they change hands. One goroutine reads it; the others may only look, while it is
// mapped.
type queue struct {
	fd       int    // the packet socket, non-blocking
	mem      []byte // shared with the kernel; nil once closed
	size     int    // of a block, in bytes
	blocks   int
	offloads bool // frames have offload headers

	current atomic.Int32 // the block to be read next, or that the reader has
	given   uint64       // packets in the blocks that were given back; its reader's
	marked  atomic.Int32 // one more than the block that only looks taken; 0: there is none
}

// open has the kernel make blocks of so many bytes in all, and maps them.
func (q *queue) open(bytes, size int, timeout time.Duration) error {
	if err := unix.SetsockoptInt(q.fd, unix.SOL_PACKET, unix.PACKET_VERSION, unix.TPACKET_V3); err != nil {
		return fmt.Errorf("choosing TPACKET_V3: %w", err)
	}
	q.offloads = showOffload(q.fd)
	q.size, q.blocks = size, bytes/size
	req := unix.TpacketReq3{
		Block_size:     uint32(size),
		Block_nr:       uint32(q.blocks),
		Frame_size:     slotBytes,
		Frame_nr:       uint32(q.blocks * (size / slotBytes)),
		Retire_blk_tov: uint32(timeout / time.Millisecond),
	}
	if err := unix.SetsockoptTpacketReq3(q.fd, unix.SOL_PACKET, unix.PACKET_RX_RING, &req); err != nil {
		return fmt.Errorf("making a ring of %d bytes: %w; if memory is short, use a smaller --ring-mib", bytes, err)
	}
	mem, err := unix.Mmap(q.fd, 0, bytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return fmt.Errorf("mapping a ring of %d bytes: %w; if memory is short, use a smaller --ring-mib", bytes, err)
	}
	q.mem = mem
	return nil
}

// ready says whether the kernel has handed the current block over.
func (q *queue) ready() bool { return q.closed(0) }

// more says whether it has handed over the one behind that as well.
func (q *queue) more() bool { return q.closed(1) }

// low says whether less than a quarter of the blocks is the kernel's, from which on it
// gives packets away that others have room for.
func (q *queue) low() bool { return q.closed(q.blocks - q.blocks/4 - 1) }

// half says whether half of the blocks are the reader's, or were until a moment ago.
func (q *queue) half() bool { return q.closed(q.blocks/2 - 1) }

// closed says whether the kernel has handed over the block so many behind the current
// one, which are fewer than there are blocks.
func (q *queue) closed(ahead int) bool {
	return atomic.LoadUint32(q.status((int(q.current.Load())+ahead)%q.blocks))&unix.TP_STATUS_USER != 0
}

// empty says whether there is no packet, not even in the block that the kernel fills.
func (q *queue) empty() bool {
	return !q.ready() && atomic.LoadUint32(q.packets(int(q.current.Load()))) == 0
}

// block is the current one.
func (q *queue) block() []byte {
	at := int(q.current.Load()) * q.size
	return q.mem[at : at+q.size : at+q.size]
}

// first is when the first packet of the current block was captured. In a block that the
// kernel still fills it may be a time in the past.
func (q *queue) first() time.Time {
	w := walk(q.block(), q.offloads)
	return w.time()
}

// release gives the current block back to the kernel.
func (q *queue) release() {
	block := int(q.current.Load())
	q.given += uint64(atomic.LoadUint32(q.packets(block)))
	atomic.StoreUint32(q.packets(block), 0) // which the kernel may do late
	atomic.StoreUint32(q.status(block), unix.TP_STATUS_KERNEL)
	q.current.Store(int32((block + 1) % q.blocks))
}

// waiting is how many blocks are the reader's.
func (q *queue) waiting() (n int) {
	marked := int(q.marked.Load()) - 1
	for i := range q.blocks {
		if i != marked && atomic.LoadUint32(q.status(i))&unix.TP_STATUS_USER != 0 {
			n++
		}
	}
	return n
}

// status is the word by which a block changes hands: what is written to the block
// before it is stored is seen by the side that loads it.
func (q *queue) status(block int) *uint32 {
	return (*uint32)(unsafe.Pointer(&q.mem[block*q.size+blockStatus]))
}

// packets is how many are in a block.
func (q *queue) packets(block int) *uint32 {
	return (*uint32)(unsafe.Pointer(&q.mem[block*q.size+blockPackets]))
}

// close gives the memory and the socket back.
func (q *queue) close() []error {
	var errs []error
	if q.mem != nil {
		errs = append(errs, os.NewSyscallError("munmap", unix.Munmap(q.mem)))
		q.mem = nil
	}
	return append(errs, os.NewSyscallError("close", unix.Close(q.fd)))
}
