package wire

import "encoding/binary"

// UDP ports of tunnels.
const (
	PortVXLAN      = 4789  // RFC 7348, section 8
	PortVXLANLinux = 8472  // Linux's default, from before RFC 7348 (drivers/net/vxlan, vxlan_port)
	PortVXLANGPE   = 4790  // draft-ietf-nvo3-vxlan-gpe, section 9
	PortGeneve     = 6081  // RFC 8926, section 3.3
	PortTZSP       = 37008 // the port that its senders use
)

// MaxVNI is the largest network identifier, which has 24 bits (RFC 7348, section 5).
const MaxVNI = 1<<24 - 1

// VXLAN (RFC 7348, section 5).
const (
	VXLANHeader = 8    // bytes
	VXLANFlagI  = 0x08 // in the first byte: the VNI is valid
)

// VXLAN-GPE, whose header is as long (draft-ietf-nvo3-vxlan-gpe, section 3).
const (
	GPEVersion  = 0x30 // in the first byte
	GPEFlagP    = 0x04 // in the first byte: the last but VNI names what follows
	GPEFlagOAM  = 0x01 // in the first byte: what follows is not for delivery
	AtGPENext   = 3    // where the next protocol is
	GPEIPv4     = 1
	GPEIPv6     = 2
	GPEEthernet = 3
	GPENSH      = 4
)

// GENEVE (RFC 8926, section 3.4).
const (
	GeneveHeader  = 8    // bytes, without options
	GeneveVersion = 0xc0 // in the first byte
	GeneveOptions = 0x3f // in the first byte: their length in units of 4 bytes
	GeneveFlagOAM = 0x80 // in the second byte: a control packet
	AtGeneveType  = 2    // where the EtherType is
)

// VNI is the network identifier of the VXLAN or GENEVE header at the start of b, of
// which 8 bytes are there (RFC 7348, section 5; RFC 8926, section 3.4).
func VNI(b []byte) uint32 { return binary.BigEndian.Uint32(b[4:]) >> 8 }

// GRE (RFC 2784, section 2; RFC 2890, section 2). The flags are of the first two
// bytes; the EtherType is in the next two.
const (
	GREHeader       = 4 // bytes, without what the flags announce
	GREFlagChecksum = 0x8000
	GREFlagRouting  = 0x4000 // RFC 1701; not followed
	GREFlagKey      = 0x2000
	GREFlagSequence = 0x1000
	GREVersion      = 0x0007
	GREField        = 4 // bytes of each of checksum, key and sequence number
)

// ERSPAN (draft-foschiano-erspan-03, section 4). The version is in the upper half of
// the first byte, the session's number in the lower 10 bits of the second 16.
const (
	ERSPANHeader2     = 8      // bytes, of type II
	ERSPANHeader3     = 12     // bytes, of type III
	ERSPANVersion2    = 1      // of type II
	ERSPANVersion3    = 2      // of type III
	ERSPANSession     = 0x03ff // of the second 16 bits
	AtERSPANFrameType = 10     // in type III
	ERSPANFrameType   = 0x7c   // of the byte there
	ERSPANEthernet    = 0
	ERSPANIP          = 2
	ERSPANSubheader   = 8    // bytes
	AtERSPANFlags     = 11   // in type III
	ERSPANFlagO       = 0x01 // of the byte there: a subheader follows
)

// TZSP: a version, a type, what is inside, and tagged fields.
const (
	TZSPHeader    = 4 // bytes, without the fields
	TZSPVersion   = 1
	TZSPReceived  = 0 // the types that carry a packet
	TZSPTransmit  = 1
	TZSPEthernet  = 1 // what is inside
	TZSPTagPad    = 0 // the tags that are one byte
	TZSPTagEnd    = 1
	MaxTZSPFields = 64 // bounds the walk; real packets have up to ten
)

// MPLS (RFC 3032, section 2.1; RFC 4385, section 3).
const (
	MPLSLabel       = 4    // bytes of a label stack entry
	MPLSBottom      = 0x01 // of an entry's third byte: the last
	MaxLabels       = 16   // bounds the walk
	MPLSControlWord = 4    // bytes of a pseudowire's control word
)

// PPPoE (RFC 2516, section 4), with the number of the protocol that PPP carries.
const (
	PPPoEHeader  = 6    // bytes
	PPPoEVersion = 0x11 // the first byte: version and type
	PPPProtocol  = 2    // bytes
	PPPIPv4      = 0x0021
	PPPIPv6      = 0x0057 // RFC 5072
)

// LLC and SNAP behind an 802.3 length (RFC 1042).
const (
	// MaxFrameLength is the largest length in place of an EtherType (IEEE 802.3,
	// section 3.2.6).
	MaxFrameLength = 0x05dc
	SNAPHeader     = 8 // bytes: LLC, the organization and the EtherType
)

// SNAP says whether b, of which SNAPHeader bytes are there, is LLC and SNAP with an
// EtherType (RFC 1042; IEEE 802.1H for the organization 0x0000f8).
func SNAP(b []byte) bool {
	return b[0] == 0xaa && b[1] == 0xaa && b[2] == 0x03 && b[3] == 0 && b[4] == 0 && (b[5] == 0 || b[5] == 0xf8)
}

// NSH (RFC 8300, section 2). What follows has the numbers of VXLAN-GPE, and one
// more.
const (
	NSHHeader  = 8    // bytes, without context headers
	NSHVersion = 0xc0 // in the first byte
	NSHLength  = 0x3f // in the second byte, in units of 4 bytes
	AtNSHNext  = 3    // where the next protocol is
	NSHMPLS    = 5
)
