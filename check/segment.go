package check

import (
	"encoding/binary"
	"net/netip"

	"netmirror/decap"
	"netmirror/wire"
)

const versionIPv4 = 4

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
	ip, tcp := p.IP, wire.TCP(p.IP[p.TCP:])
	flags := tcp.Flags()
	s := segment{
		syn: flags&wire.FlagSYN != 0, ack: flags&wire.FlagACK != 0,
		rst:     flags&wire.FlagRST != 0,
		payload: tcp[tcp.HeaderLen():], cut: p.Truncated, size: len(ip), seq: tcp.Seq(),
	}
	s.length = uint32(len(s.payload) + cutOff(ip))
	s.numbers = s.length
	for _, flag := range []byte{wire.FlagSYN, wire.FlagFIN} {
		if flags&flag != 0 {
			s.numbers++
		}
	}
	var src, dst netip.Addr
	if ip[0]>>4 == versionIPv4 {
		ip := wire.IPv4(ip)
		src, dst = netip.AddrFrom4([4]byte(ip.Src())), netip.AddrFrom4([4]byte(ip.Dst()))
		s.print = uint64(ip.ID()) // the identification: a retransmission has another
	} else {
		ip := wire.IPv6(ip)
		src, dst = netip.AddrFrom16([16]byte(ip.Src())), netip.AddrFrom16([16]byte(ip.Dst()))
	}
	s.src = netip.AddrPortFrom(src, wire.SrcPort(tcp))
	s.dst = netip.AddrPortFrom(dst, wire.DstPort(tcp))
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
	own := wire.IPv4(ip).Length()
	if ip[0]>>4 != versionIPv4 {
		own = wire.IPv6Header + wire.IPv6(ip).Payload()
	}
	return max(own-len(ip), 0) // a super-frame of over 64 KiB says 0
}
