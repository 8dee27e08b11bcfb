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

	"netmirror/service"
	"netmirror/wire"
)

// What [New] finds wrong with a [Config].
var (
	ErrNoServices = errors.New("decap: no services given")
	ErrMirror     = errors.New("decap: no such mirror")
	// ErrBareVNI: without an encapsulation the VNI of mirrored frames is 0.
	ErrBareVNI = errors.New("decap: without an encapsulation the only VNI is 0")
)

// Config selects what is ours.
type Config struct {
	// Mirror is how the mirror's packets come.
	Mirror wire.Mirror
	// Services are those whose packets are ours, by the network identifier and the
	// TCP ports. The identifier is the VNI of VXLAN and GENEVE, the session of ERSPAN,
	// the key of GRE, if it has no more than 24 bits. What has none, of TZSP for example, has 0.
	Services *service.Selector
}

// Decoder holds what [Decoder.Decode] compares with. It never changes after
// [New], so any number of goroutines may share one.
type Decoder struct {
	mirror   wire.Mirror
	bare     bool
	vxlan    uint32            // the UDP port that is looked at first, or noPort
	ports    []wire.UDPPort    // all of them
	services *service.Selector // nil: everything is ours, whatever the VNI and the TCP port
}

// Packet is a mirrored TCP packet of a service, without its encapsulation.
type Packet struct {
	// VNI is the network identifier it came under, 24 bits: that of the mirror,
	// whatever other networks it went through inside.
	VNI uint32
	// IP is the innermost packet, from the first byte of its IP header to the end
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
	// To are the services whose port it goes to, and From those whose port it comes
	// from. Where a service is in both, the ports do not tell the direction, and the
	// consumer has to. The slices must not be changed.
	To, From []service.ID
}

// New makes a Decoder. It keeps no reference to c's slices. The error wraps
// [ErrNoServices], [ErrBareVNI] or [ErrMirror].
func New(c Config) (*Decoder, error) {
	if err := c.Mirror.Check(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMirror, err)
	}
	switch {
	case c.Services == nil:
		return nil, ErrNoServices
	case c.Mirror.Bare() && !c.Services.Knows(0):
		return nil, ErrBareVNI
	}
	d := newDecoder(c.Mirror)
	d.services = c.Services
	return d, nil
}

// noPort is no UDP port.
const noPort = 1 << 16

func newDecoder(m wire.Mirror) *Decoder {
	d := &Decoder{mirror: m, bare: m.Bare(), ports: m.UDP(), vxlan: noPort}
	d.mirror.Ports = nil
	for _, u := range d.ports {
		if u.Encap == wire.EncapVXLAN {
			d.vxlan = uint32(u.Port)
			break
		}
	}
	return d
}

// ours says whether a VNI was asked for.
func (d *Decoder) ours(vni uint32) bool {
	return d.services == nil || d.services.Knows(vni)
}

// Decode removes the encapsulation from an Ethernet frame as a packet socket gives it, with
// its outer VLAN tags in band or already stripped. It finds the TCP packet in the mirrored
// frame, behind up to [MaxLayers] further headers. It writes p only when it returns [OK] or
// [InnerFragment]; p.IP then aliases frame and is valid as long as frame is.
//
// With [InnerFragment], the VNI is one of ours, but the ports are not known. p.VNI is the
// fragment's VNI. p.IP reaches from the fragment's IP header to the end of what carries it.
// When the caller has joined the fragments of a datagram, which have the same VNI,
// [Decoder.DecodeIP] decodes the result.
//
// The outer lengths bound the mirrored frame. If they reach beyond what was captured, the
// packet is judged by the captured bytes. The checks run from the outside in, so Decode
// seldom reads a packet that is not ours beyond the field that says so. There is a fast path
// for the usual mirror packet, TCP over IP in VXLAN.
func (d *Decoder) Decode(frame []byte, p *Packet) Reason {
	if b, missing, ok := d.usual(frame); ok {
		return d.inVXLAN(b, missing, p)
	}
	if d.bare {
		return d.mirrored(0, frame, 0, p)
	}
	etherType, b, r := outer.ethernet(frame)
	if r != OK {
		return r
	}
	own, off, unsized, r := outer.ip(etherType, b)
	if r != OK {
		if r == OuterNotUDP && d.mirror.GRE() {
			return d.inGRE(etherType, b, p, nil)
		}
		return r
	}
	b = b[:min(own, len(b))]
	if len(b) < off+wire.UDPHeader {
		return outer.cut(own, off+wire.UDPHeader)
	}
	if uint32(wire.DstPort(b[off:])) != d.vxlan {
		return d.inUDP(b, own, off, unsized, p, nil)
	}
	b, missing, r := outer.datagram(b, own, off, unsized)
	if r != OK {
		return r
	}
	return d.inVXLAN(b, missing, p)
}

