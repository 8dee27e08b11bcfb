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

// command is a call of netmirror with what is known, for a shell.
func (c Config) command(words ...string) string {
	if c.Capture != nil {
		words = []string{"replay"}
	}
	args := append([]string{c.Program}, words...)
	if c.Capture == nil && c.Sockets {
		args = append(args, "--capture", "udp")
	}
	if c.Capture == nil && c.Interface != "" {
		args = append(args, "--iface", c.Interface)
	}
	vnis := c.vniArgs()
	if c.Capture != nil {
		c.Mirror = c.Capture.Asked
	}
	args = append(append(args, c.args()...), vnis...)
	if len(c.Ports) > 0 {
		args = append(args, "--port", c.Ports.String())
	}
	if c.Target != "" {
		args = append(args, "--to", c.Target)
	}
	args = append(args, c.TargetArgs...)
	if c.Midstream != "" && c.Midstream != defaultMidstream {
		args = append(args, "--midstream", c.Midstream)
	}
	if c.Capture != nil {
		args = append(args, c.Capture.Files...)
	}
	for i, arg := range args {
		args[i] = quote(arg)
	}
	return strings.Join(args, " ")
}

// vniArgs are the flags for the VNIs.
func (c Config) vniArgs() (args []string) {
	switch {
	case c.Mirror.Bare():
		return nil
	case c.EveryVNI:
		return []string{"--vni", "any"}
	}
	for _, vni := range c.VNIs {
		args = append(args, "--vni", strconv.FormatUint(uint64(vni), 10))
	}
	return args
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
