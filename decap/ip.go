package decap

import "netmirror/wire"

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
	outer = layers{wire.ProtoUDP, OuterTruncated, OuterNotIP, OuterTooDeep,
		OuterMalformed, OuterFragment, OuterNotUDP}
	inner = layers{wire.ProtoTCP, InnerTruncated, InnerNotIP, InnerTooDeep,
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
	case wire.EtherTypeIPv4:
		return l.ipv4(b)
	case wire.EtherTypeIPv6:
		return l.ipv6(b)
	}
	return 0, 0, false, l.notIP
}

// ipv4 is ip for version 4 (RFC 791, section 3.1).
func (l *layers) ipv4(b []byte) (own, off int, unsized bool, r Reason) {
	if len(b) < wire.IPv4Header {
		return 0, 0, false, l.truncated
	}
	off = wire.IPv4(b).HeaderLen()
	if b[0]>>4 != 4 || off < wire.IPv4Header {
		return 0, 0, false, l.malformed
	}
	if wire.IPv4(b).Protocol() != l.proto {
		return 0, 0, false, l.otherProto
	}
	if wire.IPv4(b).Part() != 0 {
		return 0, 0, false, l.fragment
	}
	own = wire.IPv4(b).Length()
	if own == 0 && len(b) > wire.MaxPadded {
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
	if len(b) < wire.IPv6Header {
		return 0, 0, false, l.truncated
	}
	if b[0]>>4 != 6 {
		return 0, 0, false, l.malformed
	}
	next := wire.IPv6(b).Next()
	if next != l.proto && !wire.IsExtension(next) {
		return 0, 0, false, l.otherProto
	}
	own = wire.IPv6Header + wire.IPv6(b).Payload()
	if own == wire.IPv6Header {
		if len(b) <= wire.MaxPadded {
			return 0, 0, false, l.malformed
		}
		own, unsized = len(b), true
	}
	if next == l.proto {
		return own, wire.IPv6Header, unsized, OK
	}
	off, r = l.extensions(b[:min(own, len(b))], own)
	return own, off, unsized, r
}

// extensions walks the extension headers (RFC 8200, section 4; AH: RFC 4302) of
// b, which is what is there of an IPv6 packet of own bytes, to the wanted
// protocol's header. An atomic fragment, at offset 0 with no more to come, is a
// whole packet (RFC 6946).
func (l *layers) extensions(b []byte, own int) (off int, r Reason) {
	next, off := wire.IPv6(b).Next(), wire.IPv6Header
	for n := 0; next != l.proto; n++ {
		if !wire.IsExtension(next) {
			return 0, l.otherProto
		}
		if n == wire.MaxExtensions {
			return 0, l.tooDeep
		}
		if len(b) < off+wire.MinExtension {
			return 0, l.cut(own, off+wire.MinExtension)
		}
		size := wire.ExtensionLen(b[off:])
		switch next {
		case wire.ProtoAH:
			size = wire.AHLen(b[off:])
		case wire.ProtoFragment:
			size = wire.FragmentHeader // the second byte is reserved
			if wire.IPv6Part(b[off:]) != 0 {
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
	if next != l.proto && !wire.IsExtension(next) {
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
