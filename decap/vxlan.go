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
