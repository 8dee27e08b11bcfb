package decap

import "netmirror/wire"

// MaxLayers is how many headers of a kind other than Ethernet, VLAN tags and the
// first IP are followed in a mirrored packet: label stacks, PPPoE, LLC and SNAP,
// NSH, IP in IP, GRE, VXLAN, GENEVE.
const MaxLayers = 4

// walk is the way through what a mirror packet carries, by what each header names.
type walk struct {
	decoder   *Decoder
	etherType uint16
	b         []byte // begins with what etherType names
	missing   int    // bytes behind b that were not captured
	layers    int    // headers that count towards MaxLayers
	tags      int    // VLAN tags of the current Ethernet header
	joined    bool   // of a datagram that was put together, or could not be
	sight     *Sight // takes the layers down; nil: nobody asks
}

// enter counts a layer; the walk goes on with payload, which etherType names.
func (w *walk) enter(l Layer, etherType uint16, payload []byte) Reason {
	if w.layers == MaxLayers {
		return InnerTooDeep
	}
	w.layers++
	w.sight.add(l)
	w.etherType, w.b = etherType, payload
	return OK
}

// find walks to the innermost packet and writes p as Decode does.
func (w *walk) find(vni uint32, p *Packet) Reason {
	for {
		if r := w.link(); r != OK {
			return r
		}
		proto := upper(w.etherType, w.b)
		if !follows(proto) {
			proto = wire.ProtoTCP // which it is not
		}
		l := inner
		l.proto = proto
		own, off, unsized, r := l.ip(w.etherType, w.b)
		if r == InnerFragment {
			return w.fragment(vni, proto, p)
		}
		if r != OK {
			return r
		}
		if w.etherType == wire.EtherTypeIPv6 && off > wire.IPv6Header {
			w.sight.add(LayerExtensions)
		}
		if proto == wire.ProtoTCP {
			return w.decoder.segment(vni, w.b, own, off, unsized && w.missing > 0, p)
		}
		b := w.b[:min(own, len(w.b))]
		if !unsized {
			w.missing = own - len(b)
		}
		if r := w.tunnel(proto, b, own, off, unsized); r != OK {
			return r
		}
	}
}

// follows says whether TCP may be found behind a protocol.
func follows(proto uint8) bool {
	switch proto {
	case wire.ProtoTCP, wire.ProtoUDP, wire.ProtoIPv4, wire.ProtoIPv6, wire.ProtoGRE:
		return true
	}
	return false
}

// tunnel goes on with what an IP packet of own bytes carries at off, if it is one of
// the tunnels.
func (w *walk) tunnel(proto uint8, b []byte, own, off int, unsized bool) Reason {
	payload := b[off:]
	switch proto {
	case wire.ProtoIPv4:
		return w.enter(LayerIPIP, wire.EtherTypeIPv4, payload)
	case wire.ProtoIPv6:
		return w.enter(LayerIPIP, wire.EtherTypeIPv6, payload)
	case wire.ProtoGRE:
		h, payload, r := readGRE(payload, tunnelFaults)
		if r != OK {
			return r
		}
		return w.enter(LayerGRE, h.etherType, payload)
	case wire.ProtoUDP:
		return w.overlay(b, own, off, unsized)
	}
	return InnerNotTCP
}

// overlay goes on with a datagram of a network on top of the mirrored hosts' one,
// which the UDP port tells.
func (w *walk) overlay(b []byte, own, off int, unsized bool) Reason {
	if len(b) < off+wire.UDPHeader {
		return inner.cut(own, off+wire.UDPHeader)
	}
	encap, layer := overlayAt(wire.DstPort(b[off:]))
	if encap == wire.EncapNone {
		return InnerNotTCP
	}
	payload, missing, r := inner.datagram(b, own, off, unsized)
	if r != OK {
		return r
	}
	w.missing = missing
	_, etherType, payload, r := unwrap(encap, payload, tunnelFaults)
	if r != OK {
		return r
	}
	return w.enter(layer, etherType, payload)
}

// overlayAt tells the overlay network that has a UDP port, Calico's and Flannel's
// among them; EncapNone where none has.
func overlayAt(port uint16) (wire.Encap, Layer) {
	switch port {
	case wire.PortVXLAN, wire.PortVXLANLinux:
		return wire.EncapVXLAN, LayerVXLAN
	case wire.PortVXLANGPE:
		return wire.EncapVXLANGPE, LayerVXLAN
	case wire.PortGeneve:
		return wire.EncapGeneve, LayerGeneve
	}
	return wire.EncapNone, 0
}

// fragment judges a fragment that carries proto, as its header says. Of UDP only an
// overlay's datagrams matter, which the first fragment tells.
func (w *walk) fragment(vni uint32, proto uint8, p *Packet) Reason {
	if proto == wire.ProtoUDP {
		port, first := firstPort(w.etherType, w.b)
		if !first && w.joined {
			return InnerNotTCP
		}
		if encap, _ := overlayAt(port); first && encap == wire.EncapNone {
			return InnerNotTCP
		}
	}
	*p = Packet{VNI: vni, IP: w.b[:len(w.b):len(w.b)]}
	return InnerFragment
}

// firstPort is the UDP destination port in a first fragment; first is false in a
// later one and in what has no port.
func firstPort(etherType uint16, b []byte) (port uint16, first bool) {
	part, off := uint16(0), 0
	if etherType == wire.EtherTypeIPv4 {
		part, off = wire.IPv4(b).Part()&wire.IPv4Offset, wire.IPv4(b).HeaderLen()
	} else {
		named, start, ok := wire.SkipOptions(b)
		if !ok || b[named] != wire.ProtoFragment || len(b) < start+wire.FragmentHeader {
			return 0, false
		}
		part, off = wire.IPv6Part(b[start:])&wire.IPv6Offset, start+wire.FragmentHeader
	}
	if part != 0 || len(b) < off+4 {
		return 0, false
	}
	return wire.DstPort(b[off:]), true
}

// upper is the protocol that an IP packet carries, behind the extension headers of
// IPv6; TCP where that cannot be told, so that it is judged as if it did.
func upper(etherType uint16, b []byte) uint8 {
	if etherType == wire.EtherTypeIPv4 {
		if len(b) < wire.IPv4Header {
			return wire.ProtoTCP
		}
		return wire.IPv4(b).Protocol()
	}
	if len(b) < wire.IPv6Header {
		return wire.ProtoTCP
	}
	next, off := wire.IPv6(b).Next(), wire.IPv6Header
	for n := 0; wire.IsExtension(next); n++ {
		if n == wire.MaxExtensions || len(b) < off+wire.MinExtension {
			return wire.ProtoTCP
		}
		size := wire.ExtensionLen(b[off:])
		switch next {
		case wire.ProtoAH:
			size = wire.AHLen(b[off:])
		case wire.ProtoFragment:
			size = wire.FragmentHeader
			if wire.IPv6Part(b[off:]) != 0 {
				if wire.IsExtension(b[off]) {
					return wire.ProtoTCP
				}
				return b[off]
			}
		}
		next, off = b[off], off+size
	}
	return next
}
