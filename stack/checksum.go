package stack

import (
	"encoding/binary"

	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// Checksums says which segments are dropped for their TCP checksum.
type Checksums uint8

const (
	// ChecksumsAuto drops what the real server has dropped too, so that the
	// client's retransmission can take its place: a wrong checksum, unless it
	// is what checksum offload leaves where a packet is mirrored before the
	// hardware has finished it.
	ChecksumsAuto Checksums = iota
	ChecksumsAlways
	ChecksumsNever
)

// sound reports whether a segment passes. ip is the whole packet, tcp the
// offset of its TCP header.
func (c Checksums) sound(ip []byte, tcp int) bool {
	if c == ChecksumsNever {
		return true
	}
	b := ip[tcp:]
	addresses, protocol := ip[12:20], uint16(header.TCPProtocolNumber)
	if ip[0]>>4 == 6 {
		addresses = ip[8:40]
	}
	// The pseudo-header (RFC 9293, section 3.1; RFC 8200, section 8.1).
	pseudo := checksum.Combine(checksum.Checksum(addresses, 0), protocol)
	length := checksum.Combine(uint16(len(b)>>16), uint16(len(b)))
	whole := checksum.Combine(pseudo, length)
	if checksum.Checksum(b, whole) == 0xffff {
		return true
	}
	if c == ChecksumsAlways {
		return false
	}
	// Linux leaves the sum of the pseudo-header for the hardware to finish;
	// hardware that cuts super-frames wants it without the length.
	field := binary.BigEndian.Uint16(b[16:])
	return field == whole || field == pseudo
}
