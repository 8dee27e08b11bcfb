package udp

import (
	"encoding/binary"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// batchSize is how many packets are received at a time.
	batchSize = 64
	// bufferBytes holds the payload of every UDP packet; of a larger one, which only
	// offload makes, what is beyond it is cut.
	bufferBytes = 64 << 10
	// controlBytes is room for a time and the size of datagrams.
	controlBytes = 128
)

// message is struct mmsghdr (recvmmsg(2)).
type message struct {
	header unix.Msghdr
	length uint32
}

// batch is memory for packets that are received together.
type batch struct {
	memory   []byte // mapped: most of it is never touched
	messages [batchSize]message
	vectors  [batchSize]unix.Iovec
	controls [batchSize][controlBytes]byte
	received int // messages that were received last
}

func newBatch() (*batch, error) {
	memory, err := unix.Mmap(-1, 0, batchSize*bufferBytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return nil, os.NewSyscallError("mmap", err)
	}
	b := &batch{memory: memory, received: batchSize}
	for i := range b.messages {
		b.vectors[i].Base = &memory[i*bufferBytes]
		b.vectors[i].SetLen(bufferBytes)
		h := &b.messages[i].header
		h.Iov = &b.vectors[i]
		h.SetIovlen(1)
		h.Control = &b.controls[i][0]
	}
	return b, nil
}

// begin empties the batch.
func (b *batch) begin() {
	for i := range b.messages[:b.received] { // which the kernel wrote to
		b.messages[i].header.SetControllen(controlBytes)
	}
	b.received = 0
}

// full reports whether there is no room for another packet.
func (b *batch) full() bool { return b.received == batchSize }

// receive appends the packets that wait in a socket, as far as there is room.
func (b *batch) receive(fd int) error {
	room := b.messages[b.received:]
	for {
		// It never blocks, and an ordinary call wakes the runtime's watchdog thread.
		n, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, uintptr(fd), uintptr(unsafe.Pointer(&room[0])),
			uintptr(len(room)), unix.MSG_DONTWAIT, 0, 0)
		switch errno {
		case 0:
			b.received += int(n)
			return nil
		case unix.EINTR:
		case unix.EAGAIN:
			return nil
		default:
			return os.NewSyscallError("recvmmsg", errno)
		}
	}
}

// packet is the data of message i, which aliases the batch's memory, and whether it was cut.
func (b *batch) packet(i int) (data []byte, cut bool) {
	m := &b.messages[i]
	at := i * bufferBytes
	end := at + min(int(m.length), bufferBytes)
	return b.memory[at:end:end], m.header.Flags&unix.MSG_TRUNC != 0
}

// control reads the control messages of message i: the size of each of several datagrams in
// bytes (UDP_GRO, udp(7)), 0 for a single one, and the time of arrival.
func (b *batch) control(i int) (size int, at time.Time) {
	rest := b.controls[i][:min(b.messages[i].header.Controllen, controlBytes)]
	for len(rest) >= unix.SizeofCmsghdr {
		h := (*unix.Cmsghdr)(unsafe.Pointer(&rest[0]))
		length := int(h.Len)
		if length < unix.CmsgLen(0) || length > len(rest) {
			break
		}
		data := rest[unix.CmsgLen(0):length]
		switch {
		case h.Level == unix.SOL_UDP && h.Type == unix.UDP_GRO && len(data) >= 4:
			size = int(int32(binary.NativeEndian.Uint32(data)))
		case h.Level == unix.SOL_SOCKET && h.Type == unix.SO_TIMESTAMPNS && len(data) >= int(unsafe.Sizeof(unix.Timespec{})):
			at = time.Unix((*unix.Timespec)(unsafe.Pointer(&data[0])).Unix())
		}
		rest = rest[min(unix.CmsgSpace(len(data)), len(rest)):]
	}
	return size, at
}

func (b *batch) close() error { return os.NewSyscallError("munmap", unix.Munmap(b.memory)) }
