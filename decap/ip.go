package decap

import "encoding/binary"

const (
	ipv4Header = 20     // bytes without options (RFC 791, section 3.1)
	ipv6Header = 40     // bytes (RFC 8200, section 3)
	maxLength  = 0xffff // the largest value of either length field, bytes

	// maxPadded is the most bytes behind an Ethernet header and its VLAN tags that
	// may be padding in part: Ethernet fills them up to 46 (IEEE 802.3, 3.2.7). A
	// tag only makes that smaller.
	maxPadded = 46

	// maxExtensions bounds the walk along IPv6 extension headers. The order in
	// RFC 8200, section 4.1, has seven; real packets have one or two.
	maxExtensions = 8
	// minExtension is the smallest extension header, bytes.
	minExtension = 8
)

// Protocol numbers (IANA), also the next-header values of IPv6.
const (
	protoHopByHop    = 0
	protoTCP         = 6
	protoUDP         = 17
	protoRouting     = 43
	protoFragment    = 44
	protoAH          = 51
	protoDestination = 60
)

// layers is one of the two stacks of Ethernet and IP in a mirrored packet: what
// it must carry, and what its faults are called.
type layers struct {
	proto      uint8
	truncated  Reason
	notIP      Reason
	tooDeep    Reason
	malformed  Reason
	fragment   Reason
	otherProto Reason
}

var (
	outer = layers{protoUDP, OuterTruncated, OuterNotIP, OuterTooDeep,
		OuterMalformed, OuterFragment, OuterNotUDP}
	inner = layers{protoTCP, InnerTruncated, InnerNotIP, InnerTooDeep,
		InnerMalformed, InnerFragment, InnerNotTCP}
)

// ip reads the IP header at the start of b. It gives the packet's own length in
// bytes, header included, which may be more than len(b), and the offset of the
// wanted protocol's header, which may be len(b).
//
// unsized says that the length field is 0, which is how segmentation offload
// leaves it: Windows in every packet that the hardware is to cut, Linux where the
// packet is longer than the field can say (BIG TCP; its iph_set_totlen and
// __ip6_local_out). Then own is len(b). Where b may hold padding, nothing says
// which of it is the packet, so that a length of 0 is a malformed one; offload's
// packets are never that small.
func (l *layers) ip(etherType uint16, b []byte) (own, off int, unsized bool, r Reason) {
	switch etherType {
	case etherTypeIPv4:
		return l.ipv4(b)
	case etherTypeIPv6:
		return l.ipv6(b)
	}
	return 0, 0, false, l.notIP
}

// ipv4 is ip for version 4 (RFC 791, section 3.1).
func (l *layers) ipv4(b []byte) (own, off int, unsized bool, r Reason) {
	if len(b) < ipv4Header {
		return 0, 0, false, l.truncated
	}
	off = int(b[0]&0x0f) * 4
	if b[0]>>4 != 4 || off < ipv4Header {
		return 0, 0, false, l.malformed
	}
	if b[9] != l.proto {
		return 0, 0, false, l.otherProto
	}
	// More fragments, or an offset: all but the reserved bit and DF.
	if binary.BigEndian.Uint16(b[6:])&0x3fff != 0 {
		return 0, 0, false, l.fragment
	}
	own = int(binary.BigEndian.Uint16(b[2:]))
	if own == 0 && len(b) > maxPadded {
		own, unsized = len(b), true
	}
	if own < off {
		return 0, 0, false, l.malformed
	}
	if len(b) < off {
		return 0, 0, false, l.truncated
	}
	return own, off, unsized, OK
}

// ipv6 is ip for version 6 (RFC 8200, section 3). A jumbogram (RFC 2675) is
// taken by its payload length of 0; its option is passed over unread.
func (l *layers) ipv6(b []byte) (own, off int, unsized bool, r Reason) {
	if len(b) < ipv6Header {
		return 0, 0, false, l.truncated
	}
	if b[0]>>4 != 6 {
		return 0, 0, false, l.malformed
	}
	next := b[6]
	if next != l.proto && !extension(next) {
		return 0, 0, false, l.otherProto
	}
	own = ipv6Header + int(binary.BigEndian.Uint16(b[4:]))
	if own == ipv6Header {
		if len(b) <= maxPadded {
			return 0, 0, false, l.malformed
		}
		own, unsized = len(b), true
	}
	if next == l.proto {
		return own, ipv6Header, unsized, OK
	}
	off, r = l.extensions(b[:min(own, len(b))], own)
	return own, off, unsized, r
}

// extensions walks the extension headers (RFC 8200, section 4; AH: RFC 4302) of
// b, which is what is there of an IPv6 packet of own bytes, to the wanted
// protocol's header. An atomic fragment, at offset 0 with no more to come, is a
// whole packet (RFC 6946).
func (l *layers) extensions(b []byte, own int) (off int, r Reason) {
	next, off := b[6], ipv6Header
	for n := 0; next != l.proto; n++ {
		if !extension(next) {
			return 0, l.otherProto
		}
		if n == maxExtensions {
			return 0, l.tooDeep
		}
		if len(b) < off+minExtension {
			return 0, l.cut(own, off+minExtension)
		}
		size := (int(b[off+1]) + 1) * 8
		switch next {
		case protoAH:
			size = (int(b[off+1]) + 2) * 4
		case protoFragment:
			size = minExtension // the second byte is reserved
			if binary.BigEndian.Uint16(b[off+2:])&0xfff9 != 0 {
				return 0, l.fragmentOf(b[off])
			}
		}
		next = b[off]
		off += size
		if len(b) < off {
			return 0, l.cut(own, off)
		}
	}
	return off, OK
}

// fragmentOf judges a fragment by the protocol that its header names: an
// extension header may yet lead to the wanted one.
func (l *layers) fragmentOf(next uint8) Reason {
	if next != l.proto && !extension(next) {
		return l.otherProto
	}
	return l.fragment
}

// cut says why a header that ends at need is not all there: because the IP
// packet of own bytes has no room for it, or because it was cut.
func (l *layers) cut(own, need int) Reason {
	if own < need {
		return l.malformed
	}
	return l.truncated
}

// extension says whether an IPv6 next-header value is one that extensions
// walks over.
func extension(next uint8) bool {
	switch next {
	case protoHopByHop, protoRouting, protoFragment, protoAH, protoDestination:
		return true
	}
	return false
}
