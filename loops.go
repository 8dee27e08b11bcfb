package main

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"time"

	"netmirror/settings"
	"netmirror/target"
)

// lookUpFor is how long the name of a target may take.
const lookUpFor = 3 * time.Second

// warnOfLoops warns about each service whose connections to the target look like its clients'
// connections and pass an interface that is captured: netmirror would forward its own connections
// again and again. It sends nothing to the targets.
func warnOfLoops(ctx context.Context, o *settings.Options, log *slog.Logger) {
	if !o.Mirror().Bare() {
		return // own packets are in no encapsulation
	}
	ctx, cancel := context.WithTimeout(ctx, lookUpFor)
	defer cancel()
	for i := range o.Services {
		if own := ownClient(ctx, o, &o.Services[i]); own.IsValid() {
			log.Warn("the target has a port of the service, and the interface that is captured shows connections to it: each would be forwarded again and again",
				"service", o.Services[i].Name, "to", o.Services[i].Target,
				"do", "give --exclude-clients "+own.String()+", or a target with another port")
		}
	}
}

// ownClient is the address of this host that would be taken for a client's; the zero Addr if
// there is none.
func ownClient(ctx context.Context, o *settings.Options, s *settings.Service) netip.Addr {
	to, err := target.Parse(s.Target)
	if err != nil || to.Network == target.Unix || !s.Ports.Has(to.Port) {
		return netip.Addr{}
	}
	clients, _ := s.Settings.ParseClients() // settings has seen to it
	addrs, _ := net.DefaultResolver.LookupNetIP(ctx, "ip", to.Host)
	for _, addr := range addrs {
		from := sourceFor(addr.Unmap(), s.Settings.TargetOptions().Source)
		if from.IsValid() && clients.Takes(from.AsSlice()) && capturesPath(o, from, addr.Unmap()) {
			return from
		}
	}
	return netip.Addr{}
}

// sourceFor is the address of this host that connections to a target come from; own is the one
// that was asked for. A UDP socket that is connected sends nothing, and has it (ip(7)).
func sourceFor(to, own netip.Addr) netip.Addr {
	if own.IsValid() {
		return own
	}
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(to, 9)))
	if err != nil {
		return netip.Addr{}
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap().WithZone("")
}

// capturesPath reports whether packets between an address of this host and a target pass an
// interface that is captured: lo if the target is an address of this host as well.
func capturesPath(o *settings.Options, from, to netip.Addr) bool {
	if o.OnAnyInterface() || len(o.Capture.Iface) == 0 {
		return true
	}
	all, _ := net.Interfaces()
	has := func(i net.Interface, addr netip.Addr) bool {
		own, _ := i.Addrs()
		return slices.ContainsFunc(own, func(a net.Addr) bool {
			n, ok := a.(*net.IPNet)
			return ok && n.IP.Equal(addr.AsSlice())
		})
	}
	local := to.IsLoopback() || slices.ContainsFunc(all, func(i net.Interface) bool { return has(i, to) })
	return slices.ContainsFunc(all, func(i net.Interface) bool {
		passed := has(i, from)
		if local {
			passed = i.Flags&net.FlagLoopback != 0
		}
		return passed && slices.Contains(o.Capture.Iface, i.Name)
	})
}
