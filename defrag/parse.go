package defrag

import (
	"encoding/binary"
	"net/netip"
)

const (
	ethernetHeader = 14 // bytes (IEEE 802.3)
	vlanTag        = 4  // bytes (IEEE 802.1Q)
	ipv4Header     = 20 // bytes without options (RFC 791, section 3.1)
	ipv6Header     = 40 // bytes (RFC 8200, section 3)
	fragmentHeader = 8  // bytes (RFC 8200, section 4.5)
	maxIPBytes     = 0xffff

	// maxTags and maxExtensions bound the walk to an IP packet's payload; real
	// packets have one or two of each.
	maxTags       = 2
	maxExtensions = 8
)

// Offsets in a frame without VLAN tags.
const (
	atEtherType = 12
	atIPv4Flags = ethernetHeader + 6
	atIPv6Next  = ethernetHeader + 6
)

// EtherTypes (IANA ieee-802-numbers).
const (
	etherTypeIPv4 = 0x0800
	etherTypeIPv6 = 0x86dd
	etherTypeCTag = 0x8100 // 802.1Q
	etherTypeSTag = 0x88a8 // 802.1ad
	etherTypeQinQ = 0x9100 // before 802.1ad was a standard
)

// Protocol numbers (IANA), also the next-header values of IPv6.
const (
	protoHopByHop    = 0
	protoUDP         = 17
	protoRouting     = 43
	protoFragment    = 44
	protoDestination = 60
)

// Bits of the 16 that say which part of a datagram a fragment is.
const (
	ipv4MoreBit    = 0x2000
	ipv4OffsetBits = 0x1fff // in units of 8 bytes
	ipv6MoreBit    = 0x0001
	ipv6OffsetBits = 0xfff8 // in bytes
)

// datagramKey is what the fragments of one datagram have in common (RFC 791,
// section 3.2; RFC 8200, section 4.5). The VLAN is not part of it: the kernel
// has taken the outermost tag off.
type datagramKey struct {
	src, dst netip.Addr // their family is the packet's
	vni      uint32     // 0 for what is not mirrored
	id       uint32
	proto    uint8 // 0 in IPv6, where it need not be the same in all
}

// fragment is one part of a datagram, as it was captured.
type fragment struct {
	key    datagramKey
	header []byte // all before data, without an IPv6 fragment header; aliases the frame
	data   []byte // aliases the frame
	ip     int    // where in header the IP header starts
	offset int    // of data in the datagram, bytes
	more   bool   // not the last
	wire   int    // the frame's length, bytes
}

// verdict is what parse finds a frame to be.
type verdict uint8

const (
	whole   verdict = iota // to be handed out
	partial                // a fragment
	broken                 // a fragment, but not a possible one
)

// Unfragmented is the fast path for frames with UDP: it says of nearly every one, in
// a few nanoseconds, that Frame has nothing to find in it.
func Unfragmented(frame []byte) bool {
	if len(frame) < ethernetHeader+ipv4Header {
		return true
	}
	switch binary.BigEndian.Uint16(frame[atEtherType:]) {
	case etherTypeIPv4:
		return binary.BigEndian.Uint16(frame[atIPv4Flags:])&(ipv4MoreBit|ipv4OffsetBits) == 0
	case etherTypeIPv6:
		return frame[atIPv6Next] == protoUDP
	}
	return false
}

// parse looks for an IP fragment in an Ethernet frame. What is not one, or cannot be
// read, is whole and returned as it is, for others to judge, except that an IPv6
// fragment that is all of its datagram (RFC 6946) loses its fragment header. The
// frame's memory is written to.
func parse(frame []byte, protocol uint8) ([]byte, fragment, verdict) {
	ip := ethernetHeader
	for tags := 0; len(frame) >= ip; tags++ {
		switch binary.BigEndian.Uint16(frame[ip-2:]) {
		case etherTypeIPv4:
			return parseIPv4(frame, ip, protocol)
		case etherTypeIPv6:
			return parseIPv6(frame, ip)
		case etherTypeCTag, etherTypeSTag, etherTypeQinQ:
			if tags == maxTags {
				return frame, fragment{}, whole
			}
			ip += vlanTag
		default:
			return frame, fragment{}, whole
		}
	}
	return frame, fragment{}, whole
}

