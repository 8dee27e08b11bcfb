package decap

import "netmirror/wire"

// maxTags is how many VLAN tags are followed; QinQ has two.
const maxTags = 4

// ethernet takes the Ethernet header and up to maxTags VLAN tags off a frame.
// payload aliases b.
func (l *layers) ethernet(b []byte) (etherType uint16, payload []byte, r Reason) {
	if len(b) >= wire.EthernetHeader {
		if etherType = wire.EtherType(b); etherType == wire.EtherTypeIPv4 || etherType == wire.EtherTypeIPv6 {
			return etherType, b[wire.EthernetHeader:], OK
		}
	}
	return l.tagged(b)
}

// tagged is ethernet for a frame that may have VLAN tags, or be too short.
func (l *layers) tagged(b []byte) (etherType uint16, payload []byte, r Reason) {
	etherType, at := wire.SkipTags(b, maxTags)
	switch {
	case at > len(b):
		return 0, nil, l.truncated
	case wire.IsTag(etherType):
		return 0, nil, l.tooDeep
	}
	return etherType, b[at:], OK
}
