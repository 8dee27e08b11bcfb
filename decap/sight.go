package decap

import (
	"strings"

	"netmirror/wire"
)

// Layer is a header inside a mirrored packet, between Ethernet and the innermost IP.
type Layer uint8

// The layers.
const (
	LayerVLAN Layer = iota
	LayerLLC
	LayerMPLS
	LayerPPPoE
	LayerNSH
	LayerIPIP
	LayerGRE
	LayerVXLAN
	LayerGeneve
)

// String gives the layer's usual name.
func (l Layer) String() string {
	return [...]string{"VLAN", "LLC/SNAP", "MPLS", "PPPoE", "NSH", "IP in IP", "GRE", "VXLAN", "GENEVE", "unknown"}[min(l, LayerGeneve+1)]
}

// maxSeen is how many layers a Sight has room for: a tag is one as well.
const maxSeen = 8

// Layers are the first layers of a mirrored packet, from the outside in. They are
// comparable.
type Layers struct {
	n  uint8
	of [maxSeen]Layer
}

// String gives the names, "" for none.
func (l Layers) String() string {
	var names []string
	for _, layer := range l.of[:l.n] {
		names = append(names, layer.String())
	}
	return strings.Join(names, ", ")
}

// Sight is what a look at a mirror packet shows beside the packet itself.
type Sight struct {
	// Wrapped says that it was a mirror packet: Encap and VNI are valid.
	Wrapped bool
	Encap   wire.Encap
	VNI     uint32
	Layers  Layers
	// Carried is what was wrapped, which aliases the frame.
	Carried []byte
}

func (s *Sight) saw(encap wire.Encap, vni uint32, carried []byte) {
	if s != nil {
		s.Wrapped, s.Encap, s.VNI, s.Carried = true, encap, vni, carried
	}
}

func (s *Sight) add(l Layer) {
	if s != nil && s.Layers.n < maxSeen {
		s.Layers.of[s.Layers.n] = l
		s.Layers.n++
	}
}
