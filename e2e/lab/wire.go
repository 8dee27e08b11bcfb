package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"
)

// Wire is the smallest lab: one link that carries hand-made mirror packets from
// From to To, where netmirror and its target run.
type Wire struct {
	From, To *Namespace
}

// NewWire makes a wire. The error is ErrPrivilege where the kernel refuses
// namespaces. The caller owns the Wire and ends it with Close.
func NewWire() (*Wire, error) {
	w := &Wire{}
	for _, m := range []struct {
		label string
		ns    **Namespace
	}{{"from", &w.From}, {"to", &w.To}} {
		n, err := NewNamespace(m.label)
		if err != nil {
			return nil, errors.Join(err, w.Close())
		}
		*m.ns = n
	}
	if err := w.connect(); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	return w, nil
}

// connect sets up the link. Packets of any size fit it.
func (w *Wire) connect() error {
	const mtu = 65535
	for _, n := range []*Namespace{w.From, w.To} {
		if err := n.up("lo"); err != nil {
			return err
		}
	}
	if err := addVeth(MirrorLink, mtu, w.From, w.To); err != nil {
		return err
	}
	if err := errors.Join(
		w.From.address(MirrorLink, mirrorNet.a4, mirrorNet.a6),
		w.To.address(MirrorLink, mirrorNet.b4, mirrorNet.b6),
	); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return w.From.refused(ctx, netip.AddrPortFrom(mirrorNet.b4, 9))
}

// Dial returns a socket of From whose datagrams go to the mirror's receiver.
func (w *Wire) Dial() (*net.UDPConn, error) {
	return w.From.DialUDP(netip.AddrPortFrom(mirrorNet.b4, VXLANPort))
}

// Target is an address in To for a target.
func (w *Wire) Target(port uint16) netip.AddrPort { return netip.AddrPortFrom(mirrorNet.b4, port) }

// Close ends the wire.
func (w *Wire) Close() error {
	var err error
	if w.From != nil && w.From.link != nil {
		if link, lerr := w.From.link.LinkByName(MirrorLink); lerr == nil {
			if derr := w.From.link.LinkDel(link); derr != nil {
				err = fmt.Errorf("lab: remove %s: %w", MirrorLink, derr)
			}
		}
	}
	for _, n := range []*Namespace{w.From, w.To} {
		if n != nil {
			n.Close()
		}
	}
	return err
}
