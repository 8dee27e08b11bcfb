package decap

import (
	"encoding/binary"

	"netmirror/wire"
)

// readGeneve takes a GENEVE header off (RFC 8926, section 3.4). Options are passed
// over, the critical ones too: who only looks needs none of them.
func readGeneve(b []byte, f faults) (vni uint32, etherType uint16, payload []byte, r Reason) {
	if len(b) < wire.GeneveHeader {
		return 0, 0, nil, f.truncated
	}
	if b[0]&wire.GeneveVersion != 0 {
		return 0, 0, nil, f.malformed
	}
	if b[1]&wire.GeneveFlagOAM != 0 {
		return 0, 0, nil, f.control
	}
	size := wire.GeneveHeader + int(b[0]&wire.GeneveOptions)*4
	if len(b) < size {
		return 0, 0, nil, f.truncated
	}
	etherType = binary.BigEndian.Uint16(b[wire.AtGeneveType:])
	if !carried(etherType) {
		return 0, 0, nil, f.other
	}
	return wire.VNI(b), etherType, b[size:], OK
}

// carried says whether what an EtherType names can be gone on with.
func carried(etherType uint16) bool {
	switch etherType {
	case wire.EtherTypeTEB, wire.EtherTypeIPv4, wire.EtherTypeIPv6, wire.EtherTypeMPLS, wire.EtherTypeMPLSOld, wire.EtherTypeNSH:
		return true
	}
	return false
}
