// Package target knows the addresses of shadow services, and how a connection to
// one begins.
//
// It reads TLS files, makes TLS handshakes and builds PROXY protocol headers. Only
// [Target.Try] opens a connection, to test a target; those of streams are the bridge's.
package target

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

// Network is the kind of a target's connections.
type Network uint8

const (
	TCP  Network = iota
	TLS          // over TCP
	Unix         // a stream socket of this host
)

// Target is a shadow service. It is immutable.
type Target struct {
	Address
	// TLS is the configuration of the connections of a TLS target, else nil.
	TLS *tls.Config
	// Source is the address to connect from; the zero Addr leaves it to the kernel.
	Source netip.Addr
	// Mark is the SO_MARK of the connections; 0: none.
	Mark uint32

	header Header
}

// Options say how a target is reached. The zero value is a plain connection.
type Options struct {
	// TLS applies to TLS targets only.
	TLS TLSOptions
	// Header is sent first on every connection.
	Header Header
	// Source is the address to connect from. It does not apply to unix sockets. A
	// target with a name is reached by its addresses of the same family only.
	Source netip.Addr
	// Mark is the SO_MARK of the connections (socket(7)); 0: none. It does not apply
	// to unix sockets.
	Mark uint32
}

// New reads text, an address as [Parse] accepts it, and the files in o. The error says
// what to write instead.
func New(text string, o Options) (*Target, error) {
	address, err := Parse(text)
	if err != nil {
		return nil, err
	}
	t := &Target{Address: address, header: o.Header}
	if t.Network == Unix {
		return t, nil
	}
	t.Source, t.Mark = o.Source.Unmap(), o.Mark
	if t.Network == TLS {
		if t.TLS, err = o.TLS.config(t.Host); err != nil {
			return nil, fmt.Errorf("target %s: %w", t, err)
		}
	}
	if ip, err := netip.ParseAddr(t.Host); err == nil && !t.Reaches(ip) {
		return nil, fmt.Errorf("target %s cannot be reached from the source address %v: one is IPv4, the other IPv6; give the target, or --source-address, an address of the same family", t, t.Source)
	}
	return t, nil
}

// Reaches reports whether a connection from Source to ip is possible: both are IPv4,
// or both are IPv6.
func (t *Target) Reaches(ip netip.Addr) bool {
	return !t.Source.IsValid() || t.Source.Is4() == ip.Unmap().Is4()
}

// Like reports whether connections to o are made in the same way. The certificates are
// compared as they were in the TLS files when New read them.
func (t *Target) Like(o *Target) bool {
	return t.Address == o.Address && t.Source == o.Source && t.Mark == o.Mark && t.header == o.header && likeTLS(t.TLS, o.TLS)
}

// CheckMark returns an error if this process may not mark its connections. The kernel
// requires CAP_NET_ADMIN or, since Linux 5.17, CAP_NET_RAW.
func CheckMark(mark uint32) error {
	if mark == 0 {
		return nil
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	defer unix.Close(fd)
	err = setMark(fd, mark)
	if errors.Is(err, unix.EPERM) {
		return errors.New("this process lacks CAP_NET_ADMIN, or CAP_NET_RAW, which is enough since Linux 5.17; add one of them, or leave the mark out")
	}
	return err
}

func setMark(fd int, mark uint32) error {
	return os.NewSyscallError("setsockopt", unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_MARK, int(mark)))
}
