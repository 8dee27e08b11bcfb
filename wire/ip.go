package wire

import "encoding/binary"

// Sizes of headers, and limits, in bytes.
const (
	IPv4Header     = 20     // without options (RFC 791, section 3.1)
	IPv6Header     = 40     // RFC 8200, section 3
	FragmentHeader = 8      // RFC 8200, section 4.5
	MinExtension   = 8      // the smallest IPv6 extension header
	MaxLength      = 0xffff // the largest value of either length field
)

// MaxExtensions bounds the walk along IPv6 extension headers. The order in
// RFC 8200, section 4.1, has seven; real packets have one or two.
const MaxExtensions = 8

// Protocol numbers (IANA), also the next-header values of IPv6.
const (
	ProtoHopByHop    = 0
	ProtoIPv4        = 4 // IP in IP (RFC 2003)
	ProtoTCP         = 6
	ProtoUDP         = 17
	ProtoIPv6        = 41 // RFC 4213
	ProtoRouting     = 43
	ProtoFragment    = 44
	ProtoGRE         = 47
	ProtoAH          = 51
	ProtoICMPv6      = 58
	ProtoDestination = 60
)

// Bits of the 16 that say which part of a datagram a fragment is.
const (
	IPv4More   = 0x2000
	IPv4Offset = 0x1fff // in units of 8 bytes
	IPv6More   = 0x0001
	IPv6Offset = 0xfff8 // in bytes
)

// IPv4 is a packet that begins with an IPv4 header (RFC 791, section 3.1), which
// is there but for its options.
type IPv4 []byte

// HeaderLen is the size that the header says it has, bytes.
func (p IPv4) HeaderLen() int { return int(p[0]&0x0f) * 4 }

// Length is the packet's length according to its header, bytes; 0 if offload left none.
func (p IPv4) Length() int { return int(binary.BigEndian.Uint16(p[2:])) }

// ID is the identification.
func (p IPv4) ID() uint16 { return binary.BigEndian.Uint16(p[4:]) }

// Part says which part of a datagram the packet is: [IPv4More] and [IPv4Offset],
// 0 for all of it.
func (p IPv4) Part() uint16 { return binary.BigEndian.Uint16(p[6:]) & (IPv4More | IPv4Offset) }

// Protocol is that of the payload.
func (p IPv4) Protocol() uint8 { return p[9] }

// Src is the source address, 4 bytes.
func (p IPv4) Src() []byte { return p[12:16] }

// Dst is the destination address, 4 bytes.
func (p IPv4) Dst() []byte { return p[16:20] }

// IPv6 is a packet that begins with an IPv6 header (RFC 8200, section 3), which is
// there.
type IPv6 []byte

// Payload is how long what follows the header is by its account, bytes; 0 where
// offload or a jumbogram left none.
func (p IPv6) Payload() int { return int(binary.BigEndian.Uint16(p[4:])) }

// Next is the protocol of what follows the header.
func (p IPv6) Next() uint8 { return p[6] }

// Src is the source address, 16 bytes.
func (p IPv6) Src() []byte { return p[8:24] }

// Dst is the destination address, 16 bytes.
func (p IPv6) Dst() []byte { return p[24:40] }

// IPv6Part is the offset and the M flag of the fragment header at the start of b: [IPv6More]
// and [IPv6Offset], 0 for a whole datagram (RFC 8200, section 4.5).
func IPv6Part(b []byte) uint16 { return binary.BigEndian.Uint16(b[2:]) & (IPv6More | IPv6Offset) }

// AtIPv6Next is where an IPv6 header names what follows it, bytes.
const AtIPv6Next = 6

// SkipOptions skips the extension headers of an IPv6 packet in front of a fragment header:
// hop-by-hop and destination options, and routing. named is the offset of the byte that names
// the header at start. ok is false if there are more than [MaxExtensions], or if the packet
// ends in one.
func SkipOptions(p []byte) (named, start int, ok bool) {
	named, start = AtIPv6Next, IPv6Header
	for n := 0; isOptions(p[named]); n++ {
		if n == MaxExtensions || start+2 > len(p) {
			return 0, 0, false
		}
		named, start = start, start+ExtensionLen(p[start:])
		if start > len(p) {
			return 0, 0, false
		}
	}
	return named, start, true
}

func isOptions(next uint8) bool {
	return next == ProtoHopByHop || next == ProtoRouting || next == ProtoDestination
}

// IsExtension says whether an IPv6 next-header value is an extension header's that
// can be looked behind.
func IsExtension(next uint8) bool {
	return isOptions(next) || next == ProtoFragment || next == ProtoAH
}

// ExtensionLen is the size of the options or routing header at the start of b,
// bytes (RFC 8200, section 4).
func ExtensionLen(b []byte) int { return (int(b[1]) + 1) * 8 }

// AHLen is the size of the authentication header at the start of b, bytes
// (RFC 4302, section 2.2).
func AHLen(b []byte) int { return (int(b[1]) + 2) * 4 }

// Checksum is the Internet checksum (RFC 1071) of an even number of bytes.
func Checksum(b []byte) uint16 {
	var sum uint32
	for ; len(b) >= 2; b = b[2:] {
		sum += uint32(binary.BigEndian.Uint16(b))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
