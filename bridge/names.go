package bridge

import (
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"netmirror/target"
)

const (
	// namesFor is how long the addresses of a name are good for. net's resolver does not
	// tell their time to live.
	namesFor = time.Second
	// badFor is how long an address that took no connection is tried behind others.
	badFor = 10 * time.Second
)

// address is one of the target's.
type address struct {
	to   netip.AddrPort
	path string // of a unix socket, which has no to
	sock sockaddr
	bad  int64 // others come first until then, in the loop's time
	afar int64 // it is another host's until then
}

// names has the addresses of a bridge's target. They are looked up when a stream needs
// them, by a goroutine, once for all that need them then.
type names struct {
	b       *Bridge
	addrs   []*address // in the order to try them in
	until   int64      // when they have to be looked up again, in the loop's time
	forever bool       // it has no name to look up
	used    int64      // when a stream last asked, in the loop's time
	asking  bool
	late    bool // the look-up that runs takes long: meanwhile, the addresses from before serve
	waiting []*stream
}

// namesOf are the names of b's target.
func (l *loop) namesOf(b *Bridge) *names {
	n := l.names[b]
	if n == nil {
		// The bridge may be one in place of another, which nobody uses any more.
		maps.DeleteFunc(l.names, func(_ *Bridge, n *names) bool { return n.forgotten(l.now) })
		n = newNames(b)
		l.names[b] = n
	}
	return n
}

// forgotten reports whether nothing is known that looking the target up would not tell.
func (n *names) forgotten(now int64) bool { return !n.asking && now-n.used > int64(badFor) }

func newNames(b *Bridge) *names {
	n := &names{b: b}
	if b.to.Network == target.Unix {
		n.forever = true
		n.addrs = []*address{{path: b.to.Path, sock: sockaddrOfPath(b.to.Path)}}
	} else if ip, err := netip.ParseAddr(b.to.Host); err == nil && ip.Zone() == "" {
		n.forever = true
		n.set([]netip.Addr{ip})
	}
	return n
}

// reached is those of the addresses that can be reached from the source address.
func (n *names) reached(found []netip.Addr) ([]netip.Addr, error) {
	good := slices.DeleteFunc(found, func(ip netip.Addr) bool { return !n.b.to.Reaches(ip) })
	if len(good) == 0 && len(found) > 0 {
		return nil, fmt.Errorf("%s has no address that can be reached from %v", n.b.to.Host, n.b.to.Source)
	}
	return good, nil
}

// set takes new addresses. What is known of those that stay is kept.
func (n *names) set(found []netip.Addr) {
	addrs := make([]*address, len(found))
	for i, ip := range found {
		to := netip.AddrPortFrom(thisHost(ip.Unmap()), n.b.to.Port)
		addrs[i] = &address{to: to, sock: sockaddrOf(to, zoneOf(to.Addr()))}
		if old := slices.IndexFunc(n.addrs, func(a *address) bool { return a.to == to }); old >= 0 {
			addrs[i].bad = n.addrs[old].bad
		}
	}
	n.addrs = addrs
}

// thisHost is the address that the kernel connects to: in place of an unspecified one, the
// loopback address.
func thisHost(ip netip.Addr) netip.Addr {
	switch ip {
	case netip.IPv4Unspecified():
		return netip.AddrFrom4([4]byte{127, 0, 0, 1})
	case netip.IPv6Unspecified():
		return netip.IPv6Loopback()
	}
	return ip
}

// zoneOf is the number of the interface that an IPv6 address is good on; 0: any.
func zoneOf(ip netip.Addr) uint32 {
	if ip.Zone() == "" {
		return 0
	}
	if link, err := net.InterfaceByName(ip.Zone()); err == nil {
		return uint32(link.Index)
	}
	number, _ := strconv.ParseUint(ip.Zone(), 10, 32)
	return uint32(number)
}

// inOrder has the addresses that have just failed behind the others.
func (n *names) inOrder(now int64) []*address {
	bad := func(a *address) bool { return a.bad > now }
	if len(n.addrs) < 2 || !slices.ContainsFunc(n.addrs, bad) {
		return n.addrs
	}
	good := slices.DeleteFunc(slices.Clone(n.addrs), bad)
	return append(good, slices.DeleteFunc(slices.Clone(n.addrs), func(a *address) bool { return !bad(a) })...)
}
