// Package lab builds a small network with a real traffic mirror, from network
// namespaces and other parts of the kernel, for end-to-end tests and
// demonstrations of netmirror:
//
//	[Cli] ── [Srv] ── mirror link ── [Mon] ── [Dst]
//	           └ clsact on Srv's client link: mirred mirror → VXLAN to Mon
//
// Clients run in Cli, the production service in Srv, netmirror in Mon and the
// shadow service in Dst. The package also has servers and clients that record, and
// sniffers. It shares no code with netmirror, and changes nothing outside the
// namespaces that it makes.
package lab

import (
	"errors"
	"fmt"
	"net/netip"
)

// Names of the links, each in its own namespace.
const (
	ClientLink = "client0" // in Cli and Srv; the end in Srv is mirrored
	MirrorLink = "mirror0" // in Srv and Mon
	ShadowLink = "shadow0" // in Mon and Dst
)

// VXLANPort is the UDP port of the mirror (RFC 7348, section 8.1).
const VXLANPort = 4789

// Options chooses what the mirror traffic looks like. The zero value is one
// client link of MTU 1500 with IPv4 traffic. The direction from client to server is
// mirrored over IPv4 with VNI 42, with frames as they would be on a real wire.
type Options struct {
	InnerIPv6      bool   // Origin gives IPv6 addresses (both families are always configured)
	OuterIPv6      bool   // the mirror runs over IPv6
	VLAN           uint16 // the client link's VLAN, whose tag the mirrored frames carry; 0 is none
	ClientMTU      int    // bytes, 0 is 1500
	MirrorMTU      int    // bytes, 0 is 9000; smaller than an encapsulated frame means outer fragments
	Offloads       bool   // mirrored frames are super-frames of up to 64 KB with unfinished checksums
	BothDirections bool   // the answers are mirrored too
	Twice          bool   // every frame is mirrored twice
	LossPermille   int    // share of the mirrored frames that are lost at random
	LossEvery      int    // every n-th frame is lost: 100 loses 1 %; 0 is none
	LatePermille   int    // share of the mirrored frames that a slow queue overtakes
	VNI            uint32 // 0 is 42
	Overlay        bool   // clients reach the service by VXLAN over the client link, as in a pod network
	Span           *Span  // sends the mirror's packets in place of the kernel
	Rate           uint64 // bit/s that the clients may send, 0 is DefaultRate
}

// DefaultRate limits the client link, in bit/s. Two cores can send, serve, mirror,
// capture and forward that at the same time, so losses in a test are the program's
// and not the machine's.
const DefaultRate = 500_000_000

func (o Options) withDefaults() Options {
	if o.ClientMTU == 0 {
		o.ClientMTU = 1500
	}
	if o.MirrorMTU == 0 {
		o.MirrorMTU = 9000
	}
	if o.VNI == 0 {
		o.VNI = 42
	}
	if o.Rate == 0 {
		o.Rate = DefaultRate
	}
	return o
}

// Lab is a running network.
type Lab struct {
	Cli, Srv, Mon, Dst *Namespace

	opts Options
	span *span // nil: none
}

// New builds the network. When it returns, one packet has passed each link. The
// error is ErrPrivilege if the kernel refuses namespaces. The caller owns the Lab
// and ends it with Close.
func New(opts Options) (*Lab, error) {
	l := &Lab{opts: opts.withDefaults()}
	for _, m := range []struct {
		label string
		ns    **Namespace
	}{{"cli", &l.Cli}, {"srv", &l.Srv}, {"mon", &l.Mon}, {"dst", &l.Dst}} {
		n, err := NewNamespace(m.label)
		if err != nil {
			return nil, errors.Join(err, l.Close())
		}
		*m.ns = n
	}
	for _, step := range []func() error{
		l.prepare, l.addLinks, l.setMirrorLink, l.warmUp, l.limitRate, l.impair,
		l.startMirror,
	} {
		if err := step(); err != nil {
			return nil, errors.Join(err, l.Close())
		}
	}
	return l, nil
}

func (l *Lab) startMirror() error {
	if l.opts.Span != nil {
		return l.startSpan()
	}
	return l.Mirror(l.opts.VNI)
}

// Close ends the network. A namespace in which sockets or processes still live
// remains until they end.
func (l *Lab) Close() error {
	// Deleting a veth deletes its peer at once, so the network is dead even if a
	// socket outlives this call.
	var errs []error
	if l.span != nil {
		errs = append(errs, l.span.stop())
	}
	for _, n := range []*Namespace{l.Srv, l.Mon} {
		if n == nil || n.link == nil {
			continue
		}
		for _, name := range []string{ClientLink, MirrorLink, ShadowLink} {
			link, err := n.link.LinkByName(name)
			if err != nil {
				continue
			}
			if err := n.link.LinkDel(link); err != nil {
				errs = append(errs, fmt.Errorf("lab: remove %s: %w", name, err))
			}
		}
	}
	for _, n := range []*Namespace{l.Cli, l.Srv, l.Mon, l.Dst} {
		if n != nil {
			n.Close()
		}
	}
	return errors.Join(errs...)
}

// Origin is the address of the production service in Srv, at the given port.
func (l *Lab) Origin(port uint16) netip.AddrPort {
	if l.opts.InnerIPv6 {
		return netip.AddrPortFrom(l.serviceNet().b6, port)
	}
	return netip.AddrPortFrom(l.serviceNet().b4, port)
}

// Shadow is the address of the shadow service in Dst, at the given port.
func (l *Lab) Shadow(port uint16) netip.AddrPort {
	return netip.AddrPortFrom(shadowNet.b4, port)
}

// Tap is the address of Mon on the mirror link, which the mirror sends to.
func (l *Lab) Tap() netip.AddrPort {
	if l.opts.OuterIPv6 {
		return netip.AddrPortFrom(mirrorNet.b6, VXLANPort)
	}
	return netip.AddrPortFrom(mirrorNet.b4, VXLANPort)
}

// SecondSource gives Mon a second address, from which it reaches the shadow service
// as well.
func (l *Lab) SecondSource() (netip.Addr, error) {
	a := netip.AddrFrom4([4]byte{10, 77, 3, 77}) // of shadowNet
	link, err := l.Mon.link.LinkByName(ShadowLink)
	if err != nil {
		return a, fmt.Errorf("lab: %s: %w", ShadowLink, err)
	}
	return a, l.Mon.addAddress(link, netip.PrefixFrom(a, 32))
}
