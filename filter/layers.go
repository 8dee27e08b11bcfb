package filter

const (
	ethernetHeader = 14 // bytes (IEEE 802.3)
	vlanTag        = 4  // bytes (IEEE 802.1Q)
	ipv4Header     = 20 // bytes without options (RFC 791, section 3.1)
	ipv6Header     = 40 // bytes (RFC 8200, section 3)
	fragmentHeader = 8  // bytes (RFC 8200, section 4.5)
	udpHeader      = 8  // bytes (RFC 768)
)

// EtherTypes (IANA ieee-802-numbers).
const (
	etherTypeIPv4 = 0x0800
	etherTypeIPv6 = 0x86dd
	etherTypeCTag = 0x8100 // 802.1Q
	etherTypeSTag = 0x88a8 // 802.1ad
	etherTypeQinQ = 0x9100 // before 802.1ad was a standard
)

// Protocol numbers (IANA), also the next-header values of IPv6.
const (
	protoHopByHop    = 0
	protoTCP         = 6
	protoUDP         = 17
	protoRouting     = 43
	protoFragment    = 44
	protoAH          = 51
	protoICMPv6      = 58
	protoDestination = 60
)

// Bits of the 16 that say which part of a datagram a fragment is.
const (
	ipv4MoreBit    = 0x2000
	ipv4OffsetBits = 0x1fff // in units of 8 bytes
	ipv6MoreBit    = 0x0001
	ipv6OffsetBits = 0xfff8 // in bytes
)
