package service

import (
	"net/netip"
	"slices"
)

// Overlaps reports whether a connection can belong to both selections.
func (s Selection) Overlaps(o Selection) bool {
	vnis := s.VNIs.Any() || o.VNIs.Any() || slices.ContainsFunc(s.VNIs, o.VNIs.Has)
	return vnis && slices.ContainsFunc(s.Ports, func(a PortRange) bool {
		return slices.ContainsFunc(o.Ports, func(b PortRange) bool { return a.First <= b.Last && b.First <= a.Last })
	})
}

// Overlaps reports whether both take the clients of a network that one of them names, or
// of all.
func (c Clients) Overlaps(o Clients) bool {
	all := []netip.Prefix{netip.PrefixFrom(netip.IPv4Unspecified(), 0), netip.PrefixFrom(netip.IPv6Unspecified(), 0)}
	one, other := c.only, o.only
	if len(one) == 0 {
		one = all
	}
	if len(other) == 0 {
		other = all
	}
	except := slices.Concat(c.except, o.except)
	for _, a := range one {
		for _, b := range other {
			if !a.Overlaps(b) {
				continue
			}
			both := a
			if b.Bits() > a.Bits() {
				both = b
			}
			if !slices.ContainsFunc(except, func(e netip.Prefix) bool { return e.Bits() <= both.Bits() && e.Overlaps(both) }) {
				return true
			}
		}
	}
	return false
}