// parseIPv4 is parse for a frame whose IPv4 header (RFC 791, section 3.1)
// starts at ip.
func parseIPv4(frame []byte, ip int, protocol uint8) ([]byte, fragment, verdict) {
	b := frame[ip:]
	if len(b) < ipv4Header || b[0]>>4 != 4 || b[9] != protocol {
		return frame, fragment{}, whole
	}
	bits := binary.BigEndian.Uint16(b[6:])
	if bits&(ipv4MoreBit|ipv4OffsetBits) == 0 {
		return frame, fragment{}, whole
	}
	start, end := int(b[0]&0x0f)*4, int(binary.BigEndian.Uint16(b[2:]))
	if start < ipv4Header || end < start || end > len(b) {
		return frame, fragment{wire: len(frame)}, broken
	}
	f := fragment{
		key: datagramKey{
			src:   netip.AddrFrom4([4]byte(b[12:16])),
			dst:   netip.AddrFrom4([4]byte(b[16:20])),
			id:    uint32(binary.BigEndian.Uint16(b[4:])),
			proto: b[9],
		},
		header: frame[:ip+start],
		data:   b[start:end],
		ip:     ip,
		offset: int(bits&ipv4OffsetBits) * 8,
		more:   bits&ipv4MoreBit != 0,
		wire:   len(frame),
	}
	return frame, f, f.verdict()
}

// parseIPv6 is parse for a frame whose IPv6 header (RFC 8200, section 3) starts
// at ip.
func parseIPv6(frame []byte, ip int) ([]byte, fragment, verdict) {
	b := frame[ip:]
	if len(b) < ipv6Header || b[0]>>4 != 6 {
		return frame, fragment{}, whole
	}
	// named is where the header at start is named.
	named, start := 6, ipv6Header
	for n := 0; b[named] != protoFragment; n++ {
		switch b[named] {
		case protoHopByHop, protoRouting, protoDestination:
		default:
			return frame, fragment{}, whole
		}
		if n == maxExtensions || start+2 > len(b) {
			return frame, fragment{}, whole
		}
		named, start = start, start+(int(b[start+1])+1)*8
		if start > len(b) {
			return frame, fragment{}, whole
		}
	}
	data := start + fragmentHeader
	if data > len(b) {
		return frame, fragment{wire: len(frame)}, broken
	}
	bits := binary.BigEndian.Uint16(b[start+2:])
	id := binary.BigEndian.Uint32(b[start+4:])
	b[named] = b[start]
	if bits&(ipv6MoreBit|ipv6OffsetBits) == 0 {
		return unwrap(frame, ip, start), fragment{}, whole
	}
	end := ipv6Header + int(binary.BigEndian.Uint16(b[4:]))
	if end < data || end > len(b) {
		return frame, fragment{wire: len(frame)}, broken
	}
	f := fragment{
		key: datagramKey{
			src: netip.AddrFrom16([16]byte(b[8:24])),
			dst: netip.AddrFrom16([16]byte(b[24:40])),
			id:  id,
		},
		header: frame[:ip+start],
		data:   b[data:end],
		ip:     ip,
		offset: int(bits & ipv6OffsetBits),
		more:   bits&ipv6MoreBit != 0,
		wire:   len(frame),
	}
	return frame, f, f.verdict()
}

// unwrap takes the fragment header, start bytes behind the IPv6 header at ip,
// out of a frame by moving what is before it.
func unwrap(frame []byte, ip, start int) []byte {
	length := frame[ip+4 : ip+6]
	if n := binary.BigEndian.Uint16(length); n >= fragmentHeader {
		binary.BigEndian.PutUint16(length, n-fragmentHeader)
	}
	copy(frame[fragmentHeader:], frame[:ip+start])
	return frame[fragmentHeader:]
}

// verdict says whether a datagram can have the part: all but the last are a
// multiple of 8 bytes long, and none is empty.
func (f *fragment) verdict() verdict {
	if len(f.data) == 0 || f.more && len(f.data)%8 != 0 {
		return broken
	}
	return partial
}

// join makes one packet's headers, the IP header at ip, of what were those of
// a datagram's first fragment, for b, the frame with the whole payload. It is
// false where a length field cannot say how long that is.
func join(b []byte, ip int) bool {
	p := b[ip:]
	if p[0]>>4 == 6 {
		n := len(p) - ipv6Header
		binary.BigEndian.PutUint16(p[4:], uint16(n))
		return n <= maxIPBytes
	}
	binary.BigEndian.PutUint16(p[2:], uint16(len(p)))
	binary.BigEndian.PutUint16(p[6:], 0)
	binary.BigEndian.PutUint16(p[10:], 0)
	binary.BigEndian.PutUint16(p[10:], checksum(p[:int(p[0]&0x0f)*4]))
	return len(p) <= maxIPBytes
}

// checksum is the Internet checksum (RFC 1071) of an even number of bytes.
func checksum(b []byte) uint16 {
	var sum uint32
	for ; len(b) >= 2; b = b[2:] {
		sum += uint32(binary.BigEndian.Uint16(b))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
