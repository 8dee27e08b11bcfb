package tap

import "encoding/binary"

// maxDatagrams is the most datagrams that the kernel makes one packet of
// (UDP_MAX_SEGMENTS).
const maxDatagrams = 128

// splitter makes the datagrams again that the kernel or the sender has made one
// packet of (the interface's GRO; UDP_SEGMENT, udp(7)). The zero value is ready.
type splitter struct {
	out   []byte // all but the first datagrams of each packet of the current batch
	stats SplitStats
}

// begin starts a batch: what split copied is no longer valid.
func (s *splitter) begin() { s.out = s.out[:0] }

// split appends the datagrams of an aggregated frame to frames, each behind the
// frame's headers with lengths of its own. The first is in the frame, which is
// written to; the others are valid until begin. A frame that is one datagram, or
// cannot be split, is appended as it is.
//
// The IPv4 identification counts up, as it does where the kernel splits. UDP's
// checksum becomes 0, which is none (RFC 768; RFC 6935): those of the datagrams
// are not known.
func (s *splitter) split(frames [][]byte, frame []byte, h *offload) [][]byte {
	size := h.size()
	ip, udp, ok := udpOf(frame)
	if !ok || size == 0 {
		s.stats.Unsplit++
		return append(frames, frame)
	}
	headers := udp + udpHeader
	data := frame[headers:endOf(frame, ip, headers+size)]
	if start, unfilled := h.checksum(); unfilled && start != udp || len(data) <= size || mirroredLength(data) > size {
		return append(frames, frame)
	}
	n := (len(data) + size - 1) / size
	if n > maxDatagrams {
		s.stats.Unsplit++
		return append(frames, frame)
	}
	s.stats.Aggregates++
	s.stats.Datagrams += uint64(n)
	first := frame[: headers+size : headers+size]
	describe(first, ip, udp)
	frames = append(frames, first)
	b := s.room((n-1)*headers + len(data) - size)
	for i := 1; i < n; i++ {
		at := len(b)
		b = append(b, frame[:headers]...)
		b = append(b, data[i*size:min((i+1)*size, len(data))]...)
		d := b[at:len(b):len(b)]
		if d[ip]>>4 == 4 {
			binary.BigEndian.PutUint16(d[ip+4:], binary.BigEndian.Uint16(d[ip+4:])+uint16(i))
		}
		describe(d, ip, udp)
		frames = append(frames, d)
	}
	return frames
}

// room gives an empty slice with a capacity of n bytes at the end of out. Where
// out has no room, a larger one takes its place; the frames in the old one stay
// as they are.
func (s *splitter) room(n int) []byte {
	if cap(s.out)-len(s.out) < n {
		s.out = make([]byte, 0, max(2*cap(s.out), n))
	}
	at := len(s.out)
	s.out = s.out[:at+n]
	return s.out[at : at : at+n]
}

// udpOf finds the IP and UDP headers of an unfragmented UDP packet, behind up to
// maxTags VLAN tags and maxExtensions IPv6 extension headers.
func udpOf(frame []byte) (ip, udp int, ok bool) {
	etherType, ip := ipOf(frame)
	if len(frame) < ip+ipv4Header+udpHeader {
		return 0, 0, false
	}
	b := frame[ip:]
	if etherType == etherTypeIPv4 {
		udp = ip + int(b[0]&0x0f)*4
		ok = b[0]>>4 == 4 && udp >= ip+ipv4Header && b[9] == protoUDP &&
			binary.BigEndian.Uint16(b[6:])&(ipv4MoreBit|ipv4OffsetBits) == 0
		return ip, udp, ok && len(frame) >= udp+udpHeader
	}
	if etherType != etherTypeIPv6 || len(b) < ipv6Header+udpHeader || b[0]>>4 != 6 {
		return 0, 0, false
	}
	next, at := b[6], ipv6Header
	for n := 0; next != protoUDP; n++ {
		switch next {
		case protoHopByHop, protoRouting, protoDestination:
		default:
			return 0, 0, false
		}
		if n == maxExtensions || at+2 > len(b) {
			return 0, 0, false
		}
		next, at = b[at], at+(int(b[at+1])+1)*8
	}
	return ip, ip + at, len(b) >= at+udpHeader
}

// ipOf gives the EtherType behind an Ethernet header and up to maxTags VLAN tags,
// and where what it names starts; 0 where the frame is too short.
func ipOf(frame []byte) (etherType uint16, at int) {
	at = ethernetHeader
	for tags := 0; len(frame) >= at; tags++ {
		etherType = binary.BigEndian.Uint16(frame[at-2:])
		switch etherType {
		case etherTypeCTag, etherTypeSTag, etherTypeQinQ:
			if tags == maxTags {
				return 0, at
			}
			at += vlanTag
		default:
			return etherType, at
		}
	}
	return 0, at
}

// endOf is where the IP packet at ip ends by its own length or, where that leaves
// no room for a second datagram behind one that ends at first, with the frame.
func endOf(frame []byte, ip, first int) int {
	end := ip + int(binary.BigEndian.Uint16(frame[ip+2:]))
	if frame[ip]>>4 == 6 {
		end = ip + ipv6Header + int(binary.BigEndian.Uint16(frame[ip+4:]))
	}
	if end <= first || end > len(frame) {
		return len(frame)
	}
	return end
}

// mirroredLength is how long the VXLAN datagram in data is by the length of the IP
// packet that it mirrors; 0 where that cannot be told. A mirrored packet may be an
// aggregate of its own, of which the offload header then speaks.
func mirroredLength(data []byte) int {
	const vxlanHeader = 8
	if len(data) < vxlanHeader {
		return 0
	}
	etherType, at := ipOf(data[vxlanHeader:])
	at += vxlanHeader
	switch {
	case len(data) < at+6:
		return 0
	case etherType == etherTypeIPv4:
		return at + int(binary.BigEndian.Uint16(data[at+2:]))
	case etherType == etherTypeIPv6:
		return at + ipv6Header + int(binary.BigEndian.Uint16(data[at+4:]))
	}
	return 0
}

// describe gives the headers of a frame, IP at ip and UDP at udp, its own lengths.
func describe(frame []byte, ip, udp int) {
	p, u := frame[ip:], frame[udp:]
	binary.BigEndian.PutUint16(u[4:], uint16(len(u)))
	binary.BigEndian.PutUint16(u[6:], 0)
	if p[0]>>4 == 6 {
		binary.BigEndian.PutUint16(p[4:], uint16(len(p)-ipv6Header))
		return
	}
	binary.BigEndian.PutUint16(p[2:], uint16(len(p)))
	binary.BigEndian.PutUint16(p[10:], 0)
	binary.BigEndian.PutUint16(p[10:], checksum(p[:udp-ip]))
}
