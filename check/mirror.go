package check

import (
	"cmp"
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

// gre says whether the mirror's packets may come in GRE, and be seen.
func (c Config) gre() bool { return c.Mirror.GRE() && !c.Sockets }

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
	if len(ports) < 2 && !(len(ports) == 1 && c.gre()) {
		return c.arrival()
	}
	text := "UDP port " + strconv.Itoa(int(ports[0]))
	if len(ports) > 1 {
		text = "the UDP ports " + list(ports, func(p uint16) string { return strconv.Itoa(int(p)) })
	}
	if c.gre() {
		text += " and at GRE"
	}
	return text
}

// wrapping says what the mirror's packets come in.
func (c Config) wrapping() string {
	switch m := c.Mirror; {
	case m.Encap == wire.EncapAuto && len(m.Ports) == 0 && c.Sockets:
		return "VXLAN, GENEVE or another encapsulation of a mirror"
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

// name is what people call the layout's outside.
func (l layout) name() string {
	if l.encap == wire.EncapNone {
		return "as they are"
	}
	return "in " + cmp.Or(l.form.String(), encapName(l.encap))
}

// identifier is what the encapsulation calls its identifier, and the flag for it.
func (l layout) identifier() string {
	switch l.encap {
	case wire.EncapERSPAN:
		return fmt.Sprintf(", session %d (--vni %d)", l.vni, l.vni)
	case wire.EncapGRE:
		if l.unusable() {
			return fmt.Sprintf(", key %d, which has more than 24 bits", l.vni)
		}
		return fmt.Sprintf(", key %d (--vni %d)", l.vni, l.vni)
	case wire.EncapTZSP:
		return fmt.Sprintf(" (--vni %d)", l.vni)
	case wire.EncapNone:
		return ""
	}
	return fmt.Sprintf(", VNI %d", l.vni)
}

// unusable reports whether no --vni can name the layout's identifier.
func (l layout) unusable() bool { return l.vni > wire.MaxVNI }

// layouts tells of packets that were not the plainest: the heaviest first.
func (r *report) layouts(s *seen) {
	shown := 0
	for _, l := range s.layouts.heaviest() {
		inside := l.layers.String()
		if (l.encap == wire.EncapVXLAN || l.encap == wire.EncapNone) && inside == "" {
			continue
		}
		if shown++; shown > listed {
			return
		}
		if inside != "" {
			inside = ", and inside " + inside
		}
		say := r.ok
		if l.unusable() {
			say = r.note
		}
		say("mirror: %s %s%s%s", count(*s.layouts.entries[l], "packet"), l.name(), l.identifier(), inside)
	}
}

// args are the flags for the mirror.
func (c Config) args() []string {
	flag := "mirror-port"
	if udp := c.Mirror.UDP(); c.File[flag] == nil && len(udp) == 1 && udp[0].Encap == wire.EncapVXLAN {
		flag = "vxlan-port"
	}
	var ports []string
	for _, p := range c.Mirror.Ports {
		ports = append(ports, strconv.Itoa(int(p)))
	}
	return append(c.flag("encap", wire.EncapAuto.String(), c.Mirror.Encap.String()), c.flag(flag, "", ports...)...)
}

// at gives the configuration for a mirror that comes to another port.
func (c Config) at(port uint16) Config {
	if !slices.Contains(c.ports(), port) {
		c.Mirror = wire.Mirror{Ports: []uint16{port}}
	}
	return c
}
