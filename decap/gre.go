package decap

import (
	"encoding/binary"

	"netmirror/wire"
)

// greHeader is what a GRE header says.
type greHeader struct {
	etherType uint16
	key       uint32 // 0 where there is none
	numbered  bool   // it has a sequence number
}

// readGRE takes a GRE header off (RFC 2784, section 2; RFC 2890, section 2). The
// checksum is not verified.
func readGRE(b []byte, f faults) (h greHeader, payload []byte, r Reason) {
	if len(b) < wire.GREHeader {
		return h, nil, f.truncated
	}
	flags := binary.BigEndian.Uint16(b)
	if flags&(wire.GREVersion|wire.GREFlagRouting) != 0 {
		return h, nil, f.malformed
	}
	h.etherType, h.numbered = binary.BigEndian.Uint16(b[2:]), flags&wire.GREFlagSequence != 0
	size, key := wire.GREHeader, 0
	if flags&wire.GREFlagChecksum != 0 {
		size += wire.GREField
	}
	if flags&wire.GREFlagKey != 0 {
		key, size = size, size+wire.GREField
	}
	if h.numbered {
		size += wire.GREField
	}
	if len(b) < size {
		return h, nil, f.truncated
	}
	if key > 0 {
		h.key = binary.BigEndian.Uint32(b[key:])
	}
	return h, b[size:], OK
}

// readERSPAN takes the header off that ERSPAN has behind GRE, and gives the session
// (draft-foschiano-erspan-03, section 4). Type I has none.
func readERSPAN(h greHeader, b []byte) (session uint32, etherType uint16, frame []byte, r Reason) {
	size, version := wire.ERSPANHeader2, byte(wire.ERSPANVersion2)
	switch {
	case h.etherType == wire.EtherTypeERSPAN3:
		size, version = wire.ERSPANHeader3, wire.ERSPANVersion3
	case !h.numbered:
		return 0, wire.EtherTypeTEB, b, OK
	}
	if len(b) < size {
		return 0, 0, nil, ERSPANTruncated
	}
	if b[0]>>4 != version {
		return 0, 0, nil, ERSPANMalformed
	}
	etherType = wire.EtherTypeTEB
	if version == wire.ERSPANVersion3 {
		if b[wire.AtERSPANFlags]&wire.ERSPANFlagO != 0 {
			size += wire.ERSPANSubheader
		}
		switch b[wire.AtERSPANFrameType] & wire.ERSPANFrameType >> 2 {
		case wire.ERSPANEthernet:
		case wire.ERSPANIP:
			etherType = ipVersion(b[min(size, len(b)):])
		default:
			return 0, 0, nil, OtherPayload
		}
	}
	if len(b) < size {
		return 0, 0, nil, ERSPANTruncated
	}
	return uint32(binary.BigEndian.Uint16(b[2:]) & wire.ERSPANSession), etherType, b[size:], OK
}

// ipVersion is the EtherType of the IP packet that begins at b.
func ipVersion(b []byte) uint16 {
	if len(b) > 0 && b[0]>>4 == 6 {
		return wire.EtherTypeIPv6
	}
	return wire.EtherTypeIPv4
}
