package wire

import "encoding/binary"

// UDP ports of tunnels.
const (
	PortVXLAN      = 4789 // RFC 7348, section 8
	PortVXLANLinux = 8472 // Linux's default, from before RFC 7348 (drivers/net/vxlan, vxlan_port)
	PortGeneve     = 6081 // RFC 8926, section 3.3
)

// MaxVNI is the largest network identifier, which has 24 bits (RFC 7348, section 5).
const MaxVNI = 1<<24 - 1

const (
	// VXLANHeader is the size of a VXLAN header, bytes (RFC 7348, section 5).
	VXLANHeader = 8
	// VXLANFlagI is the flag in a VXLAN header's first byte that the VNI is valid.
	VXLANFlagI = 0x08
)

// VNI is the network identifier of the VXLAN or GENEVE header at the start of b, of
// which 8 bytes are there (RFC 7348, section 5; RFC 8926, section 3.4).
func VNI(b []byte) uint32 { return binary.BigEndian.Uint32(b[4:]) >> 8 }
