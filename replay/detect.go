package replay

import (
	"encoding/binary"
	"maps"
	"slices"

	"netmirror/decap"
)

// Kind is what packets a capture has.
type Kind struct {
	// Mirror: they are a mirror's, inside VXLAN. Otherwise they were captured where
	// the service's clients or its server are.
	Mirror bool
	// UDPPort is the mirror's, and VNIs its networks with packets of the service, in
	// ascending order.
	UDPPort uint16
	VNIs    []uint32
	// Packets were looked at; Mirrored and Plain are those of them that are of the
	// service.
	Packets, Mirrored, Plain int
}

// Ports that VXLAN is sent to: the one that IANA has given it, and the one that Linux
// had before (Documentation/networking/vxlan.rst).
var mirrorPorts = []uint16{4789, 8472}

// maxVNIs bounds the networks that are told apart.
const maxVNIs = 256

// detector looks at packets to find out what they are.
type detector struct {
	port  uint16   // the service's
	ports []uint16 // that a mirror may come to; the first that brings packets is it
	vnis  map[uint32]bool
	kind  Kind
}

// newDetector makes a detector for a service's packets; port 0: any service's. udpPort is the only port that
// its mirror may come to; 0: a usual one.
func newDetector(port, udpPort uint16) *detector {
	d := &detector{port: port, ports: mirrorPorts, vnis: make(map[uint32]bool)}
	if udpPort != 0 {
		d.ports = []uint16{udpPort}
	}
	return d
}

// see takes in an Ethernet frame.
func (d *detector) see(frame []byte) {
	d.kind.Packets++
	for _, port := range d.ports {
		vni, inside, r := decap.Outer(frame, port)
		if r != decap.OK {
			continue
		}
		if d.service(inside) {
			d.kind.Mirrored++
			d.ports = []uint16{port}
			if len(d.vnis) < maxVNIs {
				d.vnis[vni] = true
			}
		}
		return
	}
	if d.service(frame) {
		d.kind.Plain++
	}
}

// service says whether a frame has a TCP packet of the service's.
func (d *detector) service(frame []byte) bool {
	var p decap.Packet
	if decap.Inner(frame, &p) != decap.OK {
		return false
	}
	ports := p.IP[p.TCP:]
	return d.port == 0 || binary.BigEndian.Uint16(ports) == d.port || binary.BigEndian.Uint16(ports[2:]) == d.port
}

// sure says that more packets would hardly change the result. Those of a pipe may take
// their time.
func (d *detector) sure() bool {
	const few, enough = 20, 200
	of := d.kind.Mirrored + d.kind.Plain
	return of >= enough || of >= few && (d.kind.Mirrored == 0 || d.kind.Plain == 0)
}

// other says whether a frame is of the service in a network that is not among k's.
func (d *detector) other(frame []byte, k *Kind) bool {
	vni, inside, r := decap.Outer(frame, k.UDPPort)
	if r != decap.OK || slices.Contains(k.VNIs, vni) {
		return false
	}
	return d.service(inside)
}

// result is what most of the service's packets are: a mirror's collector has packets
// of its own, and a host may send some of its through VXLAN.
func (d *detector) result() Kind {
	k := d.kind
	k.Mirror = k.Mirrored > k.Plain
	if k.Mirror {
		k.UDPPort, k.VNIs = d.ports[0], slices.Sorted(maps.Keys(d.vnis))
	}
	return k
}
