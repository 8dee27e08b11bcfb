package tap

import (
	"encoding/binary"

	"netmirror/gso"
	"netmirror/wire"
)

// maxTags bounds the walk to an IP packet; real ones have one or two tags.
const maxTags = 2

// splitter makes the datagrams again that the kernel or the sender has made one
// packet of (the interface's GRO; UDP_SEGMENT, udp(7)). The zero value is ready.
type splitter struct {
	mirror wire.Mirror // tells the encapsulation at a port
	out    []byte      // all but the first datagrams of each packet of the current batch
	stats  SplitStats
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
	headers := udp + wire.UDPHeader
	data := frame[headers:endOf(frame, ip, headers+size)]
	if start, unfilled := h.checksum(); unfilled && start != udp {
		return append(frames, frame)
	}
	n := gso.Count(s.mirror.At(wire.DstPort(frame[udp:])), data, size)
	switch n {
	case 0:
		s.stats.Unsplit++
		fallthrough
	case 1:
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
// maxTags VLAN tags and wire.MaxExtensions IPv6 extension headers.
func udpOf(frame []byte) (ip, udp int, ok bool) {
	etherType, ip := wire.SkipTags(frame, maxTags)
	if len(frame) < ip+wire.IPv4Header+wire.UDPHeader {
		return 0, 0, false
	}
	b := frame[ip:]
	if etherType == wire.EtherTypeIPv4 {
		udp = ip + wire.IPv4(b).HeaderLen()
		ok = b[0]>>4 == 4 && udp >= ip+wire.IPv4Header && wire.IPv4(b).Protocol() == wire.ProtoUDP && wire.IPv4(b).Part() == 0
		return ip, udp, ok && len(frame) >= udp+wire.UDPHeader
	}
	if etherType != wire.EtherTypeIPv6 || len(b) < wire.IPv6Header+wire.UDPHeader || b[0]>>4 != 6 {
		return 0, 0, false
	}
	named, at, ok := wire.SkipOptions(b)
	return ip, ip + at, ok && b[named] == wire.ProtoUDP && len(b) >= at+wire.UDPHeader
}

// endOf is where the IP packet at ip ends by its own length or, where that leaves
// no room for a second datagram behind one that ends at first, with the frame.
func endOf(frame []byte, ip, first int) int {
	end := ip + wire.IPv4(frame[ip:]).Length()
	if frame[ip]>>4 == 6 {
		end = ip + wire.IPv6Header + wire.IPv6(frame[ip:]).Payload()
	}
	if end <= first || end > len(frame) {
		return len(frame)
	}
	return end
}

// describe gives the headers of a frame, IP at ip and UDP at udp, its own lengths.
func describe(frame []byte, ip, udp int) {
	p, u := frame[ip:], frame[udp:]
	binary.BigEndian.PutUint16(u[4:], uint16(len(u)))
	binary.BigEndian.PutUint16(u[6:], 0)
	if p[0]>>4 == 6 {
		binary.BigEndian.PutUint16(p[4:], uint16(len(p)-wire.IPv6Header))
		return
	}
	binary.BigEndian.PutUint16(p[2:], uint16(len(p)))
	binary.BigEndian.PutUint16(p[10:], 0)
	binary.BigEndian.PutUint16(p[10:], wire.Checksum(p[:udp-ip]))
}
