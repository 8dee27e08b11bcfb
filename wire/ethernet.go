// Package wire is what the stages know of packets on the wire: numbers that
// registries assign, sizes of headers, the walk from one header to the next, and how a
// mirror's packets come ([Mirror]).
//
// It is pure. Reading a packet never allocates, and the results alias what they were
// read from. It judges nothing: what a short or odd packet means is the caller's to say.
package wire

import "encoding/binary"

const (
	// EthernetHeader is the size of an Ethernet header, bytes (IEEE 802.3).
	EthernetHeader = 14
	// VLANTag is the size of a VLAN tag, bytes (IEEE 802.1Q).
	VLANTag = 4
	// MaxPadded is the most bytes behind an Ethernet header and its VLAN tags that
	// may be padding in part: Ethernet fills them up to 46 (IEEE 802.3, 3.2.7). A
	// tag only makes that smaller.
	MaxPadded = 46
)

// EtherTypes (IANA ieee-802-numbers).
const (
	EtherTypeIPv4 = 0x0800
	EtherTypeIPv6 = 0x86dd
	EtherTypeCTag = 0x8100 // 802.1Q
	EtherTypeSTag = 0x88a8 // 802.1ad
	EtherTypeQinQ = 0x9100 // before 802.1ad was a standard
	EtherTypeTag4 = 0x9200 // others of that time
	EtherTypeTag5 = 0x9300

	EtherTypeTEB     = 0x6558 // an Ethernet frame (RFC 1701)
	EtherTypeMPLS    = 0x8847 // RFC 5332, section 2
	EtherTypeMPLSOld = 0x8848 // once multicast
	EtherTypePPPoE   = 0x8864 // the session stage (RFC 2516)
	EtherTypeNSH     = 0x894f // RFC 8300
	EtherTypeERSPAN  = 0x88be // types I and II
	EtherTypeERSPAN3 = 0x22eb // type III
)

// AtEtherType is where an Ethernet header has its EtherType, bytes.
const AtEtherType = 12

// EtherType is that of the frame at the start of b, which must hold an Ethernet header.
func EtherType(b []byte) uint16 { return binary.BigEndian.Uint16(b[AtEtherType:]) }

// IsTag says whether an EtherType announces a VLAN tag.
func IsTag(etherType uint16) bool {
	switch etherType {
	case EtherTypeCTag, EtherTypeSTag, EtherTypeQinQ, EtherTypeTag4, EtherTypeTag5:
		return true
	}
	return false
}

// SkipTags gives the EtherType behind an Ethernet header and up to most VLAN tags, and the
// offset of what it names. The offset is beyond the end of a frame that ends within these
// headers. If there are more tags, the EtherType is a tag's.
func SkipTags(frame []byte, most int) (etherType uint16, at int) {
	at = EthernetHeader
	for tags := 0; len(frame) >= at; tags++ {
		etherType = binary.BigEndian.Uint16(frame[at-2:])
		if !IsTag(etherType) || tags == most {
			break
		}
		at += VLANTag
	}
	return etherType, at
}
