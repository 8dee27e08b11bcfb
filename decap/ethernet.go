package decap

import "netmirror/wire"

// maxTags is how many VLAN tags are followed; QinQ has two.
const maxTags = 4

// ethernet takes the Ethernet header and up to maxTags VLAN tags off a frame.
// payload aliases b.
func (l *layers) ethernet(b []byte) (etherType uint16, payload []byte, r Reason) {
	if isIP(b) {
		return wire.EtherType(b), b[wire.EthernetHeader:], OK
	}
	etherType, at := wire.SkipTags(b, maxTags)
	switch {
	case at > len(b):
		return 0, nil, l.truncated
	case wire.IsTag(etherType):
		return 0, nil, l.tooDeep
	}
	return etherType, b[at:], OK
}

// isIP says whether a frame has IP behind its Ethernet header.
func isIP(b []byte) bool {
	if len(b) < wire.EthernetHeader {
		return false
	}
	t := wire.EtherType(b)
	return t == wire.EtherTypeIPv4 || t == wire.EtherTypeIPv6
}
