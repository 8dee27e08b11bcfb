// Package gso counts the mirror datagrams in one packet that the kernel delivers
// (UDP_GRO and UDP_SEGMENT, udp(7)). It is pure and never allocates.
package gso

import (
	"encoding/binary"

	"netmirror/wire"
)

// Max is the most datagrams that the kernel makes one packet of (UDP_MAX_SEGMENTS).
const Max = 128

// maxTags bounds the walk to an IP packet; real ones have one or two tags.
const maxTags = 2

// Count is how many mirror datagrams of an encapsulation the payload of a UDP packet holds, if
// the kernel says that each but the last has size bytes. It is 1 for a single datagram, and 0
// for a payload that the kernel cannot have made.
func Count(encap wire.Encap, payload []byte, size int) int {
	switch {
	case size <= 0:
		return 0
	case len(payload) <= size, whole(encap, payload, size):
		return 1
	}
	n := (len(payload) + size - 1) / size
	if n > Max {
		return 0
	}
	return n
}

// whole reports whether a payload is one datagram, of an aggregate that the mirror has seen:
// the kernel then says the size of the parts of that. A datagram that is longer than size by
// what it says of itself may also be the first of several that the mirror has cut. Where one
// like it begins at size, it is.
func whole(encap wire.Encap, payload []byte, size int) bool {
	n := mirroredLength(encap, payload)
	return n > size && (n == len(payload) || !alike(encap, payload, payload[size:]))
}

// alike reports whether b begins with the encapsulation header that a, of at least as many
// bytes as it has, begins with: its flags and VNI, and GENEVE's EtherType.
func alike(encap wire.Encap, a, b []byte) bool {
	if len(b) < wire.VXLANHeader || a[0] != b[0] || wire.VNI(a) != wire.VNI(b) {
		return false
	}
	return encap != wire.EncapGeneve || string(a[wire.AtGeneveType:][:2]) == string(b[wire.AtGeneveType:][:2])
}

// mirroredLength is how long the datagram in data is by the length of
// the IP packet that it mirrors; 0 where that cannot be told.
func mirroredLength(encap wire.Encap, data []byte) int {
	if len(data) < wire.VXLANHeader {
		return 0
	}
	etherType, at := carried(encap, data)
	if len(data) < at {
		return 0
	}
	if etherType == wire.EtherTypeTEB {
		header := at
		etherType, at = wire.SkipTags(data[header:], maxTags)
		at += header
	}
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

// carried is the EtherType and the offset of what follows the encapsulation header at the
// start of data, which must hold 8 bytes. It is 0 for encapsulations that it does not read.
func carried(encap wire.Encap, data []byte) (etherType uint16, at int) {
	switch encap {
	case wire.EncapVXLAN:
		return wire.EtherTypeTEB, wire.VXLANHeader
	case wire.EncapVXLANGPE:
		return gpeType(data), wire.VXLANHeader
	case wire.EncapGeneve:
		return binary.BigEndian.Uint16(data[wire.AtGeneveType:]), wire.GeneveHeader + int(data[0]&wire.GeneveOptions)*4
	}
	return 0, 0
}

// gpeType is the EtherType of what follows a VXLAN-GPE header.
func gpeType(header []byte) uint16 {
	if header[0]&wire.GPEFlagP == 0 {
		return wire.EtherTypeTEB
	}
	switch header[wire.AtGPENext] {
	case wire.GPEEthernet:
		return wire.EtherTypeTEB
	case wire.GPEIPv4:
		return wire.EtherTypeIPv4
	case wire.GPEIPv6:
		return wire.EtherTypeIPv6
	}
	return 0
}
