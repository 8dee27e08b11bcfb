package tap

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"netmirror/filter"
	"netmirror/wire"
)

// holder is ordinary sockets that own the mirror's UDP ports, and raw ones for GRE,
// without reading from them. A packet socket leaves a port unbound, and the kernel
// would answer every mirrored packet with an ICMP port-unreachable, or
// protocol-unreachable, to the mirror source, which is a production host.
type holder []int

// hold holds the mirror's UDP ports, and GRE where it may come in that.
func hold(m wire.Mirror) (holder, error) {
	var h holder
	for _, u := range m.UDP() {
		if err := h.port(u.Port); err != nil {
			h.close()
			return nil, err
		}
	}
	if m.GRE() {
		if err := h.gre(); err != nil {
			h.close()
			return nil, err
		}
	}
	return h, nil
}

// port binds a port on the wildcard addresses of IPv4 and IPv6. A family that the
// host does not have, and a port that something else holds, a vxlan device for
// example, need no holder.
//
// A program that receives on the same port with SO_REUSEADDR set, as the holder
// has it, gets nothing while the holder is there: the kernel gives a datagram to
// the socket that was bound last.
func (h *holder) port(port uint16) error {
	for _, at := range []unix.Sockaddr{
		&unix.SockaddrInet4{Port: int(port)},
		&unix.SockaddrInet6{Port: int(port)},
	} {
		fd, err := holdAt(at)
		switch {
		case err == nil:
			*h = append(*h, fd)
		case errors.Is(err, unix.EADDRINUSE), errors.Is(err, unix.EAFNOSUPPORT), errors.Is(err, unix.EADDRNOTAVAIL):
		case errors.Is(err, unix.EACCES):
			return fmt.Errorf("%w to hold UDP port %d, which takes CAP_NET_BIND_SERVICE: %s",
				ErrPermission, port, Grant("CAP_NET_RAW", "CAP_NET_BIND_SERVICE"))
		default:
			return fmt.Errorf("holding UDP port %d: %w", port, err)
		}
	}
	return nil
}

// gre opens raw sockets for GRE, of each family that the host has. They take nothing
// from a GRE tunnel that the host has: the kernel gives such a socket a copy, and the
// packet to both (raw(7)).
func (h *holder) gre() error {
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		fd, err := unix.Socket(family, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_GRE)
		if errors.Is(err, unix.EAFNOSUPPORT) {
			continue
		}
		if err != nil {
			return fmt.Errorf("holding GRE: %w", err)
		}
		*h = append(*h, fd)
		if err := deafen(fd); err != nil {
			return fmt.Errorf("holding GRE: %w", err)
		}
	}
	return nil
}

// deafen has a socket take nothing in.
func deafen(fd int) error {
	if err := filter.Attach(fd, filter.DropAll); err != nil {
		return err
	}
	// The kernel raises it to its minimum.
	return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 1)
}

// holdAt binds one socket that takes nothing in. The filter is there before the
// port is, so that not even one datagram is queued.
func holdAt(at unix.Sockaddr) (fd int, err error) {
	family := unix.AF_INET
	if _, ok := at.(*unix.SockaddrInet6); ok {
		family = unix.AF_INET6
	}
	fd, err = unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	defer func() {
		if err != nil {
			unix.Close(fd)
		}
	}()
	if err := deafen(fd); err != nil {
		return -1, err
	}
	// Several captures on a host may hold the port together.
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return -1, err
	}
	if family == unix.AF_INET6 {
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1); err != nil {
			return -1, err
		}
	}
	return fd, unix.Bind(fd, at)
}

// close gives the ports back.
func (h holder) close() {
	for _, fd := range h {
		unix.Close(fd)
	}
}
