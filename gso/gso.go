// Package gso tells how many mirror datagrams are in what the kernel hands over as one
// (UDP_GRO and UDP_SEGMENT, udp(7)). It is pure and never allocates.
package gso

import "netmirror/wire"

// Max is the most datagrams that the kernel makes one packet of (UDP_MAX_SEGMENTS).
const Max = 128

// maxTags bounds the walk to an IP packet; real ones have one or two tags.
const maxTags = 2

// Count is how many mirror datagrams the payload of a UDP packet to port is, if the kernel says
// that each but the last has size bytes: 1 where it is a single one, and 0 where that
// is none that the kernel makes.
func Count(port uint16, payload []byte, size int) int {
	switch {
	case size <= 0:
		return 0
	case len(payload) <= size, mirroredLength(port, payload) > size:
		return 1
	}
	n := (len(payload) + size - 1) / size
	if n > Max {
		return 0
	}
	return n
}

// mirroredLength is how long the VXLAN or GENEVE datagram in data is by the length of
// the IP packet that it mirrors; 0 where that cannot be told. A mirrored packet may be an
// aggregate of its own, whose size the kernel then says.
func mirroredLength(port uint16, data []byte) int {
	if len(data) < wire.VXLANHeader {
		return 0
	}
	header := wire.VXLANHeader
	if port == wire.PortGeneve {
		header += int(data[0]&wire.GeneveOptions) * 4
	}
	if len(data) < header {
		return 0
	}
	etherType, at := wire.SkipTags(data[header:], maxTags)
	at += header
	switch {
	case len(data) < at+6:
		return 0
	case etherType == wire.EtherTypeIPv4:
		return at + wire.IPv4(data[at:]).Length()
	case etherType == wire.EtherTypeIPv6:
		return at + wire.IPv6Header + wire.IPv6(data[at:]).Payload()
	}
	return 0
}
