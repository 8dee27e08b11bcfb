// Package decap takes the mirror's encapsulation off captured packets.
//
// It is pure: bytes in, bytes out. It opens nothing, logs nothing, starts no
// goroutine and never allocates. Every input may be hostile: whatever cannot
// be read has a [Reason], and no header is believed beyond the bytes that are
// there.
//
// No checksum is verified here. The outer UDP checksum is normally zero
// (RFC 7348, section 5), and offload may have left the inner ones unfilled;
// the inner TCP checksum is for the consumer to judge.
package decap

import (
	"errors"
	"fmt"
	"slices"

	"netmirror/wire"
)

// What [New] finds wrong with a [Config].
var (
	ErrNoVNIs   = errors.New("decap: no VNI given")
	ErrVNIRange = errors.New("decap: VNI has more than 24 bits")
	ErrPort     = errors.New("decap: original port must not be 0")
)

// Config selects what is ours.
type Config struct {
	// UDPPort is the destination port of the VXLAN packets; 0 means 4789.
	UDPPort uint16
	// VNIs are the network identifiers to accept, each 0..16777215. At least
	// one is needed; repeated ones count once.
	VNIs []uint32
	// Port is the TCP port of the mirrored service, 1..65535.
	Port uint16
}

// Decoder holds what [Decoder.Decode] compares with. It never changes after
// [New], so any number of goroutines may share one.
type Decoder struct {
	udpPort uint16
	port    uint16
	vnis    []uint32 // sorted
}

// Packet is a mirrored TCP packet of the service, without its encapsulation.
type Packet struct {
	// VNI is the network identifier it came under, 24 bits.
	VNI uint32
	// IP is the inner packet, from the first byte of its IP header to the end
	// that its own length field gives, so without Ethernet padding; it is
	// shorter than that only if Truncated. Where segmentation offload has left 0
	// in the field, IP is the rest of the frame; in one longer than the field can
	// say, Linux puts a jumbo payload option in front of TCP over IPv6. IP aliases
	// the frame given to Decode and has no spare capacity.
	IP []byte
	// TCP is the offset in IP of the TCP header, which is complete, options
	// included.
	TCP int
	// Truncated says that the mirror or the capture cut the packet: IP ends
	// before its own length says or, where that is 0, before the outer ones say.
	// A packet with a length of 0 that was cut before it was encapsulated looks
	// whole.
	Truncated bool
	// FromServer says that the source port is the service's and the
	// destination port is not. It is false where both are: the ports do not tell
	// the direction then, and the consumer has to.
	FromServer bool
}

// New makes a Decoder. It keeps no reference to c.VNIs. The error wraps
// [ErrNoVNIs], [ErrVNIRange] or [ErrPort].
func New(c Config) (*Decoder, error) {
	if len(c.VNIs) == 0 {
		return nil, ErrNoVNIs
	}
	vnis := slices.Clone(c.VNIs)
	slices.Sort(vnis)
	if last := vnis[len(vnis)-1]; last > wire.MaxVNI {
		return nil, fmt.Errorf("%w: %d", ErrVNIRange, last)
	}
	if c.Port == 0 {
		return nil, ErrPort
	}
	if c.UDPPort == 0 {
		c.UDPPort = wire.PortVXLAN
	}
	return &Decoder{udpPort: c.UDPPort, port: c.Port, vnis: slices.Compact(vnis)}, nil
}

// Decode takes the encapsulation off an Ethernet frame as a packet socket gives
// it, with its outer VLAN tags in band or already stripped. It writes p only
// when it returns [OK] or [InnerFragment], and then p.IP aliases frame and is valid
// as long as frame is.
//
// A fragment has a VNI of ours, but its ports are not known: p has its VNI and, from
// the fragment's IP header to the end of the mirrored frame, its IP. Once the
// fragments of a datagram are put together, [Decoder.DecodeIP] goes on.
//
// The outer lengths bound the mirrored frame, but where they reach beyond what
// was captured the packet is still judged by what is there. The checks run from
// the outside in, so a packet that is not ours is seldom looked at further than
// the field that says so.
func (d *Decoder) Decode(frame []byte, p *Packet) Reason {
	etherType, b, r := outer.ethernet(frame)
	if r != OK {
		return r
	}
	own, off, unsized, r := outer.ip(etherType, b)
	if r != OK {
		return r
	}
	b, missing, r := d.udp(b[:min(own, len(b))], own, off, unsized)
	if r != OK {
		return r
	}
	return d.inVXLAN(b, missing, p)
}

