package check

import (
	"encoding/binary"
	"net/netip"

	"netmirror/decap"
)

const (
	ethernetHeader = 14 // bytes (IEEE 802.3)
	versionIPv4    = 4
)

// TCP's control bits (RFC 9293, section 3.1).
const (
	flagFIN = 0x01
	flagSYN = 0x02
	flagRST = 0x04
	flagACK = 0x10
)

// segment is what is looked at of a mirrored TCP packet.
type segment struct {
	src, dst netip.AddrPort
	syn, ack bool
	rst      bool
	payload  []byte // what is there of it; aliases the frame
	cut      bool   // by the mirror
	size     int    // what is there of the IP packet, bytes
	seq      uint32 // sequence number
	length   uint32 // of the payload, bytes, with what was cut
	numbers  uint32 // that it takes: a byte, a SYN and a FIN have one each
	print    uint64 // the same in two copies of a packet, and hardly in two packets
}

// readSegment reads a packet that decap has judged, so that its headers are whole.
func readSegment(p *decap.Packet) segment {
	ip, tcp := p.IP, p.IP[p.TCP:]
	s := segment{
		syn: tcp[13]&flagSYN != 0, ack: tcp[13]&flagACK != 0,
		rst:     tcp[13]&flagRST != 0,
		payload: tcp[tcp[12]>>4*4:], cut: p.Truncated, size: len(ip), seq: binary.BigEndian.Uint32(tcp[4:]),
	}
	s.length = uint32(len(s.payload) + cutOff(ip))
	s.numbers = s.length
	for _, flag := range []byte{flagSYN, flagFIN} {
		if tcp[13]&flag != 0 {
			s.numbers++
		}
	}
	var src, dst netip.Addr
	if ip[0]>>4 == versionIPv4 {
		src, dst = netip.AddrFrom4([4]byte(ip[12:])), netip.AddrFrom4([4]byte(ip[16:]))
		s.print = uint64(binary.BigEndian.Uint16(ip[4:])) // the identification: a retransmission has another
	} else {
		src, dst = netip.AddrFrom16([16]byte(ip[8:])), netip.AddrFrom16([16]byte(ip[24:]))
	}
	s.src = netip.AddrPortFrom(src, binary.BigEndian.Uint16(tcp))
	s.dst = netip.AddrPortFrom(dst, binary.BigEndian.Uint16(tcp[2:]))
	for _, v := range []uint64{
		binary.BigEndian.Uint64(tcp),     // ports, sequence number
		binary.BigEndian.Uint64(tcp[8:]), // acknowledgement number, flags, window
		uint64(binary.BigEndian.Uint16(tcp[16:])), uint64(len(s.payload)),
	} {
		s.print = (s.print ^ v) * 0x9e3779b97f4a7c15
		s.print ^= s.print >> 32
	}
	return s
}

// cutOff is how many bytes an IP packet lacks of the length that it says it has.
func cutOff(ip []byte) int {
	own := int(binary.BigEndian.Uint16(ip[2:]))
	if ip[0]>>4 != versionIPv4 {
		own = 40 + int(binary.BigEndian.Uint16(ip[4:])) // RFC 8200, section 3
	}
	return max(own-len(ip), 0) // a super-frame of over 64 KiB says 0
}
