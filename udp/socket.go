package udp

import (
	"errors"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"netmirror/filter"
	"netmirror/wire"
)

// socket is a UDP socket of one of the mirror's ports.
type socket struct {
	fd    int
	encap wire.Encap
	port  uint16
	used  bool   // something has come to it
	drops uint32 // the kernel's count when it was last read
}

// newSocket gives a socket that is not bound yet and, by its filter, takes nothing in.
func newSocket(family int, device string, encap wire.Encap) (*socket, error) {
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	s := &socket{fd: fd, encap: encap}
	if err := s.setUp(family, device); err != nil {
		return nil, errors.Join(fmt.Errorf("setting a socket up: %w", err), s.close())
	}
	return s, nil
}

func (s *socket) setUp(family int, device string) error {
	if err := filter.Attach(s.fd, filter.DropAll); err != nil {
		return err
	}
	if err := s.set(unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1); err != nil {
		return err
	}
	if family == unix.AF_INET6 {
		if err := s.set(unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 0); err != nil {
			return err
		}
		// Mirrors send no checksum (RFC 7348, section 5; RFC 6935 allows that in IPv6).
		if err := s.set(unix.SOL_UDP, unix.UDP_NO_CHECK6_RX, 1); err != nil {
			return err
		}
	}
	// Before Linux 5.0 datagrams come one by one.
	_ = s.set(unix.SOL_UDP, unix.UDP_GRO, 1)
	if device == "" {
		return nil
	}
	// Linux before 5.7 wants CAP_NET_RAW for that; the program looks at the interface too.
	if err := unix.BindToDevice(s.fd, device); err != nil && !errors.Is(err, unix.EPERM) {
		return os.NewSyscallError("setsockopt", err)
	}
	return nil
}

func (s *socket) set(level, option, value int) error {
	return os.NewSyscallError("setsockopt", unix.SetsockoptInt(s.fd, level, option, value))
}

// bind binds the socket to a port on all addresses. The others of its group may join it
// from then on, and nobody else's can be there before: the first of a group is bound
// without SO_REUSEPORT.
func (s *socket) bind(family int, port uint16, first bool) error {
	if !first {
		if err := s.set(unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err != nil {
			return err
		}
	}
	var at unix.Sockaddr = &unix.SockaddrInet4{Port: int(port)}
	if family == unix.AF_INET6 {
		at = &unix.SockaddrInet6{Port: int(port)}
	}
	if err := unix.Bind(s.fd, at); err != nil {
		return os.NewSyscallError("bind", err)
	}
	if first {
		return s.set(unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
	}
	return nil
}

// share makes prog the program of the socket's group.
func (s *socket) share(prog []bpf.Instruction) error {
	fprog, err := filter.Assemble(prog)
	if err != nil {
		return err
	}
	if err := unix.SetsockoptSockFprog(s.fd, unix.SOL_SOCKET, unix.SO_ATTACH_REUSEPORT_CBPF, fprog); err != nil {
		return fmt.Errorf("attaching the program that shares packets: %w", err)
	}
	return nil
}

// grow asks for a receive buffer of so many bytes, as the kernel counts it: twice what
// the option says (socket(7)).
func (s *socket) grow(bytes int) error {
	if unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, bytes/2) == nil {
		return nil
	}
	return s.set(unix.SOL_SOCKET, unix.SO_RCVBUF, bytes/2)
}

// start has the socket take in what its group's program gives it.
func (s *socket) start() error {
	if err := s.set(unix.SOL_SOCKET, unix.SO_DETACH_FILTER, 0); err != nil {
		return err
	}
	now, err := s.memory()
	s.drops = now.drops
	return err
}

// stop has the socket take nothing in any more.
func (s *socket) stop() error { return filter.Attach(s.fd, filter.DropAll) }

// memory is a socket's by the kernel's account.
type memory struct {
	used, size int    // of the receive buffer, bytes
	drops      uint32 // packets that found no room, had a wrong checksum or met a filter
}

// memory asks the kernel (SO_MEMINFO, include/uapi/linux/sock_diag.h).
func (s *socket) memory() (memory, error) {
	const used, size, drops, vars = 0, 1, 8, 9 // SK_MEMINFO_
	var info [vars]uint32
	length := uint32(unsafe.Sizeof(info))
	_, _, errno := unix.RawSyscall6(unix.SYS_GETSOCKOPT, uintptr(s.fd), unix.SOL_SOCKET, unix.SO_MEMINFO,
		uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&length)), 0)
	if errno != 0 {
		return memory{}, os.NewSyscallError("getsockopt", errno)
	}
	return memory{used: int(info[used]), size: int(info[size]), drops: info[drops]}, nil
}

// dropped is how many packets were dropped since it was last asked.
func (s *socket) dropped(now memory) uint64 {
	n := now.drops - s.drops // which has 32 bits, and wraps
	s.drops = now.drops
	return uint64(n)
}

func (s *socket) close() error { return os.NewSyscallError("close", unix.Close(s.fd)) }
