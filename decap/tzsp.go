package decap

import (
	"encoding/binary"

	"netmirror/wire"
)

// readTZSP takes a TZSP header and its tagged fields off. It has no identifier.
func readTZSP(b []byte) (etherType uint16, frame []byte, r Reason) {
	if len(b) < wire.TZSPHeader {
		return 0, nil, TZSPTruncated
	}
	if b[0] != wire.TZSPVersion {
		return 0, nil, TZSPMalformed
	}
	if b[1] != wire.TZSPReceived && b[1] != wire.TZSPTransmit {
		return 0, nil, ControlPacket
	}
	if binary.BigEndian.Uint16(b[2:]) != wire.TZSPEthernet {
		return 0, nil, OtherPayload
	}
	b = b[wire.TZSPHeader:]
	for range wire.MaxTZSPFields {
		switch {
		case len(b) == 0:
			return 0, nil, TZSPTruncated
		case b[0] == wire.TZSPTagEnd:
			return wire.EtherTypeTEB, b[1:], OK
		case b[0] == wire.TZSPTagPad:
			b = b[1:]
		case len(b) < 2 || len(b) < 2+int(b[1]):
			return 0, nil, TZSPTruncated
		default:
			b = b[2+int(b[1]):]
		}
	}
	return 0, nil, TZSPMalformed
}
