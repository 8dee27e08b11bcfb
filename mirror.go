package main

import (
	"errors"
	"fmt"

	"netmirror/wire"
)

// mirror is how the mirror's packets come, by the flags.
func (o *options) mirror() wire.Mirror {
	encap, _ := wire.ParseEncap(o.Capture.Encap) // the parser has seen to the choice
	m := wire.Mirror{Encap: encap}
	for _, p := range o.Capture.MirrorPort {
		m.Ports = append(m.Ports, uint16(p))
	}
	if p := uint16(o.Capture.VXLANPort); len(m.Ports) == 0 && p != wire.PortVXLAN {
		m.Ports = []uint16{p}
		if encap == wire.EncapAuto && m.UDP()[0].Encap != wire.EncapVXLAN {
			m.Encap = wire.EncapVXLAN // as the flag says, whatever the port is usual for
		}
	}
	return m
}

// checkMirror says what is wrong with the flags of the mirror.
func (o *options) checkMirror() error {
	m := o.mirror()
	switch {
	case len(o.Capture.MirrorPort) > 0 && o.Capture.VXLANPort != wire.PortVXLAN:
		return errors.New("--vxlan-port and --mirror-port: give all UDP ports with --mirror-port")
	case len(m.Ports) > 0 && len(m.UDP()) == 0:
		return fmt.Errorf("--encap %v has no UDP port; leave --mirror-port and --vxlan-port out", m.Encap)
	case len(m.Ports) > wire.MaxPorts:
		return fmt.Errorf("--mirror-port has %d ports; at most %d can be", len(m.Ports), wire.MaxPorts)
	}
	return nil
}
