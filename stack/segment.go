package stack

import (
	"encoding/binary"
	"net/netip"

	"netmirror/service"
)

// Segment is one mirrored TCP segment as the decapsulation hands it over.
type Segment struct {
	VNI uint32 // the VXLAN network identifier that it came with

	// IP is the inner IP packet, from the first byte of its header to the end
	// that its length field gives, or shorter where Truncated says so. A field
	// of 0 (segmentation offload) gives none. IP is read during the call only.
	IP []byte

	// TCP is the offset of the TCP header in IP. The whole TCP header,
	// options included, lies within IP.
	TCP int

	Truncated  bool // the mirror cut the packet
	FromServer bool // it goes from the service to the client
	Either     bool // both ends have a port of the service: FromServer says nothing

	// Service is the one that it belongs to: its place in Config.Services, or the ID that
	// SetService was given. A packet of several is a segment of each.
	Service service.ID
}

// length is how long the packet is by its own account, or what there is of it
// where segmentation offload has left 0 in its length field.
func (m *Segment) length() int {
	header, field := 0, m.IP[2:]
	if m.IP[0]>>4 == 6 {
		header, field = ipv6HeaderLen, m.IP[4:]
	}
	if n := int(binary.BigEndian.Uint16(field)); n != 0 {
		return header + n
	}
	return len(m.IP)
}

// TCP header flags (RFC 9293, section 3.1).
const (
	flagFIN = 1 << 0
	flagSYN = 1 << 1
	flagRST = 1 << 2
	flagPSH = 1 << 3
	flagACK = 1 << 4
	flagECE = 1 << 6 // RFC 3168, section 6.1
	flagCWR = 1 << 7
)

const (
	ipv4HeaderLen = 20
	ipv6HeaderLen = 40
	tcpHeaderLen  = 20
)

// flowKey tells one direction of one mirrored connection from every other, and for
// one service from the same for another: addresses as 16 bytes (IPv4 in the last
// four), both ports, the service, and the VNI of the network that it was seen in,
// whose top bit marks IPv6.
type flowKey struct {
	src, dst   [16]byte
	port       uint16 // the client's
	serverPort uint16
	service    service.ID
	net        uint32
}

const keyIPv6 = 1 << 31 // a VNI has 24 bits

func (k *flowKey) ipv6() bool { return k.net&keyIPv6 != 0 }

func (k *flowKey) vni() uint32 { return k.net &^ keyIPv6 }

// back is the key of the same connection with the other end as the client.
func (k *flowKey) back() flowKey {
	b := *k
	b.src, b.dst, b.port, b.serverPort = k.dst, k.src, k.serverPort, k.port
	return b
}

// client and server are the two ends as the mirror shows them.
func (k *flowKey) client() netip.AddrPort { return netip.AddrPortFrom(k.addr(&k.src), k.port) }
func (k *flowKey) server() netip.AddrPort { return netip.AddrPortFrom(k.addr(&k.dst), k.serverPort) }

// addr undoes the 16-byte form.
func (k *flowKey) addr(b *[16]byte) netip.Addr {
	if k.ipv6() {
		return netip.AddrFrom16(*b)
	}
	return netip.AddrFrom4([4]byte(b[12:]))
}

// segment is a parsed segment. Its key is the client's direction, also where it
// goes the other way. payload and options alias the captured frame.
type segment struct {
	key       flowKey
	seq       uint32
	ack       uint32
	flags     uint8
	sum       sum    // what its checksum is; of the client's segments
	window    uint16 // as in the header, not scaled
	stamp     uint32 // the timestamp (TSval), where stamped
	stamped   bool
	options   []byte
	part      bool // of a packet of which another part is counted
	subflow   bool // of an MPTCP connection, in its data sequence space
	multipath bool // of one that has had several subflows
	noACK     bool // what it acknowledges is not known
	either    bool // both ends have a port of the service
	payload   []byte
}

// packets is how many packets the segment counts for.
func (s *segment) packets() int {
	if s.part {
		return 0
	}
	return 1
}

// synACK reports whether the segment is a SYN-ACK, whatever other flags it has.
func (s *segment) synACK() bool { return s.flags&(flagSYN|flagACK) == flagSYN|flagACK }

// next is the sequence number behind the segment, a FIN included.
func (s *segment) next() uint32 {
	if s.flags&flagFIN != 0 {
		return s.end() + 1
	}
	return s.end()
}

// probe reports whether the segment can be a keep-alive or window probe that carries
// a byte: real stacks send any value in it (RFC 9293, sections 3.8.4 and 3.8.6.1), and
// no PSH, for it is no write. Congestion marks may be on any segment.
func (s *segment) probe() bool {
	return len(s.payload) == 1 && s.flags&^(flagECE|flagCWR) == flagACK
}

// end is the sequence number behind the segment's last byte, FIN not counted.
func (s *segment) end() uint32 { return s.seq + uint32(len(s.payload)) }

// parse reads the fields that the flows need. It reports false for addresses
// that no TCP connection can have (RFC 1122, section 3.2.1.3; RFC 4291,
// section 2.7) or a header that does not lie within the packet.
func (s *segment) parse(m *Segment) bool {
	ip := m.IP
	if len(ip) < ipv4HeaderLen || m.TCP < ipv4HeaderLen || len(ip) < m.TCP+tcpHeaderLen {
		return false
	}
	s.key = flowKey{net: m.VNI, service: m.Service}
	if ip[0]>>4 == 6 {
		if m.TCP < ipv6HeaderLen {
			return false
		}
		s.key.net |= keyIPv6
		copy(s.key.src[:], ip[8:24])
		copy(s.key.dst[:], ip[24:40])
	} else {
		copy(s.key.src[12:], ip[12:16])
		copy(s.key.dst[12:], ip[16:20])
	}
	tcp := ip[m.TCP:]
	hlen := int(tcp[12]>>4) * 4
	if hlen < tcpHeaderLen || hlen > len(tcp) {
		return false
	}
	s.key.port, s.key.serverPort = binary.BigEndian.Uint16(tcp[0:]), binary.BigEndian.Uint16(tcp[2:])
	if m.FromServer {
		s.key = s.key.back()
	}
	s.seq = binary.BigEndian.Uint32(tcp[4:])
	s.ack = binary.BigEndian.Uint32(tcp[8:])
	s.flags = tcp[13]
	s.window = binary.BigEndian.Uint16(tcp[14:])
	s.options = tcp[tcpHeaderLen:hlen]
	s.stamp, s.stamped = timestamp(s.options)
	s.either = m.Either
	s.payload = tcp[hlen:]
	return s.key.unicast(&s.key.src) && s.key.unicast(&s.key.dst)
}

// unicast reports whether b can be an end of a TCP connection.
func (k *flowKey) unicast(b *[16]byte) bool {
	if k.ipv6() {
		return b[0] != 0xff && *b != [16]byte{}
	}
	// 224.0.0.0/4 is multicast, 255.255.255.255 the limited broadcast; the
	// rest of 240.0.0.0/4 is reserved, and gVisor takes it as unicast.
	v4 := [4]byte(b[12:])
	return v4[0]&0xf0 != 0xe0 && v4 != [4]byte{} && v4 != [4]byte{255, 255, 255, 255}
}
