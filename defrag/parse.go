package defrag

import (
	"encoding/binary"
	"net/netip"

	"netmirror/wire"
)

// maxTags bounds the walk to an IP packet. It is as far as decap goes, so that what is read
// whole is read in fragments too.
const maxTags = 4

// Offsets in a frame without VLAN tags.
const (
	atIPv4Flags = wire.EthernetHeader + 6
	atIPv6Next  = wire.EthernetHeader + wire.AtIPv6Next
)

// datagramKey is what the fragments of one datagram have in common (RFC 791,
// section 3.2; RFC 8200, section 4.5). The VLAN is not part of it: the kernel
// has taken the outermost tag off.
type datagramKey struct {
	src, dst netip.Addr // their family is the packet's
	vni      uint32     // 0 for what is not mirrored
	id       uint32
	proto    uint8 // 0 in IPv6, where it need not be the same in all
}

// fragment is one part of a datagram, as it was captured.
type fragment struct {
	key    datagramKey
	header []byte // all before data, without an IPv6 fragment header; aliases the frame
	data   []byte // aliases the frame
	ip     int    // where in header the IP header starts
	offset int    // of data in the datagram, bytes
	more   bool   // not the last
	proto  uint8  // that the header names, an extension header's maybe
	named  int    // where header names the IPv6 fragment header; 0: nowhere
	wire   int    // the frame's length, bytes
}

// verdict is what parse finds a frame to be.
type verdict uint8

const (
	whole   verdict = iota // to be handed out
	partial                // a fragment
	broken                 // a fragment, but not a possible one
)

// Unfragmented is a fast test for frames with UDP: for nearly every frame, it reports in a few
// nanoseconds that it is no fragment.
func Unfragmented(frame []byte) bool {
	if len(frame) < wire.EthernetHeader+wire.IPv4Header {
		return true
	}
	switch binary.BigEndian.Uint16(frame[wire.AtEtherType:]) {
	case wire.EtherTypeIPv4:
		return binary.BigEndian.Uint16(frame[atIPv4Flags:])&(wire.IPv4More|wire.IPv4Offset) == 0
	case wire.EtherTypeIPv6:
		return frame[atIPv6Next] == wire.ProtoUDP
	}
	return false
}

// parse looks for an IP fragment in an Ethernet frame. What is not one, or cannot be
// read, is whole and returned as it is, for others to judge, except that an IPv6
// fragment that is all of its datagram (RFC 6946) loses its fragment header. The
// frame's memory is written to.
func parse(frame []byte, protocol uint8) ([]byte, fragment, verdict) {
	switch etherType, ip := wire.SkipTags(frame, maxTags); {
	case ip > len(frame):
	case etherType == wire.EtherTypeIPv4:
		return parseIPv4(frame, ip, protocol)
	case etherType == wire.EtherTypeIPv6:
		return parseIPv6(frame, ip)
	}
	return frame, fragment{}, whole
}

// parseIPv4 is parse for a frame whose IPv4 header (RFC 791, section 3.1)
// starts at ip.
func parseIPv4(frame []byte, ip int, protocol uint8) ([]byte, fragment, verdict) {
	b := wire.IPv4(frame[ip:])
	if len(b) < wire.IPv4Header || b[0]>>4 != 4 || protocol != AnyProtocol && b.Protocol() != protocol {
		return frame, fragment{}, whole
	}
	part := b.Part()
	if part == 0 {
		return frame, fragment{}, whole
	}
	start, end := b.HeaderLen(), b.Length()
	if start < wire.IPv4Header || end < start || end > len(b) {
		return frame, fragment{wire: len(frame)}, broken
	}
	f := fragment{
		key: datagramKey{
			src:   netip.AddrFrom4([4]byte(b.Src())),
			dst:   netip.AddrFrom4([4]byte(b.Dst())),
			id:    uint32(b.ID()),
			proto: b.Protocol(),
		},
		header: frame[:ip+start],
		data:   b[start:end],
		ip:     ip,
		offset: int(part&wire.IPv4Offset) * 8,
		more:   part&wire.IPv4More != 0,
		proto:  b.Protocol(),
		wire:   len(frame),
	}
	return frame, f, f.verdict()
}

// parseIPv6 is parse for a frame whose IPv6 header (RFC 8200, section 3) starts
// at ip.
func parseIPv6(frame []byte, ip int) ([]byte, fragment, verdict) {
	b := wire.IPv6(frame[ip:])
	if len(b) < wire.IPv6Header || b[0]>>4 != 6 {
		return frame, fragment{}, whole
	}
	named, start, ok := wire.SkipOptions(b)
	if !ok || b[named] != wire.ProtoFragment {
		return frame, fragment{}, whole
	}
	data := start + wire.FragmentHeader
	if data > len(b) {
		return frame, fragment{wire: len(frame)}, broken
	}
	part := wire.IPv6Part(b[start:])
	id := binary.BigEndian.Uint32(b[start+4:])
	if part == 0 {
		b[named] = b[start]
		return unwrap(frame, ip, start), fragment{}, whole
	}
	end := wire.IPv6Header + b.Payload()
	if end < data || end > len(b) {
		return frame, fragment{wire: len(frame)}, broken
	}
	f := fragment{
		key: datagramKey{
			src: netip.AddrFrom16([16]byte(b.Src())),
			dst: netip.AddrFrom16([16]byte(b.Dst())),
			id:  id,
		},
		header: frame[:ip+start],
		data:   b[data:end],
		ip:     ip,
		offset: int(part & wire.IPv6Offset),
		more:   part&wire.IPv6More != 0,
		proto:  b[start],
		named:  ip + named,
		wire:   len(frame),
	}
	return frame, f, f.verdict()
}

// unwrap takes the fragment header, start bytes behind the IPv6 header at ip,
// out of a frame by moving what is before it.
func unwrap(frame []byte, ip, start int) []byte {
	length := frame[ip+4 : ip+6]
	if n := binary.BigEndian.Uint16(length); n >= wire.FragmentHeader {
		binary.BigEndian.PutUint16(length, n-wire.FragmentHeader)
	}
	copy(frame[wire.FragmentHeader:], frame[:ip+start])
	return frame[wire.FragmentHeader:]
}

// verdict says whether a datagram can have the part: all but the last are a
// multiple of 8 bytes long, and none is empty.
func (f *fragment) verdict() verdict {
	if len(f.data) == 0 || f.more && len(f.data)%8 != 0 {
		return broken
	}
	return partial
}

// join turns the headers of a datagram's first fragment into those of the whole datagram. b is
// the frame with the whole payload, and its IP header is at ip. It returns false if a length
// field cannot hold the length.
func join(b []byte, ip int) bool {
	p := b[ip:]
	if p[0]>>4 == 6 {
		n := len(p) - wire.IPv6Header
		binary.BigEndian.PutUint16(p[4:], uint16(n))
		return n <= wire.MaxLength
	}
	binary.BigEndian.PutUint16(p[2:], uint16(len(p)))
	binary.BigEndian.PutUint16(p[6:], 0)
	binary.BigEndian.PutUint16(p[10:], 0)
	binary.BigEndian.PutUint16(p[10:], wire.Checksum(p[:wire.IPv4(p).HeaderLen()]))
	return len(p) <= wire.MaxLength
}
