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
	LayerExtensions

	numLayers
)

// layerNames are the layers' usual names.
var layerNames = [numLayers]string{"VLAN", "LLC/SNAP", "MPLS", "PPPoE", "NSH", "IP in IP", "GRE", "VXLAN", "GENEVE", "IPv6 extension headers"}

// String gives the layer's usual name.
func (l Layer) String() string {
	if l >= numLayers {
		return "unknown"
	}
	return layerNames[l]
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

// Form tells the variants of an encapsulation apart: its type, or what it carries.
type Form uint8

// The forms. FormPlain is for encapsulations with one form only.
const (
	FormPlain Form = iota
	FormVXLANInGeneve
	FormEthernetInGRE
	FormIPInGRE
	FormERSPAN1
	FormERSPAN2
	FormERSPAN3

	forms
)

// formNames are the forms' names.
var formNames = [forms]string{"", "VXLAN in GENEVE", "Ethernet in GRE", "IP in GRE", "ERSPAN type I", "ERSPAN type II", "ERSPAN type III"}

// String gives the form's name, "" for FormPlain.
func (f Form) String() string {
	if f >= forms {
		return "unknown"
	}
	return formNames[f]
}

// greForm is the form of a packet in GRE.
func greForm(encap wire.Encap, named uint16, numbered bool) Form {
	switch {
	case encap == wire.EncapERSPAN && named == wire.EtherTypeERSPAN3:
		return FormERSPAN3
	case encap == wire.EncapERSPAN && numbered:
		return FormERSPAN2
	case encap == wire.EncapERSPAN:
		return FormERSPAN1
	case named == wire.EtherTypeTEB:
		return FormEthernetInGRE
	case named == wire.EtherTypeIPv4 || named == wire.EtherTypeIPv6:
		return FormIPInGRE
	}
	return FormPlain
}

// Sight is what a look at a mirror packet shows beside the packet itself.
type Sight struct {
	// Wrapped says that it was a mirror packet: Encap and VNI are valid.
	Wrapped bool
	Encap   wire.Encap
	Form    Form
	VNI     uint32 // has more than 24 bits in packets of GRE that are refused for it
	Layers  Layers
	// Carried is what was wrapped, which aliases the frame.
	Carried []byte
}

func (s *Sight) saw(encap wire.Encap, form Form, vni uint32, carried []byte) {
	if s != nil {
		s.Wrapped, s.Encap, s.Form, s.VNI, s.Carried = true, encap, form, vni, carried
	}
}

func (s *Sight) add(l Layer) {
	if s != nil && s.Layers.n < maxSeen {
		s.Layers.of[s.Layers.n] = l
		s.Layers.n++
	}
}
