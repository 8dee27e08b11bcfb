package tap

import (
	"encoding/binary"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// offloadBytes is the length of an offload header.
const offloadBytes = 10

// offload is the header that the kernel puts directly before a frame
// (PACKET_VNET_HDR, packet(7); struct virtio_net_hdr,
// include/uapi/linux/virtio_net.h). Its values are in the host's byte order.
type offload [offloadBytes]byte

const (
	offloadNeedsCsum = 1    // a flag: a checksum is unfilled
	offloadUDP       = 5    // a type: UDP datagrams, of one size but for the last
	offloadECN       = 0x80 // a flag in the type
)

// aggregated says whether the frame is several UDP datagrams in one.
func (h *offload) aggregated() bool { return h[1]&^offloadECN == offloadUDP }

// size is how many bytes of payload each datagram has but the last.
func (h *offload) size() int { return int(binary.NativeEndian.Uint16(h[4:])) }

// checksum says where in the frame what the checksum covers starts, if it is yet
// to be filled in.
func (h *offload) checksum() (start int, unfilled bool) {
	return int(binary.NativeEndian.Uint16(h[6:])), h[0]&offloadNeedsCsum != 0
}

// showOffload has the kernel put offload headers before the frames of a ring yet
// to be made, and says whether it does. Before 6.2 Linux drops aggregated
// datagrams where it is to describe them; without, the first of them is read.
func showOffload(fd int) bool {
	var name unix.Utsname
	if unix.Uname(&name) != nil || !describesUDP(unix.ByteSliceToString(name.Release[:])) {
		return false
	}
	return unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_VNET_HDR, 1) == nil
}

// describesUDP says whether a kernel's release is 6.2 or later.
func describesUDP(release string) bool {
	major, rest, _ := strings.Cut(release, ".")
	minor := rest
	if end := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' }); end >= 0 {
		minor = rest[:end]
	}
	x, errX := strconv.Atoi(major)
	y, errY := strconv.Atoi(minor)
	return errX == nil && errY == nil && (x > 6 || x == 6 && y >= 2)
}
