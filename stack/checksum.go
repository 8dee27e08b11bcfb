package stack

import (
	"encoding/binary"

	"netmirror/stack/netstack"
	"netmirror/wire"
)

// Checksums says which segments are dropped for their TCP checksum.
type Checksums uint8

const (
	// ChecksumsAuto drops what the real server has dropped too, so that the
	// client's retransmission can take its place: a wrong checksum, unless it
	// is what checksum offload leaves where a packet is mirrored before the
	// hardware has finished it. Where a connection's other segments have full
	// checksums, an unfinished one is wrong.
	ChecksumsAuto   Checksums = iota
	ChecksumsAlways           // drops every segment whose checksum is not right, unfinished ones too
	ChecksumsNever            // drops none, and looks at none
)

// sum is what a segment's checksum is.
type sum uint8

const (
	sumWrong      sum = iota
	sumUnfinished     // the pseudo-header's sum, which checksum offload leaves for the hardware
	sumFull
	sumUnread // it was not looked at
)

// sumOf looks at the checksum of a segment. ip is the whole packet, tcp the offset of
// its TCP header.
func sumOf(ip []byte, tcp int) sum {
	b := ip[tcp:]
	addresses, protocol := ip[12:20], uint16(wire.ProtoTCP)
	if ip[0]>>4 == 6 {
		addresses = ip[8:40]
	}
	// The pseudo-header (RFC 9293, section 3.1; RFC 8200, section 8.1).
	pseudo := addSums(netstack.Checksum(addresses, 0), protocol)
	length := addSums(uint16(len(b)>>16), uint16(len(b)))
	whole := addSums(pseudo, length)
	if netstack.Checksum(b, whole) == 0xffff {
		return sumFull
	}
	// Linux leaves the sum of the pseudo-header for the hardware to finish;
	// hardware that cuts super-frames wants it without the length.
	field := binary.BigEndian.Uint16(b[16:])
	if field == whole || field == pseudo {
		return sumUnfinished
	}
	return sumWrong
}

// addSums adds two ones' complement sums (RFC 1071).
func addSums(a, b uint16) uint16 {
	v := uint32(a) + uint32(b)
	return uint16(v + v>>16)
}

// sumOf is what the checksum of a packet is, if it is wanted.
func (c Checksums) sumOf(m *Segment) sum {
	if c == ChecksumsNever {
		return sumUnread
	}
	return sumOf(m.IP, m.TCP)
}

// passes reports whether a segment with such a checksum can be right at all.
func (c Checksums) passes(s sum) bool {
	return s == sumFull || s == sumUnread || s == sumUnfinished && c == ChecksumsAuto
}

// damaged reports whether a server's segment is not as the server sent it. It reads the whole
// segment.
func (s *Stack) damaged(m *Segment) bool {
	return m.Truncated || !s.cfg.Checksums.passes(s.cfg.Checksums.sumOf(m))
}

// sums is what a connection's client writes into its checksums.
type sums struct {
	full       bool   // the first were full
	unfinished uint8  // how many in a row were unfinished
	known      bool   // full says something
	largest    uint16 // payload of the largest segment with a full one
}

const (
	// maxUnfinished is how many unfinished checksums in a row show that what looked
	// full at first was so by chance.
	maxUnfinished = 3
	// usualSegment is the payload of a segment on Ethernet. A larger one may have been
	// mirrored before segmentation offload cut it, and is then unfinished whatever the
	// others are.
	usualSegment = 1460
)

// trusts reports whether a segment with payload bytes and such a checksum can be
// this client's.
func (c *sums) trusts(s sum, payload int) bool {
	switch s {
	case sumFull:
		c.full = c.full || !c.known
		c.known, c.unfinished = true, 0
		c.largest = max(c.largest, uint16(min(payload, 0xffff)))
		return true
	case sumUnfinished:
		if payload > max(usualSegment, int(c.largest)) {
			return true
		}
		if c.known && c.full {
			if c.unfinished++; c.unfinished < maxUnfinished {
				return false
			}
		}
		c.known, c.full = true, false
	}
	return true
}
