package service

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Ports is a set of TCP ports: ranges in ascending order that neither touch nor
// overlap. Make it with [ParsePorts] or [PortsOf].
type Ports []PortRange

// PortRange is the ports from First to Last, both included.
type PortRange struct{ First, Last uint16 }

// PortsOf is the set of the given ports.
func PortsOf(ports ...uint16) Ports {
	p := make(Ports, len(ports))
	for i, port := range ports {
		p[i] = PortRange{port, port}
	}
	return p.joined()
}

// ParsePorts reads a list like "8080,9000-9010". The error says which word is wrong.
func ParsePorts(list string) (Ports, error) {
	var p Ports
	for word := range strings.SplitSeq(list, ",") {
		first, last, isRange := strings.Cut(strings.TrimSpace(word), "-")
		switch {
		case !isRange:
			last = first
		case strings.TrimSpace(first) == "" || strings.TrimSpace(last) == "":
			return nil, fmt.Errorf("port range %q has one end only; write both, as in 9000-9010", word)
		}
		a, err := parsePort(first)
		if err != nil {
			return nil, err
		}
		b, err := parsePort(last)
		if err != nil {
			return nil, err
		}
		if a > b {
			return nil, fmt.Errorf("port range %q runs backwards; write %d-%d", word, b, a)
		}
		p = append(p, PortRange{a, b})
	}
	return p.joined(), nil
}

func parsePort(s string) (uint16, error) {
	n, err := strconv.ParseUint(strings.TrimSpace(s), 10, 16)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("port %q is not a number from 1 to 65535", s)
	}
	return uint16(n), nil
}

// joined sorts the ranges and joins those that touch.
func (p Ports) joined() Ports {
	slices.SortFunc(p, func(a, b PortRange) int { return int(a.First) - int(b.First) })
	var out Ports
	for _, r := range p {
		if n := len(out); n > 0 && int(r.First) <= int(out[n-1].Last)+1 {
			out[n-1].Last = max(out[n-1].Last, r.Last)
			continue
		}
		out = append(out, r)
	}
	return out
}

// Has reports whether port is in the set.
func (p Ports) Has(port uint16) bool {
	return slices.ContainsFunc(p, func(r PortRange) bool { return r.First <= port && port <= r.Last })
}

// String is the set as [ParsePorts] reads it.
func (p Ports) String() string {
	words := make([]string, len(p))
	for i, r := range p {
		words[i] = strconv.Itoa(int(r.First))
		if r.Last > r.First {
			words[i] += "-" + strconv.Itoa(int(r.Last))
		}
	}
	return strings.Join(words, ",")
}
