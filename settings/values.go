package settings

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"netmirror/service"
)

// port is a TCP or UDP port.
type port uint16

// UnmarshalFlag implements flags.Unmarshaler.
func (p *port) UnmarshalFlag(s string) error {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || n == 0 {
		return fmt.Errorf("port %q is not a number from 1 to 65535", s)
	}
	*p = port(n)
	return nil
}

// ports is a list of UDP ports.
type ports []port

// UnmarshalFlag implements flags.Unmarshaler. It adds those of a list with commas,
// which may be empty.
func (p *ports) UnmarshalFlag(s string) error {
	for text := range strings.SplitSeq(s, ",") {
		if text == "" {
			continue
		}
		var one port
		if err := one.UnmarshalFlag(text); err != nil {
			return err
		}
		*p = append(*p, one)
	}
	return nil
}

// vnis is the words of --vni: identifiers, or "any".
type vnis []string

// UnmarshalFlag implements flags.Unmarshaler. It adds those of a list with commas,
// which may be empty.
func (v *vnis) UnmarshalFlag(s string) error {
	if s == "" {
		return nil
	}
	words := append(*v, strings.Split(s, ",")...)
	if _, err := service.ParseVNIs(strings.Join(words, ",")); err != nil {
		return err
	}
	*v = words
	return nil
}

// interfaces is the values of --iface.
type interfaces []string

// UnmarshalFlag implements flags.Unmarshaler. An empty line of the file, or variable, names none.
func (i *interfaces) UnmarshalFlag(s string) error {
	if s != "" {
		*i = append(*i, s)
	}
	return nil
}

// portList is the value of --port: a list of ports and ranges, or nothing.
type portList string

// UnmarshalFlag implements flags.Unmarshaler.
func (p *portList) UnmarshalFlag(s string) error {
	if s != "" {
		if _, err := service.ParsePorts(s); err != nil {
			return err
		}
	}
	*p = portList(s)
	return nil
}

// forwards is the values of --forward.
type forwards []string

// UnmarshalFlag implements flags.Unmarshaler.
func (f *forwards) UnmarshalFlag(s string) error {
	if s == "" {
		return nil
	}
	if _, _, err := service.ParseNamed(s); err != nil {
		return err
	}
	*f = append(*f, s)
	return nil
}

// networks is lists of addresses and networks.
type networks []string

// UnmarshalFlag implements flags.Unmarshaler.
func (n *networks) UnmarshalFlag(s string) error {
	if s == "" {
		return nil
	}
	if _, err := service.NewClients([]string{s}, nil); err != nil {
		return err
	}
	*n = append(*n, s)
	return nil
}

// speed is a factor; 0 is as fast as possible.
type speed float64

// UnmarshalFlag implements flags.Unmarshaler.
func (s *speed) UnmarshalFlag(text string) error {
	if text == "max" {
		*s = 0
		return nil
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || !(f > 0) || math.IsInf(f, 0) {
		return fmt.Errorf("speed %q is neither a number above 0 nor max", text)
	}
	*s = speed(f)
	return nil
}