// usual gives the payload of a datagram to the VXLAN port, and how many bytes of it
// were not captured, where the outer headers are the plainest: IP behind Ethernet, UDP
// behind IP, and lengths that fit each other. All else is for Decode to judge.
func (d *Decoder) usual(frame []byte) (payload []byte, missing int, ok bool) {
	const at4, at6 = wire.EthernetHeader + wire.IPv4Header, wire.EthernetHeader + wire.IPv6Header
	if len(frame) < at6+wire.UDPHeader {
		return nil, 0, false
	}
	at, own := at4, 0
	switch ip := frame[wire.EthernetHeader:]; wire.EtherType(frame) {
	case wire.EtherTypeIPv4:
		if ip[0] != 0x45 || wire.IPv4(ip).Protocol() != wire.ProtoUDP || wire.IPv4(ip).Part() != 0 {
			return nil, 0, false
		}
		own = wire.IPv4(ip).Length() - wire.IPv4Header
	case wire.EtherTypeIPv6:
		if ip[0]>>4 != 6 || wire.IPv6(ip).Next() != wire.ProtoUDP {
			return nil, 0, false
		}
		at, own = at6, wire.IPv6(ip).Payload()
	default:
		return nil, 0, false
	}
	b := frame[at:]
	length := wire.UDP(b).Length()
	if uint32(wire.DstPort(b)) != d.vxlan || length < wire.UDPHeader || length > own {
		return nil, 0, false
	}
	n := min(length, len(b))
	return b[wire.UDPHeader:n], length - n, true
}

// DecodePayload is Decode for the payload of a UDP datagram to a port of an encapsulation,
// as a UDP socket gives it; p.IP then aliases payload.
func (d *Decoder) DecodePayload(encap wire.Encap, payload []byte, p *Packet) Reason {
	if encap == wire.EncapVXLAN {
		return d.inVXLAN(payload, 0, p)
	}
	return d.inDatagram(encap, payload, 0, p, nil)
}

// inVXLAN goes on from the VXLAN header that begins at b, of which so many bytes
// behind its end were not captured.
func (d *Decoder) inVXLAN(b []byte, missing int, p *Packet) Reason {
	vni, b, r := VXLAN(b)
	if r != OK {
		return r
	}
	if !d.services.Knows(vni) {
		return OtherVNI
	}
	return d.mirrored(vni, b, missing, p)
}

// mirrored finds the TCP packet in a mirrored Ethernet frame, of which so many
// bytes were not captured. What has further headers than Ethernet, VLAN tags, IP
// and TCP takes the longer way.
func (d *Decoder) mirrored(vni uint32, frame []byte, missing int, p *Packet) (r Reason) {
	var etherType uint16
	var b []byte
	if isIP(frame) {
		etherType, b = wire.EtherType(frame), frame[wire.EthernetHeader:]
	} else if etherType, b, r = inner.ethernet(frame); r != OK {
		return r
	}
	own, off, unsized, r := inner.ip(etherType, b)
	switch r {
	case OK:
		return d.segment(vni, b, own, off, unsized && missing > 0, p)
	case InnerFragment:
		*p = Packet{VNI: vni, IP: b[:len(b):len(b)]}
	case InnerNotIP, InnerNotTCP:
		w := walk{decoder: d, missing: missing}
		if w.named(etherType, b) == OK {
			return w.find(vni, p)
		}
	}
	return r
}

