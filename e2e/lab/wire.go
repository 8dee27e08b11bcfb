package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Wire is the smallest lab: one link, on which a test sends crafted mirror packets from
// From to To. netmirror and its target run in To.
type Wire struct {
	From, To *Namespace
}

// NewWire makes a Wire. The error is ErrPrivilege if the kernel refuses namespaces. The
// caller owns the Wire and ends it with Close.
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
	return w.From.waitRefused(ctx, netip.AddrPortFrom(mirrorNet.b4, 9))
}

// Dial returns a socket of From whose datagrams go to the mirror's receiver.
func (w *Wire) Dial() (*net.UDPConn, error) {
	return w.From.DialUDP(netip.AddrPortFrom(mirrorNet.b4, VXLANPort))
}

// DialPort is Dial for another port of the receiver.
func (w *Wire) DialPort(port uint16) (*net.UDPConn, error) {
	return w.From.DialUDP(netip.AddrPortFrom(mirrorNet.b4, port))
}

// DialGRE returns a socket of From whose messages go to the mirror's receiver as
// IPv4 packets of GRE, from its header on.
func (w *Wire) DialGRE() (*net.IPConn, error) {
	d := net.Dialer{Control: w.From.inside}
	var conn net.Conn
	err := w.From.Do(func() (err error) {
		conn, err = d.Dial("ip4:47", mirrorNet.b4.String())
		return err
	})
	if err != nil {
		return nil, err
	}
	return conn.(*net.IPConn), nil
}

// Link returns a packet socket of From whose messages are frames on the wire.
func (w *Wire) Link() (*os.File, error) {
	fd := -1
	err := w.From.Do(func() (err error) {
		link, err := net.InterfaceByName(MirrorLink)
		if err != nil {
			return err
		}
		if fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0); err != nil {
			return err
		}
		return unix.Bind(fd, &unix.SockaddrLinklayer{Ifindex: link.Index})
	})
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), "packet:"+MirrorLink), nil
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
