package wire

import (
	"fmt"
	"slices"
	"strings"
)

// Encap is what a mirror wraps packets in.
type Encap uint8

// The encapsulations.
const (
	// EncapAuto is whichever a packet has: by the UDP port, or GRE.
	EncapAuto Encap = iota
	// EncapVXLAN is RFC 7348; an Ethernet frame.
	EncapVXLAN
	// EncapVXLANGPE is draft-ietf-nvo3-vxlan-gpe; Ethernet or IP.
	EncapVXLANGPE
	// EncapGeneve is RFC 8926; Ethernet or IP.
	EncapGeneve
	// EncapGRE is RFC 2784 and RFC 2890; Ethernet or IP.
	EncapGRE
	// EncapERSPAN is draft-foschiano-erspan, types I to III, over GRE.
	EncapERSPAN
	// EncapTZSP is the TaZmen Sniffer Protocol; Ethernet.
	EncapTZSP
	// EncapNone is no encapsulation: the interface's frames are the mirrored ones.
	EncapNone

	encaps
)

var encapNames = [encaps]string{"auto", "vxlan", "vxlan-gpe", "geneve", "gre", "erspan", "tzsp", "none"}

// String gives the name that [ParseEncap] takes.
func (e Encap) String() string {
	if e >= encaps {
		return "unknown"
	}
	return encapNames[e]
}

// ParseEncap reads an encapsulation's name.
func ParseEncap(name string) (Encap, error) {
	if i := slices.Index(encapNames[:], name); i >= 0 {
		return Encap(i), nil
	}
	return 0, fmt.Errorf("encapsulation %q is none of %s", name, strings.Join(encapNames[:], ", "))
}

// UDPPort is a port that mirror packets come to, and what they are wrapped in there.
type UDPPort struct {
	Port  uint16
	Encap Encap
}

// usual are the ports that the encapsulations have by themselves; VXLAN's, which is
// most mirrors', is the first.
var usual = [...]UDPPort{{PortVXLAN, EncapVXLAN}, {PortGeneve, EncapGeneve}, {PortVXLANGPE, EncapVXLANGPE}, {PortTZSP, EncapTZSP}}

// OverUDP says whether an encapsulation runs over UDP.
func (e Encap) OverUDP() bool {
	return slices.ContainsFunc(usual[:], func(u UDPPort) bool { return u.Encap == e })
}

// MaxPorts is how many UDP ports a mirror has at most.
const MaxPorts = 16

// Mirror says how a mirror's packets reach this host. The zero value is for any
// encapsulation, at its usual port.
type Mirror struct {
	Encap Encap
	// Ports are the UDP ports, none of them 0; empty means the usual ones of Encap.
	// With [EncapAuto] a usual port has the encapsulation that it is for, and any
	// other VXLAN.
	Ports []uint16
}

// UDP gives the ports, each once, with their encapsulation, in a new slice; nil for an
// encapsulation that does not use UDP.
func (m Mirror) UDP() []UDPPort {
	if m.Encap != EncapAuto && !m.Encap.OverUDP() {
		return nil
	}
	var ports []UDPPort
	for _, port := range m.Ports {
		at := UDPPort{port, m.At(port)}
		if !slices.Contains(ports, at) {
			ports = append(ports, at)
		}
	}
	if len(m.Ports) == 0 {
		for _, u := range usual {
			if m.Encap == EncapAuto || m.Encap == u.Encap {
				ports = append(ports, u)
			}
		}
	}
	return ports
}

// At is the encapsulation at one of the mirror's ports.
func (m Mirror) At(port uint16) Encap {
	if m.Encap != EncapAuto {
		return m.Encap
	}
	for _, u := range usual {
		if u.Port == port {
			return u.Encap
		}
	}
	return EncapVXLAN
}

// GRE says whether the mirror's packets may come in GRE.
func (m Mirror) GRE() bool {
	return m.Encap == EncapAuto || m.Encap == EncapGRE || m.Encap == EncapERSPAN
}

// Bare says whether the interface's frames are the mirrored ones.
func (m Mirror) Bare() bool { return m.Encap == EncapNone }

// Check returns an error if there is no such mirror.
func (m Mirror) Check() error {
	switch {
	case m.Encap >= encaps:
		return fmt.Errorf("wire: no encapsulation has the number %d", m.Encap)
	case slices.Contains(m.Ports, 0):
		return fmt.Errorf("wire: a UDP port of the mirror is 0")
	case len(m.Ports) > 0 && m.UDP() == nil:
		return fmt.Errorf("wire: %v has no UDP ports", m.Encap)
	case len(m.Ports) > MaxPorts:
		return fmt.Errorf("wire: %d UDP ports of the mirror: at most %d", len(m.Ports), MaxPorts)
	}
	return nil
}
