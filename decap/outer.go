package decap

import "netmirror/wire"

// faults is what the faults of a tunnel's header are called.
type faults struct{ truncated, malformed, control, other Reason }

var (
	vxlanFaults  = faults{VXLANTruncated, VXLANMalformed, ControlPacket, OtherPayload}
	geneveFaults = faults{GeneveTruncated, GeneveMalformed, ControlPacket, OtherPayload}
	greFaults    = faults{GRETruncated, GREMalformed, ControlPacket, OtherPayload}
	// tunnelFaults are those of the tunnels inside.
	tunnelFaults = faults{TunnelTruncated, TunnelMalformed, InnerNotTCP, InnerNotIP}
)

// unwrap takes what a tunnel over UDP has in front of its payload off.
func unwrap(encap wire.Encap, b []byte, f faults) (vni uint32, etherType uint16, payload []byte, r Reason) {
	switch encap {
	case wire.EncapGeneve:
		return readGeneve(b, f)
	case wire.EncapTZSP:
		etherType, payload, r = readTZSP(b)
		return 0, etherType, payload, r
	case wire.EncapVXLANGPE:
		vni, etherType, payload, r = readGPE(b, f)
	default:
		etherType = wire.EtherTypeTEB
		vni, payload, r = VXLAN(b)
	}
	if f == tunnelFaults {
		switch r {
		case VXLANTruncated:
			r = TunnelTruncated
		case VXLANNoVNI:
			r = TunnelMalformed
		}
	}
	return vni, etherType, payload, r
}

// either marks the VNI of a GENEVE packet for DecodeIP: it counts only where the
// packet carries no VXLAN of the mirror.
const either = 1 << 31

// inUDP goes on from the UDP header at b[off:], which is there, of an outer packet of
// own bytes, by the port.
func (d *Decoder) inUDP(b []byte, own, off int, unsized bool, p *Packet, s *Sight) Reason {
	encap := d.encapAt(wire.DstPort(b[off:]))
	if encap == wire.EncapNone {
		return OtherUDPPort
	}
	payload, missing, r := outer.datagram(b, own, off, unsized)
	if r != OK {
		return r
	}
	return d.inDatagram(encap, payload, missing, p, s)
}

// inDatagram goes on from the payload of a datagram. missing is how many bytes behind its end
// were not captured.
func (d *Decoder) inDatagram(encap wire.Encap, payload []byte, missing int, p *Packet, s *Sight) Reason {
	f := vxlanFaults
	if encap == wire.EncapGeneve {
		f = geneveFaults
	}
	vni, etherType, payload, r := unwrap(encap, payload, f)
	if r != OK {
		return r
	}
	w := walk{decoder: d, etherType: etherType, b: payload, missing: missing, sight: s}
	s.saw(encap, FormPlain, vni, payload)
	if encap == wire.EncapGeneve && (etherType == wire.EtherTypeIPv4 || etherType == wire.EtherTypeIPv6) {
		return w.findEither(vni|either, p)
	}
	if !d.ours(vni) {
		return OtherVNI
	}
	return w.find(vni, p)
}

// encapAt is what the mirror's packets to a UDP port are wrapped in, or EncapNone.
func (d *Decoder) encapAt(port uint16) wire.Encap {
	for _, u := range d.ports {
		if u.Port == port {
			return u.Encap
		}
	}
	return wire.EncapNone
}

// findEither is find for an IP packet that came in GENEVE, which may be the VXLAN
// packet of a mirror (AWS has its Gateway Load Balancers wrap those that come to
// their endpoints). The VNI of that counts where it is ours; GENEVE's does
// otherwise. A vni without the mark is ours.
func (w *walk) findEither(vni uint32, p *Packet) Reason {
	if vni&either == 0 {
		return w.find(vni, p)
	}
	vni &^= either
	own, off, unsized, r := outer.ip(w.etherType, w.b)
	if r == OuterFragment {
		*p = Packet{VNI: vni | either, IP: w.b[:len(w.b):len(w.b)]}
		return InnerFragment
	}
	if r == OK {
		if inside, frame, missing, ok := w.mirrored(own, off, unsized); ok {
			w.sight.saw(wire.EncapGeneve, FormVXLANInGeneve, inside, frame)
			w.etherType, w.b, w.missing = wire.EtherTypeTEB, frame, missing
			return w.find(inside, p)
		}
	}
	if !w.decoder.ours(vni) {
		return OtherVNI
	}
	return w.find(vni, p)
}

// mirrored takes the VXLAN of a mirror of ours off a UDP packet of own bytes.
func (w *walk) mirrored(own, off int, unsized bool) (vni uint32, frame []byte, missing int, ok bool) {
	b := w.b[:min(own, len(w.b))]
	if len(b) < off+wire.UDPHeader {
		return 0, nil, 0, false
	}
	port := wire.DstPort(b[off:])
	if port != wire.PortVXLAN && w.decoder.encapAt(port) != wire.EncapVXLAN {
		return 0, nil, 0, false
	}
	payload, missing, r := outer.datagram(b, own, off, unsized)
	if r != OK {
		return 0, nil, 0, false
	}
	vni, frame, r = VXLAN(payload)
	return vni, frame, missing, r == OK && w.decoder.ours(vni)
}

// inGRE goes on from the outer IP header at b, behind which is GRE.
func (d *Decoder) inGRE(etherType uint16, b []byte, p *Packet, s *Sight) Reason {
	l := outer
	l.proto = wire.ProtoGRE
	own, off, unsized, r := l.ip(etherType, b)
	if r != OK {
		return r
	}
	b = b[:min(own, len(b))]
	missing := 0
	if !unsized {
		missing = own - len(b)
	}
	h, payload, r := readGRE(b[off:], greFaults)
	if r != OK {
		return r
	}
	encap, id, named := wire.EncapGRE, h.key, h.etherType
	switch {
	case h.etherType == wire.EtherTypeERSPAN || h.etherType == wire.EtherTypeERSPAN3:
		encap = wire.EncapERSPAN
		id, h.etherType, payload, r = readERSPAN(h, payload)
	case !carried(h.etherType):
		r = OtherPayload
	}
	if d.mirror.Encap != wire.EncapAuto && d.mirror.Encap != encap {
		return OtherPayload
	}
	if r != OK {
		return r
	}
	s.saw(encap, greForm(encap, named, h.numbered), id, payload)
	if id > wire.MaxVNI || !d.ours(id) { // a key may have 32 bits (RFC 2890, section 2.1)
		return OtherVNI
	}
	w := walk{decoder: d, etherType: h.etherType, b: payload, missing: missing, sight: s}
	return w.find(id, p)
}
