package lab

import (
	"errors"
	"fmt"
	"net"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// setMirrorLink gives both ends of the mirror link the chosen offloads.
func (l *Lab) setMirrorLink() error {
	return errors.Join(
		l.Srv.setOffloads(MirrorLink, l.opts.Offloads),
		l.Mon.setOffloads(MirrorLink, l.opts.Offloads),
	)
}

// Mirror makes the mirror send to a VNI, in place of the one before. Every frame that
// Srv's client link receives (with BothDirections, also those it sends) is copied into
// that VXLAN.
func (l *Lab) Mirror(vni uint32) error {
	vxlan, err := l.vxlan(vni)
	if err != nil {
		return err
	}
	link, err := l.Srv.link.LinkByName(ClientLink)
	if err != nil {
		return fmt.Errorf("lab: %s: %w", ClientLink, err)
	}
	hooks := []uint32{netlink.HANDLE_MIN_INGRESS}
	if l.opts.BothDirections {
		hooks = append(hooks, netlink.HANDLE_MIN_EGRESS)
	}
	for _, hook := range hooks {
		if err := l.copyFrames(link.Attrs().Index, hook, vxlan.Attrs().Index); err != nil {
			return err
		}
	}
	return nil
}

// copyFrames installs the filter at one hook of a link, in place of an older one. It
// has no selector, which means `u32 match u32 0 0`: every frame matches.
func (l *Lab) copyFrames(link int, hook uint32, vxlan int) error {
	copies := 1
	if l.opts.Twice {
		copies = 2
	}
	var actions []netlink.Action
	for i := range copies {
		mirred := netlink.NewMirredAction(vxlan)
		mirred.MirredAction = netlink.TCA_EGRESS_MIRROR
		mirred.ActionAttrs.Action = netlink.TC_ACT_PIPE
		if i == copies-1 {
			mirred.ActionAttrs.Action = netlink.TC_ACT_UNSPEC // continue with the next filter
		}
		actions = append(actions, mirred)
	}
	filter := &netlink.U32{
		FilterAttrs: netlink.FilterAttrs{
			LinkIndex: link,
			Parent:    hook,
			Priority:  priorityMirror,
			Protocol:  unix.ETH_P_ALL,
		},
		Actions: actions,
	}
	_ = l.Srv.link.FilterDel(filter) // the first time there is none
	if err := l.Srv.link.FilterAdd(filter); err != nil {
		return fmt.Errorf("lab: mirror filter: %w", err)
	}
	return nil
}

// vxlan returns Srv's VXLAN device for a VNI, and makes it at first use.
func (l *Lab) vxlan(vni uint32) (netlink.Link, error) {
	name := fmt.Sprintf("vxlan%d", vni)
	if link, err := l.Srv.link.LinkByName(name); err == nil {
		return link, nil
	}
	local, remote := mirrorNet.a4, mirrorNet.b4
	if l.opts.OuterIPv6 {
		local, remote = mirrorNet.a6, mirrorNet.b6
	}
	err := l.Srv.link.LinkAdd(&netlink.Vxlan{
		// Without an underlying link the device accepts any MTU, and packets that are
		// too long for the mirror link become outer fragments. The 4 bytes are for a tag.
		LinkAttrs: netlink.LinkAttrs{Name: name, MTU: l.opts.ClientMTU + 4, TxQLen: 1000},
		VxlanId:   int(vni),
		SrcAddr:   net.IP(local.AsSlice()),
		Group:     net.IP(remote.AsSlice()),
		Port:      VXLANPort,
	})
	if err != nil {
		return nil, fmt.Errorf("lab: add %s: %w", name, err)
	}
	// The device must carry only copies, and no packets of its own.
	if err := l.Srv.sysctl("ipv6/conf/"+name+"/disable_ipv6", "1"); err != nil {
		return nil, fmt.Errorf("lab: quiet %s: %w", name, err)
	}
	if err := errors.Join(l.Srv.setOffloads(name, l.opts.Offloads), l.Srv.up(name)); err != nil {
		return nil, err
	}
	return l.Srv.link.LinkByName(name)
}

// Unwrap makes Mon's kernel remove the mirror's VXLAN, and returns the link on which the
// mirrored frames of a VNI then arrive.
func (l *Lab) Unwrap(vni uint32) (link string, err error) {
	link = fmt.Sprintf("bare%d", vni)
	local := mirrorNet.b4
	if l.opts.OuterIPv6 {
		local = mirrorNet.b6
	}
	if err := l.Mon.link.LinkAdd(&netlink.Vxlan{
		LinkAttrs: netlink.LinkAttrs{Name: link, MTU: l.opts.ClientMTU + 4},
		VxlanId:   int(vni), SrcAddr: net.IP(local.AsSlice()), Port: VXLANPort,
	}); err != nil {
		return "", fmt.Errorf("lab: add %s: %w", link, err)
	}
	if err := l.Mon.sysctl("ipv6/conf/"+link+"/disable_ipv6", "1"); err != nil {
		return "", fmt.Errorf("lab: quiet %s: %w", link, err)
	}
	return link, l.Mon.up(link)
}
