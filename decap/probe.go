package decap

import (
	"fmt"

	"netmirror/wire"
)

// Probe reads mirror packets as a [Decoder] does, but with any VNI of 24 bits and any TCP
// ports. It serves to find out what is in a mirror. Any number of goroutines may share one.
type Probe struct{ decoder *Decoder }

// NewProbe makes a Probe. The error wraps [ErrMirror].
func NewProbe(m wire.Mirror) (*Probe, error) {
	if err := m.Check(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMirror, err)
	}
	return &Probe{newDecoder(m)}, nil
}

// Look is [Decoder.Decode] without a choice. It writes p as Decode does, but for no
// service, and s in any case.
func (o *Probe) Look(frame []byte, p *Packet, s *Sight) Reason {
	*s = Sight{}
	d := o.decoder
	if d.bare {
		s.saw(wire.EncapNone, FormPlain, 0, frame)
		w := walk{decoder: d, etherType: wire.EtherTypeTEB, b: frame, sight: s}
		return w.find(0, p)
	}
	etherType, b, r := outer.ethernet(frame)
	if r != OK {
		return r
	}
	own, off, unsized, r := outer.ip(etherType, b)
	if r == OuterNotUDP && d.mirror.GRE() {
		return d.inGRE(etherType, b, p, s)
	}
	if r != OK {
		return r
	}
	b = b[:min(own, len(b))]
	if len(b) < off+wire.UDPHeader {
		return outer.cut(own, off+wire.UDPHeader)
	}
	return d.inUDP(b, own, off, unsized, p, s)
}

// LookPayload is Look for the payload of a UDP datagram to a port of an encapsulation.
func (o *Probe) LookPayload(encap wire.Encap, payload []byte, p *Packet, s *Sight) Reason {
	*s = Sight{}
	return o.decoder.inDatagram(encap, payload, 0, p, s)
}

// LookIP is [Decoder.DecodeIP] without a choice. s is that of the last fragment, to which it
// adds what was behind the headers of the fragments.
func (o *Probe) LookIP(vni uint32, ip []byte, p *Packet, s *Sight) Reason {
	return o.decoder.inJoined(vni, ip, p, s)
}
