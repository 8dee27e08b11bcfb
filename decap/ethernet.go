package decap

import "encoding/binary"

const (
	ethernetHeader = 14 // bytes (IEEE 802.3)
	vlanTag        = 4  // bytes (IEEE 802.1Q)
	maxTags        = 4  // VLAN tags followed; QinQ has two
)

// EtherTypes (IANA ieee-802-numbers).
const (
	etherTypeIPv4 = 0x0800
	etherTypeIPv6 = 0x86dd
	etherTypeCTag = 0x8100 // 802.1Q
	etherTypeSTag = 0x88a8 // 802.1ad
	etherTypeQinQ = 0x9100 // before 802.1ad was a standard
)

// ethernet takes the Ethernet header and up to maxTags VLAN tags off a frame.
// payload aliases b.
func (l *layers) ethernet(b []byte) (etherType uint16, payload []byte, r Reason) {
	if len(b) < ethernetHeader {
		return 0, nil, l.truncated
	}
	etherType, b = binary.BigEndian.Uint16(b[12:]), b[ethernetHeader:]
	for n := 0; tag(etherType); n++ {
		if n == maxTags {
			return 0, nil, l.tooDeep
		}
		if len(b) < vlanTag {
			return 0, nil, l.truncated
		}
		etherType, b = binary.BigEndian.Uint16(b[2:]), b[vlanTag:]
	}
	return etherType, b, OK
}

// tag says whether an EtherType announces a VLAN tag.
func tag(etherType uint16) bool {
	return etherType == etherTypeCTag || etherType == etherTypeSTag || etherType == etherTypeQinQ
}
