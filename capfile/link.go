package capfile

import (
	"bytes"
	"encoding/binary"

	"netmirror/wire"
)

// Link layers (https://www.tcpdump.org/linktypes.html). 12 and 14 are what some
// systems write for raw IP in place of 101.
const (
	linkNull     = 0
	linkEthernet = 1
	linkRawBSD   = 12
	linkRawOpen  = 14
	linkRaw      = 101
	linkLoop     = 108
	linkSLL      = 113
	linkIPv4     = 228
	linkIPv6     = 229
	linkSLL2     = 276
)

const (
	nullHeader = 4  // bytes: the protocol family
	sllHeader  = 16 // bytes; the last two are the EtherType
	sll2Header = 20 // bytes; the first two are the EtherType

	// noEtherType is no protocol's (IEEE 802.3: values from 0x0600 on are types).
	noEtherType = 0
	// cookedLLC stands in a Linux cooked header in place of the EtherType of a frame that
	// had a length there, and is followed by LLC.
	cookedLLC = 0x0004
)

// readable reports whether toEthernet knows the link layer.
func readable(link uint32) bool {
	switch link {
	case linkEthernet, linkNull, linkLoop, linkRaw, linkRawBSD, linkRawOpen, linkIPv4, linkIPv6, linkSLL, linkSLL2:
		return true
	}
	return false
}

// toEthernet turns the packet at b[headroom:] into an Ethernet frame in place: the frame is
// b[start:end]. A packet that ends within its link header gives a frame that is too short for
// an Ethernet header. ok is false for an unknown link layer.
func toEthernet(link uint32, b []byte) (start, end int, ok bool) {
	header := 0
	switch link {
	case linkEthernet:
		return headroom, len(b), true
	case linkNull, linkLoop:
		header = nullHeader
	case linkRaw, linkRawBSD, linkRawOpen, linkIPv4, linkIPv6:
	case linkSLL:
		header = sllHeader
	case linkSLL2:
		header = sll2Header
	default:
		return 0, 0, false
	}
	packet := b[headroom:]
	if len(packet) < header {
		return headroom, headroom + min(len(packet), wire.EthernetHeader-1), true
	}
	etherType := linkEtherType(link, packet)
	if n := len(packet) - header; etherType == cookedLLC && (link == linkSLL || link == linkSLL2) && n <= wire.MaxFrameLength {
		etherType = uint16(n)
	}
	start = headroom + header - wire.EthernetHeader
	clear(b[start : start+wire.AtEtherType])
	binary.BigEndian.PutUint16(b[start+wire.AtEtherType:], etherType)
	return start, len(b), true
}

// linkEtherType is the EtherType of a packet that has its whole link header.
func linkEtherType(link uint32, packet []byte) uint16 {
	switch link {
	case linkSLL:
		return binary.BigEndian.Uint16(packet[sllHeader-2:])
	case linkSLL2:
		return binary.BigEndian.Uint16(packet)
	case linkNull, linkLoop:
		return familyEtherType(packet)
	}
	if len(packet) == 0 {
		return noEtherType
	}
	switch packet[0] >> 4 {
	case 4:
		return wire.EtherTypeIPv4
	case 6:
		return wire.EtherTypeIPv6
	}
	return noEtherType
}

// familyEtherType reads a protocol family. Its byte order is that of the host that wrote it,
// which may differ from the file's, or network byte order. The family of IPv6 depends on the
// system: Linux 10, Windows 23, NetBSD and OpenBSD 24, FreeBSD 28, macOS 30.
func familyEtherType(header []byte) uint16 {
	family := header[0]
	if bytes.Equal(header[:3], []byte{0, 0, 0}) {
		family = header[3]
	} else if !bytes.Equal(header[1:4], []byte{0, 0, 0}) {
		return noEtherType
	}
	switch family {
	case 2:
		return wire.EtherTypeIPv4
	case 10, 23, 24, 28, 30:
		return wire.EtherTypeIPv6
	}
	return noEtherType
}
