package decap

import "netmirror/wire"

// Outer takes the mirror's encapsulation off a frame, as [Decoder.Decode] does,
// but whatever the VNI. mirrored is the Ethernet frame inside; it aliases frame.
// Where the reason is not [OK], vni is 0 and mirrored nil.
//
// Outer and Inner are for those who look at a mirror without knowing what is in
// it. Decode has the same steps in a row of its own: calling these costs it a
// tenth of its speed.
func Outer(frame []byte, udpPort uint16) (vni uint32, mirrored []byte, r Reason) {
	etherType, b, r := outer.ethernet(frame)
	if r != OK {
		return 0, nil, r
	}
	own, off, unsized, r := outer.ip(etherType, b)
	if r != OK {
		return 0, nil, r
	}
	d := Decoder{udpPort: udpPort}
	b, _, r = d.udp(b[:min(own, len(b))], own, off, unsized)
	if r != OK {
		return 0, nil, r
	}
	return VXLAN(b)
}

// Inner finds the TCP packet in a mirrored Ethernet frame, as [Decoder.Decode]
// does, but whatever the ports. It writes p only when it returns [OK]; p.IP then
// aliases frame, and p.VNI and p.FromServer are zero. p.Truncated does not know
// the outer lengths.
func Inner(frame []byte, p *Packet) Reason {
	etherType, b, r := inner.ethernet(frame)
	if r != OK {
		return r
	}
	own, off, _, r := inner.ip(etherType, b)
	if r != OK {
		return r
	}
	n := min(own, len(b))
	b = b[:n:n]
	var d Decoder
	if len(b) >= off+4 {
		d.port = wire.DstPort(b[off:]) // every packet is of its own port
	}
	if _, r = d.tcp(b, own, off); r != OK {
		return r
	}
	*p = Packet{IP: b, TCP: off, Truncated: n < own}
	return OK
}