// segment writes p for a TCP packet of ours, of own bytes, that begins at b; short
// says that it lacks bytes though its own length does not show it.
func (d *Decoder) segment(vni uint32, b []byte, own, off int, short bool, p *Packet) Reason {
	n := min(own, len(b))
	b = b[:n:n]
	to, from, r := d.tcp(vni, b, own, off)
	if r != OK {
		return r
	}
	*p = Packet{VNI: vni, IP: b, TCP: off, Truncated: n < own || short, To: to, From: from}
	return OK
}

// DecodeIP is the last step of Decode: it finds the TCP packet in an IP packet that was joined
// from fragments, which Decode returned with vni. p.IP aliases ip. If the result is still a
// fragment, the reason is [InnerFragment], and p is not written. It is [InnerNotTCP] for a
// fragment that would only matter as part of a tunnel's datagram of which nothing else was
// seen.
func (d *Decoder) DecodeIP(vni uint32, ip []byte, p *Packet) Reason {
	return d.inJoined(vni, ip, p, nil)
}

// inJoined is DecodeIP, which takes down in s what it finds.
func (d *Decoder) inJoined(vni uint32, ip []byte, p *Packet, s *Sight) Reason {
	if len(ip) == 0 {
		return InnerTruncated
	}
	w := walk{decoder: d, etherType: wire.EtherTypeIPv4, b: ip, joined: true, sight: s}
	if ip[0]>>4 == 6 {
		w.etherType = wire.EtherTypeIPv6
	}
	joined := *p
	r := w.findEither(vni, &joined)
	if r == OK {
		*p = joined
	}
	return r
}

// datagram gives the payload of the UDP header at ip[off:], which is there; ip is
// what is there of an IP packet of own bytes. The payload ends with the UDP length
// (RFC 768) or with ip, whichever comes first; missing is how many bytes before that
// end were not captured. Where the packet is unsized, a UDP length of 0 is no length
// either, and none is read where the packet is longer than it could say.
func (l *layers) datagram(ip []byte, own, off int, unsized bool) (payload []byte, missing int, r Reason) {
	b := ip[off:]
	length := wire.UDP(b).Length()
	if unsized && (length == 0 || len(b) > wire.MaxLength) {
		return b[wire.UDPHeader:], 0, OK
	}
	if length < wire.UDPHeader {
		return nil, 0, l.malformed
	}
	if !unsized {
		length = min(length, own-off)
	}
	n := min(length, len(b))
	return b[wire.UDPHeader:n], length - n, OK
}

// tcp judges the TCP header at ip[off:] (RFC 9293, section 3.1); ip is what is
// there of an IP packet of own bytes. The ports come first, so that a packet
// that is cut after them can still be told to be none of the services'.
func (d *Decoder) tcp(vni uint32, ip []byte, own, off int) (to, from []service.ID, r Reason) {
	if len(ip) < off+4 {
		return nil, nil, cutTCP(own, off+4)
	}
	if d.services != nil {
		to, from = d.services.Select(vni, wire.SrcPort(ip[off:]), wire.DstPort(ip[off:]))
		if len(to) == 0 && len(from) == 0 {
			return nil, nil, OtherPort
		}
	}
	if len(ip) < off+wire.TCPHeader {
		return nil, nil, cutTCP(own, off+wire.TCPHeader)
	}
	size := wire.TCP(ip[off:]).HeaderLen()
	if size < wire.TCPHeader {
		return nil, nil, TCPMalformed
	}
	if len(ip) < off+size {
		return nil, nil, cutTCP(own, off+size)
	}
	return to, from, OK
}

// cutTCP says why a TCP header that ends at need is not all there: because the
// IP packet of own bytes has no room for it, or because it was cut.
func cutTCP(own, need int) Reason {
	if own < need {
		return TCPMalformed
	}
	return TCPTruncated
}
