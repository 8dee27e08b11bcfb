package check

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// listed is how many of a kind are named in a line.
const listed = 5

// list joins texts, but no more than a line can have.
func list[T any](all []T, text func(T) string) string {
	var texts []string
	for i, v := range all {
		if i == listed {
			texts = append(texts, fmt.Sprintf("and %d others", len(all)-listed))
			break
		}
		texts = append(texts, text(v))
	}
	if len(texts) == 0 {
		return "none"
	}
	return strings.Join(texts, ", ")
}

func listVNIs(seen []vniCount) string {
	return list(seen, func(n vniCount) string { return fmt.Sprintf("%d (%s)", n.vni, count(n.packets, "packet")) })
}

func (s *seen) listPorts(ids []serviceID) string {
	return list(ids, func(id serviceID) string {
		v := s.services.entries[id]
		if s.bare {
			return fmt.Sprintf("%s (%s)", v.ports(id.port), count(v.packets(), "packet"))
		}
		return fmt.Sprintf("%s (VNI %d, %s)", v.ports(id.port), id.vni, count(v.packets(), "packet"))
	})
}

func numbers(vnis []uint32) string {
	return list(vnis, func(vni uint32) string { return strconv.FormatUint(uint64(vni), 10) })
}

// count gives a number and its noun, in the plural with an s unless it is 1.
func count(n uint64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.FormatUint(n, 10) + " " + noun + "s"
}

// anyTarget stands in a command for a target that was not given.
const anyTarget = "HOST:PORT"

// command is a call of netmirror with what is known, for a shell.
func (c Config) command(words ...string) string {
	args := []string{c.Program}
	vnis := c.vnis() // which goes by how the packets came, the flags for that by what was asked
	if c.Capture != nil {
		args, c.Mirror = append(args, "replay"), c.Capture.Asked
	} else {
		args = slices.Concat(args, words, c.flag("capture", "ring", c.capture()), c.flag("iface", "", c.Interface))
	}
	args = slices.Concat(args, c.args(), c.flag("vni", "", vnis...), c.flag("port", "", c.Ports.String()),
		c.flag("to", "", c.Target), c.Args, c.flag("midstream", defaultMidstream, c.Midstream))
	if c.Capture != nil {
		args = append(args, c.Capture.Files...)
	}
	for i, arg := range args {
		args[i] = quote(arg)
	}
	return strings.Join(args, " ")
}

// flag is a flag with its values, nothing where they are in force without it.
func (c Config) flag(name, byDefault string, values ...string) (args []string) {
	inForce, inFile := c.File[name]
	if !inFile {
		inForce = []string{byDefault}
	}
	if slices.Equal(values, inForce) {
		return nil
	}
	for _, value := range values {
		if value != "" {
			args = append(args, "--"+name, value)
		}
	}
	return args
}

// capture is what --capture says.
func (c Config) capture() string {
	if c.Sockets {
		return "udp"
	}
	return "ring"
}

// vnis are the values of --vni.
func (c Config) vnis() (all []string) {
	switch {
	case c.Mirror.Bare():
		return nil
	case c.EveryVNI:
		return []string{"any"}
	}
	for _, vni := range c.VNIs {
		all = append(all, strconv.FormatUint(uint64(vni), 10))
	}
	return all
}

// quote gives a word as a shell takes it.
func quote(word string) string {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:/@%+,="
	if word != "" && strings.Trim(word, plain) == "" {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// capabilities are those that a capture takes.
func capabilities(c Config) []string {
	if slices.ContainsFunc(c.ports(), func(p uint16) bool { return p < 1024 }) {
		return []string{"CAP_NET_RAW", "CAP_NET_BIND_SERVICE"}
	}
	return []string{"CAP_NET_RAW"}
}
