package main

import "encoding/binary"

const vxlanPort = 4789 // RFC 7348, section 8.1

// Lengths of headers, and what their type fields say.
const (
	ethernetLen = 14
	udpLen      = 8
	vxlanLen    = 8
	ipv4MinLen  = 20
	tcpMinLen   = 20

	typeIPv4 = 0x0800
	protoTCP = 6
	protoUDP = 17

	flagFIN, flagSYN, flagRST = 1, 2, 4
)

// mirror says which packets are the service's.
type mirror struct {
	vni  uint32
	port uint16
}

// key is a flow's addresses and ports.
type key struct {
	src, dst         [4]byte
	srcPort, dstPort uint16
}

// segment is a mirrored TCP segment. payload aliases its frame.
type segment struct {
	key     key
	seq     uint32
	flags   byte
	payload []byte
}

// parse takes a frame to pieces. It is false for what is not the clients' to the service.
func (m mirror) parse(frame []byte) (s segment, ok bool) {
	outer, protocol, ok := ipv4(frame)
	if !ok || protocol != protoUDP {
		return s, false
	}
	udp := outer[ipv4Len(outer):]
	if len(udp) < udpLen+vxlanLen || binary.BigEndian.Uint16(udp[2:]) != vxlanPort ||
		binary.BigEndian.Uint32(udp[udpLen+4:])>>8 != m.vni {
		return s, false
	}
	inner, protocol, ok := ipv4(udp[udpLen+vxlanLen:])
	if !ok || protocol != protoTCP {
		return s, false
	}
	tcp := inner[ipv4Len(inner):]
	if len(tcp) < tcpMinLen {
		return s, false
	}
	s.key = key{
		src: [4]byte(inner[12:]), dst: [4]byte(inner[16:]),
		srcPort: binary.BigEndian.Uint16(tcp), dstPort: binary.BigEndian.Uint16(tcp[2:]),
	}
	offset := int(tcp[12]>>4) * 4
	if s.key.dstPort != m.port || offset > len(tcp) {
		return s, false
	}
	s.seq, s.flags, s.payload = binary.BigEndian.Uint32(tcp[4:]), tcp[13], tcp[offset:]
	return s, true
}

// ipv4 is the IPv4 packet in an Ethernet frame, without what pads the frame.
func ipv4(frame []byte) (packet []byte, protocol byte, ok bool) {
	if len(frame) < ethernetLen+ipv4MinLen || binary.BigEndian.Uint16(frame[12:]) != typeIPv4 {
		return nil, 0, false
	}
	packet = frame[ethernetLen:]
	total := int(binary.BigEndian.Uint16(packet[2:]))
	if total > len(packet) || total < ipv4Len(packet) {
		return nil, 0, false
	}
	return packet[:total], packet[9], true
}

func ipv4Len(packet []byte) int { return int(packet[0]&0xf) * 4 }