// DecodeVXLAN is Decode for the payload of a UDP datagram to the VXLAN port, as a UDP
// socket gives it; p.IP then aliases payload.
func (d *Decoder) DecodeVXLAN(payload []byte, p *Packet) Reason { return d.inVXLAN(payload, 0, p) }

// inVXLAN goes on from the VXLAN header that begins at b, behind which so many bytes
// were not captured.
func (d *Decoder) inVXLAN(b []byte, missing int, p *Packet) Reason {
	vni, b, r := VXLAN(b)
	if r != OK {
		return r
	}
	if _, ours := slices.BinarySearch(d.vnis, vni); !ours {
		return OtherVNI
	}
	etherType, b, r := inner.ethernet(b)
	if r != OK {
		return r
	}
	own, off, unsized, r := inner.ip(etherType, b)
	if r != OK {
		if r == InnerFragment {
			*p = Packet{VNI: vni, IP: b[:len(b):len(b)]}
		}
		return r
	}
	n := min(own, len(b))
	b = b[:n:n]
	fromServer, r := d.tcp(b, own, off)
	if r != OK {
		return r
	}
	*p = Packet{VNI: vni, IP: b, TCP: off, Truncated: n < own || unsized && missing > 0, FromServer: fromServer}
	return OK
}

// DecodeIP is the last step of Decode: it finds the TCP packet in an IP packet that
// was put together of fragments which came under vni. p.IP aliases ip. What is a
// fragment still is [InnerFragment], and does not write p.
func (d *Decoder) DecodeIP(vni uint32, ip []byte, p *Packet) Reason {
	if len(ip) == 0 {
		return InnerTruncated
	}
	etherType := uint16(wire.EtherTypeIPv4)
	if ip[0]>>4 == 6 {
		etherType = wire.EtherTypeIPv6
	}
	own, off, _, r := inner.ip(etherType, ip)
	if r != OK {
		return r
	}
	n := min(own, len(ip))
	ip = ip[:n:n]
	fromServer, r := d.tcp(ip, own, off)
	if r != OK {
		return r
	}
	*p = Packet{VNI: vni, IP: ip, TCP: off, Truncated: n < own, FromServer: fromServer}
	return OK
}

// udp gives the payload of the UDP header at ip[off:]; ip is what is there of
// an IP packet of own bytes. The payload ends with the UDP length (RFC 768) or
// with ip, whichever comes first; missing is how many bytes before that end were
// not captured. Where the packet is unsized, a UDP length of 0 is no length
// either, and none is read where the packet is longer than it could say.
func (d *Decoder) udp(ip []byte, own, off int, unsized bool) (payload []byte, missing int, r Reason) {
	if len(ip) < off+wire.UDPHeader {
		return nil, 0, outer.cut(own, off+wire.UDPHeader)
	}
	b := ip[off:]
	if wire.DstPort(b) != d.udpPort {
		return nil, 0, OtherUDPPort
	}
	length := wire.UDP(b).Length()
	if unsized && (length == 0 || len(b) > wire.MaxLength) {
		return b[wire.UDPHeader:], 0, OK
	}
	if length < wire.UDPHeader {
		return nil, 0, OuterMalformed
	}
	if !unsized {
		length = min(length, own-off)
	}
	n := min(length, len(b))
	return b[wire.UDPHeader:n], length - n, OK
}

// tcp judges the TCP header at ip[off:] (RFC 9293, section 3.1); ip is what is
// there of an IP packet of own bytes. The ports come first, so that a packet
// that is cut after them can still be told to be another service's.
func (d *Decoder) tcp(ip []byte, own, off int) (fromServer bool, r Reason) {
	if len(ip) < off+4 {
		return false, cutTCP(own, off+4)
	}
	src, dst := wire.SrcPort(ip[off:]), wire.DstPort(ip[off:])
	if dst != d.port && src != d.port {
		return false, OtherPort
	}
	if len(ip) < off+wire.TCPHeader {
		return false, cutTCP(own, off+wire.TCPHeader)
	}
	size := wire.TCP(ip[off:]).HeaderLen()
	if size < wire.TCPHeader {
		return false, TCPMalformed
	}
	if len(ip) < off+size {
		return false, cutTCP(own, off+size)
	}
	return dst != d.port, OK
}

// cutTCP says why a TCP header that ends at need is not all there: because the
// IP packet of own bytes has no room for it, or because it was cut.
func cutTCP(own, need int) Reason {
	if own < need {
		return TCPMalformed
	}
	return TCPTruncated
}
