package lab

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
)

// overlayLink is the VXLAN device in Cli and Srv. It uses the kernel's default port.
const overlayLink = "overlay0"

const (
	overlayPort     = 8472
	overlayOverhead = 50 // bytes: IPv4, UDP, VXLAN, Ethernet
)

var overlayNet = subnetOf(4)

// addOverlay puts a pod network over the client link, as Flannel does.
func (l *Lab) addOverlay() error {
	for _, end := range []struct {
		n             *Namespace
		local, remote netip.Addr
		own4, own6    netip.Addr
	}{
		{l.Cli, clientNet.a4, clientNet.b4, overlayNet.a4, overlayNet.a6},
		{l.Srv, clientNet.b4, clientNet.a4, overlayNet.b4, overlayNet.b6},
	} {
		err := end.n.link.LinkAdd(&netlink.Vxlan{
			LinkAttrs: netlink.LinkAttrs{Name: overlayLink, MTU: l.opts.ClientMTU - overlayOverhead, TxQLen: 1000},
			VxlanId:   1, SrcAddr: net.IP(end.local.AsSlice()), Group: net.IP(end.remote.AsSlice()), Port: overlayPort,
		})
		if err != nil {
			return fmt.Errorf("lab: add %s: %w", overlayLink, err)
		}
		if err := errors.Join(end.n.setOffloads(overlayLink, l.opts.Offloads), end.n.up(overlayLink), end.n.address(overlayLink, end.own4, end.own6)); err != nil {
			return err
		}
	}
	return nil
}

// serviceNet is the network by which clients reach the service.
func (l *Lab) serviceNet() subnet {
	if l.opts.Overlay {
		return overlayNet
	}
	return clientNet
}
