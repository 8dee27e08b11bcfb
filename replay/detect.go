package replay

import (
	"maps"
	"slices"

	"netmirror/decap"
	"netmirror/service"
	"netmirror/wire"
)

// Kind tells what packets a capture holds.
type Kind struct {
	// Mirror is how they are wrapped. They are bare if they were captured at the service's
	// clients or its server.
	Mirror wire.Mirror
	// VNIs are the mirror's networks with packets of the service, in ascending order;
	// 0 alone where the packets are not wrapped. None means any: no network was seen that
	// could be asked for.
	VNIs []uint32
	// Packets were looked at; Mirrored and Plain are those of them that are of the
	// service, and Wrapped all that are a mirror's by their look.
	Packets, Mirrored, Plain, Wrapped int
}

// bare is the kind of packets that are not wrapped.
func bare() Kind {
	return Kind{Mirror: wire.Mirror{Encap: wire.EncapNone}, VNIs: []uint32{0}}
}

// usual is every encapsulation at every port that mirrors are known to use.
var usual = wire.Mirror{Ports: []uint16{wire.PortVXLAN, wire.PortGeneve, wire.PortVXLANGPE, wire.PortTZSP, wire.PortVXLANLinux}}

// maxVNIs bounds how many networks are kept apart.
const maxVNIs = 256

// detector looks at packets to find out what they are.
type detector struct {
	ports          service.Ports // the services'; none: any
	mirror         wire.Mirror
	wrapped, plain *decap.Probe
	vnis           map[uint32]bool // with packets of the service
	others         map[uint32]bool // without
	kind           Kind
}

// newDetector makes a detector for the packets of ports, or of any port if there are none. m
// is the only way that a mirror may come, unless it is the zero value.
func newDetector(ports service.Ports, m wire.Mirror) (*detector, error) {
	if m.Encap == wire.EncapAuto && len(m.Ports) == 0 {
		m = usual
	}
	d := &detector{ports: ports, mirror: m, vnis: make(map[uint32]bool), others: make(map[uint32]bool)}
	var err error
	if d.wrapped, err = decap.NewProbe(m); err != nil {
		return nil, err
	}
	d.plain, err = decap.NewProbe(bare().Mirror)
	return d, err
}

// see takes in an Ethernet frame.
func (d *detector) see(frame []byte) {
	d.kind.Packets++
	vni, wrapped, ours := d.look(d.wrapped, frame)
	if !wrapped {
		if _, _, ours := d.look(d.plain, frame); ours {
			d.kind.Plain++
		}
		return
	}
	d.kind.Wrapped++
	of := d.others
	if ours {
		d.kind.Mirrored++
		of = d.vnis
	}
	if len(of) < maxVNIs && vni <= wire.MaxVNI { // a key of GRE may be larger, and cannot be asked for
		of[vni] = true
	}
}

// look tells whether a frame is a mirror's, its VNI, and whether it holds a TCP packet of the
// service.
func (d *detector) look(as *decap.Probe, frame []byte) (vni uint32, wrapped, ours bool) {
	var p decap.Packet
	var s decap.Sight
	if as.Look(frame, &p, &s) == decap.OK {
		ports := p.IP[p.TCP:]
		ours = len(d.ports) == 0 || d.ports.Has(wire.SrcPort(ports)) || d.ports.Has(wire.DstPort(ports))
	}
	return s.VNI, s.Wrapped, ours
}

// sure reports whether more packets would hardly change the result. The packets of a pipe may
// take long to come.
func (d *detector) sure() bool {
	const few, enough = 20, 200
	of := d.kind.Mirrored + d.kind.Plain
	return of >= enough || of >= few && (d.kind.Mirrored == 0 || d.kind.Plain == 0)
}

// other reports whether a frame belongs to the service, and is not read: in a network that is
// not among k's, or because it is a mirror's where k's are not, or the other way round.
func (d *detector) other(frame []byte, k *Kind) (network, kind bool) {
	vni, wrapped, ours := d.look(d.wrapped, frame)
	switch {
	case wrapped && ours:
		return !k.Mirror.Bare() && len(k.VNIs) > 0 && !slices.Contains(k.VNIs, vni), k.Mirror.Bare()
	case wrapped || k.Mirror.Bare():
		return false, false
	}
	_, _, ours = d.look(d.plain, frame)
	return false, ours
}

// result is the kind of most of the service's packets, or, where there are none, of most
// packets. A mirror's collector also has packets of its own, and a host may send some of its
// own through VXLAN.
func (d *detector) result() Kind {
	k := d.kind
	switch {
	case k.Mirrored > k.Plain:
		k.Mirror, k.VNIs = d.mirror, slices.Sorted(maps.Keys(d.vnis))
	case k.Plain == 0 && k.Wrapped > k.Packets/2:
		k.Mirror, k.VNIs = d.mirror, slices.Sorted(maps.Keys(d.others))
	default:
		k.Mirror, k.VNIs = bare().Mirror, bare().VNIs
	}
	return k
}
