package settings

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jessevdk/go-flags"

	"netmirror/wire"
)

// What --capture says.
const (
	CaptureRing = "ring"
	CaptureUDP  = "udp"
)

// AnyInterface is what --iface says for all of them.
const AnyInterface = "any"

// Mirror is how the mirror's packets come, by the flags.
func (o *Options) Mirror() wire.Mirror {
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
func (o *Options) checkMirror() error {
	m := o.Mirror()
	switch {
	case len(o.Capture.MirrorPort) > 0 && o.Capture.VXLANPort != wire.PortVXLAN:
		return errors.New("--vxlan-port and --mirror-port: give all UDP ports with --mirror-port")
	case len(m.Ports) > 0 && len(m.UDP()) == 0:
		return fmt.Errorf("--encap %v has no UDP port; leave --mirror-port and --vxlan-port out", m.Encap)
	case len(m.Ports) > wire.MaxPorts:
		return fmt.Errorf("--mirror-port has %d ports; the limit is %d", len(m.Ports), wire.MaxPorts)
	}
	return nil
}

// OnAnyInterface says whether --iface stands for all of them.
func (o *Options) OnAnyInterface() bool { return slices.Contains(o.Capture.Iface, AnyInterface) }

// live reports whether packets come from interfaces, not from files.
func (o *Options) live() bool {
	return o.Replay == nil && (o.Check == nil || len(o.Check.Read) == 0)
}

// ofCapture are the flags about a capture on interfaces. They mean nothing for files.
var ofCapture = []string{"capture", "iface", "ring-mib", "ring-wait", "busy-poll", "ready-drops"}

// ofLook are the flags about where and how long check looks. They mean nothing for files.
var ofLook = []string{"capture", "iface", "time"}

// checkFlagsOfFiles refuses what can have no effect where packets come from files. In the settings
// file and the environment, which a live netmirror may share, it is left alone.
func checkFlagsOfFiles(p *flags.Parser, names []string, who string) error {
	var given []string
	for _, name := range names {
		if opt := p.Active.FindOptionByLongName(name); opt.IsSet() && !opt.IsSetDefault() {
			given = append(given, "--"+name)
		}
	}
	switch len(given) {
	case 0:
		return nil
	case 1:
		return fmt.Errorf("%s is for a capture on an interface, and %s reads files; leave it out", given[0], who)
	}
	return fmt.Errorf("%s are for a capture on an interface, and %s reads files; leave them out", strings.Join(given, ", "), who)
}

// checkSockets says where UDP sockets cannot receive the mirror. With --encap auto they
// receive the encapsulations that use UDP.
func (o *Options) checkSockets() error {
	if m := o.Mirror(); o.Capture.Capture == CaptureUDP && o.live() && len(m.UDP()) == 0 {
		comes := "comes in IP itself, not in UDP"
		if m.Bare() {
			comes = "has the mirrored frames as they are, which no socket receives"
		}
		return fmt.Errorf("--encap %v %s; use --capture ring, which takes CAP_NET_RAW, or have the mirror send VXLAN or GENEVE", m.Encap, comes)
	}
	return nil
}
