package tap

import (
	"encoding/binary"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Offsets in a block's descriptor (struct tpacket_block_desc) and in the header
// before each packet (struct tpacket3_hdr, include/uapi/linux/if_packet.h); the
// values are in the host's byte order.
const (
	blockHeader   = int(unsafe.Offsetof(unix.TpacketBlockDesc{}.Hdr))
	blockStatus   = blockHeader + int(unsafe.Offsetof(unix.TpacketHdrV1{}.Block_status))
	blockPackets  = blockHeader + int(unsafe.Offsetof(unix.TpacketHdrV1{}.Num_pkts))
	blockFirst    = blockHeader + int(unsafe.Offsetof(unix.TpacketHdrV1{}.Offset_to_first_pkt))
	blockDescSize = blockHeader + int(unsafe.Sizeof(unix.TpacketHdrV1{}))

	packetNext    = int(unsafe.Offsetof(unix.Tpacket3Hdr{}.Next_offset))
	packetSec     = int(unsafe.Offsetof(unix.Tpacket3Hdr{}.Sec))
	packetNsec    = int(unsafe.Offsetof(unix.Tpacket3Hdr{}.Nsec))
	packetSnaplen = int(unsafe.Offsetof(unix.Tpacket3Hdr{}.Snaplen))
	packetLen     = int(unsafe.Offsetof(unix.Tpacket3Hdr{}.Len))
	packetMAC     = int(unsafe.Offsetof(unix.Tpacket3Hdr{}.Mac))
	packetHdrSize = unix.SizeofTpacket3Hdr
)

// walker goes through the packets of one block. It trusts nothing in it: an
// offset that leads out of the block ends the walk, and a frame that does is
// passed over.
type walker struct {
	rest []byte // from the next packet's header to the block's end
	left uint32 // packets not yet seen
	min  uint64 // least offset of a frame from its packet's header

	offload *offload // of the frame that next gave last; nil where there are none

	cut       uint64 // frames shorter than they were on the wire
	malformed uint64 // frames that could not be given
}

// walk starts at the first packet of a block, whose frames have offload headers
// or not.
func walk(block []byte, offloads bool) walker {
	if len(block) < blockDescSize {
		return walker{}
	}
	w := walker{left: binary.NativeEndian.Uint32(block[blockPackets:]), min: uint64(packetHdrSize)}
	if offloads {
		w.min += offloadBytes
	}
	w.advance(block, binary.NativeEndian.Uint32(block[blockFirst:]), blockDescSize)
	return w
}

// time is when the next packet was captured, by the wall clock; zero where there
// is none.
func (w *walker) time() time.Time {
	if w.left == 0 {
		return time.Time{}
	}
	return time.Unix(int64(binary.NativeEndian.Uint32(w.rest[packetSec:])), int64(binary.NativeEndian.Uint32(w.rest[packetNsec:])))
}

// next gives the next frame, which aliases the block; false after the last.
func (w *walker) next() (frame []byte, ok bool) {
	for w.left > 0 {
		w.left--
		b := w.rest
		next := binary.NativeEndian.Uint32(b[packetNext:])
		snaplen := binary.NativeEndian.Uint32(b[packetSnaplen:])
		length := binary.NativeEndian.Uint32(b[packetLen:])
		mac := uint64(binary.NativeEndian.Uint16(b[packetMAC:]))

		if w.left > 0 {
			w.advance(b, next, packetHdrSize)
			// A frame ends before the next packet's header starts.
			b = b[:len(b)-len(w.rest)]
		}
		end := mac + uint64(snaplen)
		if mac < w.min || end > uint64(len(b)) {
			w.malformed++
			continue
		}
		if w.min > packetHdrSize {
			w.offload = (*offload)(b[mac-offloadBytes:])
		}
		if snaplen < length {
			w.cut++
		}
		return b[mac:end:end], true
	}
	return nil, false
}

// advance moves to the packet header off bytes into b, which is at least min.
// Where there is no room for one, what is left is counted and given up.
func (w *walker) advance(b []byte, off uint32, min int) {
	if uint64(off) >= uint64(min) && uint64(off)+uint64(packetHdrSize) <= uint64(len(b)) {
		w.rest = b[off:]
		return
	}
	w.malformed += uint64(w.left)
	w.left, w.rest = 0, nil
}
