package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// subnet has the addresses of one link. End a is nearer to the client.
type subnet struct{ a4, b4, a6, b6 netip.Addr }

var (
	clientNet = subnetOf(1)
	mirrorNet = subnetOf(2)
	shadowNet = subnetOf(3)
)

func subnetOf(n byte) subnet {
	v4 := func(host byte) netip.Addr { return netip.AddrFrom4([4]byte{10, 77, n, host}) }
	v6 := func(host byte) netip.Addr {
		return netip.AddrFrom16([16]byte{0: 0xfd, 1: 0x77, 3: n, 15: host})
	}
	return subnet{a4: v4(1), b4: v4(2), a6: v6(1), b6: v6(2)}
}

// prepare makes settings that must precede the first link: no wait for duplicate
// address detection, no search for routers, and for an hour no reports of multicast groups,
// which would be mirrored beside what a test sends.
func (l *Lab) prepare() error {
	for _, n := range []*Namespace{l.Cli, l.Srv, l.Mon, l.Dst} {
		for key, value := range map[string]string{"accept_dad": "0", "router_solicitations": "0", "mldv2_unsolicited_report_interval": "3600000"} {
			if err := n.sysctl("ipv6/conf/default/"+key, value); err != nil {
				return fmt.Errorf("lab: %s: %w", key, err)
			}
		}
		if err := n.up("lo"); err != nil {
			return err
		}
	}
	return nil
}

func (l *Lab) addLinks() error {
	type link struct {
		name string
		a, b *Namespace
		mtu  int
		net  subnet
	}
	for _, k := range []link{
		{ClientLink, l.Cli, l.Srv, l.opts.ClientMTU, clientNet},
		{MirrorLink, l.Srv, l.Mon, l.opts.MirrorMTU, mirrorNet},
		{ShadowLink, l.Mon, l.Dst, 1500, shadowNet},
	} {
		if err := addVeth(k.name, k.mtu, k.a, k.b); err != nil {
			return err
		}
		if err := errors.Join(
			k.a.address(k.name, k.net.a4, k.net.a6),
			k.b.address(k.name, k.net.b4, k.net.b6),
		); err != nil {
			return err
		}
	}
	for _, n := range []*Namespace{l.Cli, l.Srv} {
		if err := n.addHooks(ClientLink); err != nil {
			return err
		}
		if l.opts.VLAN != 0 {
			if err := l.tagFrames(n); err != nil {
				return err
			}
		}
	}
	if l.opts.Overlay {
		return l.addOverlay()
	}
	return nil
}

// addVeth connects a and b by a link with the same name at both ends.
func addVeth(name string, mtu int, a, b *Namespace) error {
	veth := netlink.NewVeth(netlink.LinkAttrs{Name: name, MTU: mtu, TxQLen: 1000})
	veth.PeerName = name
	veth.PeerMTU = uint32(mtu)
	veth.PeerNamespace = netlink.NsFd(b.ns)
	if err := a.link.LinkAdd(veth); err != nil {
		return fmt.Errorf("lab: add %s: %w", name, err)
	}
	return errors.Join(a.up(name), b.up(name))
}

// addHooks gives a link two hooks for filters: for arriving frames, and for leaving
// frames.
func (n *Namespace) addHooks(name string) error {
	link, err := n.link.LinkByName(name)
	if err == nil {
		err = n.link.QdiscAdd(&netlink.Clsact{QdiscAttrs: netlink.QdiscAttrs{
			LinkIndex: link.Attrs().Index,
			Handle:    netlink.MakeHandle(0xffff, 0),
			Parent:    netlink.HANDLE_CLSACT,
		}})
	}
	if err != nil {
		return fmt.Errorf("lab: clsact on %s in %s: %w", name, n.label, err)
	}
	return nil
}

func (n *Namespace) up(name string) error {
	link, err := n.link.LinkByName(name)
	if err == nil {
		err = n.link.LinkSetUp(link)
	}
	if err != nil {
		return fmt.Errorf("lab: bring up %s in %s: %w", name, n.label, err)
	}
	return nil
}

func (n *Namespace) address(name string, v4, v6 netip.Addr) error {
	link, err := n.link.LinkByName(name)
	if err != nil {
		return fmt.Errorf("lab: %s in %s: %w", name, n.label, err)
	}
	for _, a := range []netip.Prefix{netip.PrefixFrom(v4, 24), netip.PrefixFrom(v6, 64)} {
		if err := n.addAddress(link, a); err != nil {
			return err
		}
	}
	return nil
}

func (n *Namespace) addAddress(link netlink.Link, a netip.Prefix) error {
	err := n.link.AddrAdd(link, &netlink.Addr{
		IPNet: &net.IPNet{
			IP:   a.Addr().AsSlice(),
			Mask: net.CIDRMask(a.Bits(), a.Addr().BitLen()),
		},
		Flags: unix.IFA_F_NODAD,
	})
	if err != nil {
		return fmt.Errorf("lab: address %v in %s: %w", a, n.label, err)
	}
	return nil
}

// warmUp makes both ends of every link learn each other's hardware address, so no
// packet of a test waits for that. It makes connections that are refused, because
// these have crossed the link in both directions.
func (l *Lab) warmUp() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	for _, w := range []struct {
		from *Namespace
		to   netip.Addr
	}{
		{l.Cli, clientNet.b4}, {l.Cli, clientNet.b6}, {l.Cli, l.serviceNet().b4}, {l.Cli, l.serviceNet().b6},
		{l.Srv, mirrorNet.b4}, {l.Srv, mirrorNet.b6},
		{l.Mon, shadowNet.b4}, {l.Mon, shadowNet.b6},
	} {
		if err := w.from.waitRefused(ctx, netip.AddrPortFrom(w.to, 9)); err != nil {
			return err
		}
	}
	return nil
}

// waitRefused returns when a connection to an address where nothing listens was refused.
func (n *Namespace) waitRefused(ctx context.Context, to netip.AddrPort) error {
	// A SYN that a new link swallowed would be repeated only after a second.
	const patience = 20 * time.Millisecond
	for {
		attempt, cancel := context.WithTimeout(ctx, patience)
		conn, err := n.Dial(attempt, to)
		cancel()
		switch {
		case err == nil:
			conn.Close()
			return fmt.Errorf("lab: something listens on %v", to)
		case errors.Is(err, unix.ECONNREFUSED):
			return nil
		case ctx.Err() != nil:
			return fmt.Errorf("lab: no way from %s to %v: %w", n.label, to, err)
		}
		// A link that has just come up may have no route for a moment.
		time.Sleep(time.Millisecond)
	}
}
