package decap

import (
	"encoding/binary"

	"netmirror/wire"
)

// link goes on until w.etherType is that of IP.
func (w *walk) link() Reason {
	for {
		r := InnerNotIP
		switch w.etherType {
		case wire.EtherTypeIPv4, wire.EtherTypeIPv6:
			return OK
		case wire.EtherTypeTEB:
			r = w.ethernet()
		case wire.EtherTypeMPLS, wire.EtherTypeMPLSOld:
			r = w.mpls()
		case wire.EtherTypePPPoE:
			r = w.pppoe()
		case wire.EtherTypeNSH:
			r = w.nsh()
		default:
			switch {
			case wire.IsTag(w.etherType):
				r = w.tag()
			case w.etherType <= wire.MaxFrameLength:
				r = w.snap()
			}
		}
		if r != OK {
			return r
		}
	}
}

func (w *walk) ethernet() Reason {
	if len(w.b) < wire.EthernetHeader {
		return InnerTruncated
	}
	w.tags = 0
	return w.named(wire.EtherType(w.b), w.b[wire.EthernetHeader:])
}

// named goes on with what an Ethernet header or tag names. That is no further
// Ethernet frame: only tunnels carry those.
func (w *walk) named(etherType uint16, payload []byte) Reason {
	if etherType == wire.EtherTypeTEB {
		return InnerNotIP
	}
	w.etherType, w.b = etherType, payload
	return OK
}

func (w *walk) tag() Reason {
	if w.tags == maxTags {
		return InnerTooDeep
	}
	if len(w.b) < wire.VLANTag {
		return InnerTruncated
	}
	w.tags++
	w.sight.add(LayerVLAN)
	return w.named(binary.BigEndian.Uint16(w.b[2:]), w.b[wire.VLANTag:])
}

// snap goes on behind LLC and SNAP (RFC 1042); the length that stands where the
// EtherType would be bounds the frame.
func (w *walk) snap() Reason {
	w.bound(int(w.etherType))
	if len(w.b) < wire.SNAPHeader {
		return w.cut(wire.SNAPHeader)
	}
	if !wire.SNAP(w.b) {
		return InnerNotIP
	}
	etherType := binary.BigEndian.Uint16(w.b[wire.SNAPHeader-2:])
	if etherType <= wire.MaxFrameLength || etherType == wire.EtherTypeTEB {
		return TunnelMalformed
	}
	return w.enter(LayerLLC, etherType, w.b[wire.SNAPHeader:])
}

// bound ends b after so many bytes; fewer may be there.
func (w *walk) bound(length int) {
	n := min(length, len(w.b))
	w.b, w.missing = w.b[:n], length-n
}

// cut says why a header of need bytes is not all there, in what bound has bounded.
func (w *walk) cut(need int) Reason {
	if len(w.b)+w.missing < need {
		return TunnelMalformed
	}
	return TunnelTruncated
}

// mpls goes on behind a label stack (RFC 3032, section 2.1). Nothing names what
// follows; the first four bits of an IP packet tell its version, and 0 begins the
// control word of a pseudowire (RFC 4928, section 3).
func (w *walk) mpls() Reason {
	b := w.b
	for n, bottom := 0, false; !bottom; n++ {
		if n == wire.MaxLabels {
			return InnerTooDeep
		}
		if len(b) < wire.MPLSLabel {
			return TunnelTruncated
		}
		bottom, b = b[2]&wire.MPLSBottom != 0, b[wire.MPLSLabel:]
	}
	if len(b) == 0 {
		return TunnelTruncated
	}
	switch b[0] >> 4 {
	case 4:
		return w.enter(LayerMPLS, wire.EtherTypeIPv4, b)
	case 6:
		return w.enter(LayerMPLS, wire.EtherTypeIPv6, b)
	case 0:
		if len(b) < wire.MPLSControlWord+wire.EthernetHeader+1 {
			return TunnelTruncated
		}
		if b = b[wire.MPLSControlWord:]; unmistakable(b) {
			return w.enter(LayerMPLS, wire.EtherTypeTEB, b)
		}
	}
	return InnerNotIP
}

// unmistakable says whether b, which is longer than an Ethernet header, is an
// Ethernet frame that can be gone on with.
func unmistakable(b []byte) bool {
	version := b[wire.EthernetHeader] >> 4
	switch t := wire.EtherType(b); t {
	case wire.EtherTypeIPv4:
		return version == 4
	case wire.EtherTypeIPv6:
		return version == 6
	case wire.EtherTypeMPLS, wire.EtherTypeMPLSOld, wire.EtherTypePPPoE:
		return true
	default:
		return wire.IsTag(t)
	}
}

// pppoe goes on behind the headers of PPPoE and PPP (RFC 2516, section 4).
func (w *walk) pppoe() Reason {
	b := w.b
	if len(b) < wire.PPPoEHeader {
		return TunnelTruncated
	}
	if b[0] != wire.PPPoEVersion {
		return TunnelMalformed
	}
	if b[1] != 0 {
		return InnerNotIP // not a session's data
	}
	length := int(binary.BigEndian.Uint16(b[4:]))
	w.b = b[wire.PPPoEHeader:]
	w.bound(length)
	if len(w.b) < wire.PPPProtocol {
		return w.cut(wire.PPPProtocol)
	}
	payload := w.b[wire.PPPProtocol:]
	switch binary.BigEndian.Uint16(w.b) {
	case wire.PPPIPv4:
		return w.enter(LayerPPPoE, wire.EtherTypeIPv4, payload)
	case wire.PPPIPv6:
		return w.enter(LayerPPPoE, wire.EtherTypeIPv6, payload)
	}
	return InnerNotIP
}

// nsh goes on behind a network service header (RFC 8300, section 2).
func (w *walk) nsh() Reason {
	b := w.b
	if len(b) < wire.NSHHeader {
		return TunnelTruncated
	}
	length := int(b[1]&wire.NSHLength) * 4
	if b[0]&wire.NSHVersion != 0 || length < wire.NSHHeader {
		return TunnelMalformed
	}
	if len(b) < length {
		return TunnelTruncated
	}
	etherType := uint16(0)
	switch b[wire.AtNSHNext] {
	case wire.GPEIPv4:
		etherType = wire.EtherTypeIPv4
	case wire.GPEIPv6:
		etherType = wire.EtherTypeIPv6
	case wire.GPEEthernet:
		etherType = wire.EtherTypeTEB
	case wire.NSHMPLS:
		etherType = wire.EtherTypeMPLS
	default:
		return InnerNotIP
	}
	return w.enter(LayerNSH, etherType, b[length:])
}
