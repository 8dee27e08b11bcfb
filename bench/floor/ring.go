package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The ring is the one that netmirror has by default.
const (
	ringBytes    = 64 << 20
	blockBytes   = 128 << 10
	slotBytes    = 2048
	blockTimeout = 1 // ms
)

// ring is a TPACKET_V3 ring (packet_mmap.rst of the kernel's documentation).
type ring struct {
	fd      int
	mem     []byte
	current int // block to be read next
}

func openRing(iface string) (*ring, error) {
	ifi, err := net.InterfaceByName(iface)
	if err != nil {
		return nil, err
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("packet socket: %w", err)
	}
	req := unix.TpacketReq3{
		Block_size: blockBytes, Block_nr: ringBytes / blockBytes,
		Frame_size: slotBytes, Frame_nr: ringBytes / slotBytes,
		Retire_blk_tov: blockTimeout,
	}
	var proto [2]byte
	binary.BigEndian.PutUint16(proto[:], unix.ETH_P_ALL)
	at := unix.SockaddrLinklayer{Protocol: binary.NativeEndian.Uint16(proto[:]), Ifindex: ifi.Index}
	err = errors.Join(
		unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_VERSION, unix.TPACKET_V3),
		unix.SetsockoptTpacketReq3(fd, unix.SOL_PACKET, unix.PACKET_RX_RING, &req),
		unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1),
	)
	if err != nil {
		return nil, fmt.Errorf("ring: %w", err)
	}
	mem, err := unix.Mmap(fd, 0, ringBytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map the ring: %w", err)
	}
	return &ring{fd: fd, mem: mem}, unix.Bind(fd, &at)
}

// next waits for the next block, for at most so many milliseconds; -1 is no limit.
// The block, nil where none came, is the caller's until release.
func (r *ring) next(patience int) ([]byte, error) {
	block := r.mem[r.current*blockBytes:][:blockBytes]
	if atomic.LoadUint32(statusOf(block))&unix.TP_STATUS_USER == 0 {
		if err := poll(r.fd, patience); err != nil {
			return nil, err
		}
		if atomic.LoadUint32(statusOf(block))&unix.TP_STATUS_USER == 0 {
			return nil, nil
		}
	}
	r.current = (r.current + 1) % (ringBytes / blockBytes)
	return block, nil
}

// release gives a block back to the kernel.
func (r *ring) release(block []byte) {
	atomic.StoreUint32(statusOf(block), unix.TP_STATUS_KERNEL)
}

// headerOf is behind the version and an offset of struct tpacket_block_desc
// (include/uapi/linux/if_packet.h).
func headerOf(block []byte) *unix.TpacketHdrV1 {
	return (*unix.TpacketHdrV1)(unsafe.Pointer(&block[unsafe.Offsetof(unix.TpacketBlockDesc{}.Hdr)]))
}

func statusOf(block []byte) *uint32 { return &headerOf(block).Block_status }

// eachFrame calls do with the frames of a block, which alias it.
func eachFrame(block []byte, do func(frame []byte)) {
	h := headerOf(block)
	rest := block[h.Offset_to_first_pkt:]
	for range h.Num_pkts {
		p := (*unix.Tpacket3Hdr)(unsafe.Pointer(&rest[0]))
		do(rest[p.Mac:][:p.Snaplen])
		rest = rest[p.Next_offset:]
	}
}

// holdPort keeps the kernel from answering the mirror's packets with ICMP.
func holdPort(port int) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	drop := unix.SockFilter{Code: unix.BPF_RET}
	return errors.Join(
		unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: 1, Filter: &drop}),
		unix.Bind(fd, &unix.SockaddrInet4{Port: port}),
	)
}
