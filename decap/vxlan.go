package decap

import "netmirror/wire"

// VXLAN splits a UDP payload into its network identifier (24 bits, host order)
// and the Ethernet frame inside (RFC 7348, section 5). Reserved bits are
// ignored, as the RFC demands of a receiver.
//
// frame aliases b and is valid as long as b is. The reason is [VXLANTruncated]
// below 8 bytes and [VXLANNoVNI] where the I flag is clear; then vni is 0 and
// frame is nil.
func VXLAN(b []byte) (vni uint32, frame []byte, r Reason) {
	if len(b) < wire.VXLANHeader {
		return 0, nil, VXLANTruncated
	}
	if b[0]&wire.VXLANFlagI == 0 {
		return 0, nil, VXLANNoVNI
	}
	return wire.VNI(b), b[wire.VXLANHeader:], OK
}

// readGPE is VXLAN for VXLAN-GPE (draft-ietf-nvo3-vxlan-gpe, section 3), which says
// what it carries. Without the P flag it is VXLAN.
func readGPE(b []byte, f faults) (vni uint32, etherType uint16, payload []byte, r Reason) {
	vni, payload, r = VXLAN(b)
	if r != OK || b[0]&wire.GPEFlagP == 0 {
		return vni, wire.EtherTypeTEB, payload, r
	}
	if b[0]&wire.GPEVersion != 0 {
		return 0, 0, nil, f.malformed
	}
	if b[0]&wire.GPEFlagOAM != 0 {
		return 0, 0, nil, f.control
	}
	switch b[wire.AtGPENext] {
	case wire.GPEIPv4:
		return vni, wire.EtherTypeIPv4, payload, OK
	case wire.GPEIPv6:
		return vni, wire.EtherTypeIPv6, payload, OK
	case wire.GPEEthernet:
		return vni, wire.EtherTypeTEB, payload, OK
	case wire.GPENSH:
		return vni, wire.EtherTypeNSH, payload, OK
	}
	return 0, 0, nil, f.other
}
