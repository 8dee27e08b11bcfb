package check

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"netmirror/wire"
)

// ports are the UDP ports that the mirror's packets may come to.
func (c Config) ports() (all []uint16) {
	for _, u := range c.Mirror.UDP() {
		all = append(all, u.Port)
	}
	return all
}

// arrival says how the mirror's packets come: the UDP port that most mirrors use in
// the first place.
func (c Config) arrival() string {
	switch ports := c.ports(); {
	case c.Mirror.Bare():
		return "all frames"
	case len(ports) == 0:
		return "GRE"
	default:
		return fmt.Sprintf("UDP port %d", ports[0])
	}
}

// places says all the places where the mirror's packets may come.
func (c Config) places() string {
	ports := c.ports()
	if len(ports) < 2 && !(len(ports) == 1 && c.Mirror.GRE()) {
		return c.arrival()
	}
	text := "UDP port " + strconv.Itoa(int(ports[0]))
	if len(ports) > 1 {
		text = "the UDP ports " + list(ports, func(p uint16) string { return strconv.Itoa(int(p)) })
	}
	if c.Mirror.GRE() {
		text += " and at GRE"
	}
	return text
}

// wrapping says what the mirror's packets come in.
func (c Config) wrapping() string {
	switch m := c.Mirror; {
	case m.Encap == wire.EncapAuto && len(m.Ports) == 0:
		return "VXLAN, GENEVE, ERSPAN or another encapsulation of a mirror"
	case m.Encap == wire.EncapAuto:
		return "VXLAN"
	default:
		return encapName(m.Encap)
	}
}

// encapName is what people call an encapsulation.
func encapName(e wire.Encap) string {
	if e == wire.EncapNone {
		return "no encapsulation"
	}
	return strings.ToUpper(e.String())
}

// layouts tells of packets that were not the plainest: the heaviest first.
func (r *report) layouts(s *seen) {
	shown := 0
	for _, l := range s.layouts.heaviest() {
		inside := l.layers.String()
		if l.encap == wire.EncapVXLAN && inside == "" {
			continue
		}
		if shown++; shown > listed {
			return
		}
		if inside != "" {
			inside = ", and inside " + inside
		}
		r.ok("mirror: %s in %s, VNI %d%s", count(*s.layouts.entries[l], "packet"), encapName(l.encap), l.vni, inside)
	}
}

// args are the flags for the mirror.
func (c Config) args() (args []string) {
	if c.Mirror.Encap != wire.EncapAuto {
		args = append(args, "--encap", c.Mirror.Encap.String())
	}
	flag := "--mirror-port"
	if udp := c.Mirror.UDP(); len(udp) == 1 && udp[0].Encap == wire.EncapVXLAN {
		flag = "--vxlan-port"
	}
	for _, p := range c.Mirror.Ports {
		args = append(args, flag, strconv.Itoa(int(p)))
	}
	return args
}

// at gives the configuration for a mirror that comes to another port.
func (c Config) at(port uint16) Config {
	if !slices.Contains(c.ports(), port) {
		c.Mirror = wire.Mirror{Ports: []uint16{port}}
	}
	return c
}
