package main

import (
	"net/netip"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// sockaddr is an IPv4 address as the kernel takes it.
type sockaddr unix.RawSockaddrInet4

func newSockaddr(a netip.AddrPort) sockaddr {
	s := sockaddr{Family: unix.AF_INET, Addr: a.Addr().As4()}
	port := (*[2]byte)(unsafe.Pointer(&s.Port))
	port[0], port[1] = byte(a.Port()>>8), byte(a.Port())
	return s
}

// connect begins a connection, and does not wait for it. It is negative where the
// kernel has no socket to give.
func connect(to *sockaddr) (fd int) {
	s, _, errno := unix.RawSyscall(unix.SYS_SOCKET, unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if errno != 0 {
		return -1
	}
	on := int32(1)
	unix.RawSyscall6(unix.SYS_SETSOCKOPT, s, unix.IPPROTO_TCP, unix.TCP_NODELAY, uintptr(unsafe.Pointer(&on)), unsafe.Sizeof(on), 0)
	unix.RawSyscall(unix.SYS_CONNECT, s, uintptr(unsafe.Pointer(to)), unsafe.Sizeof(*to))
	return int(s)
}

// writev is how many bytes the socket took. It has failed where it will never
// take any.
func writev(fd int, parts []unix.Iovec) (done int, failed bool) {
	n, _, errno := unix.RawSyscall(unix.SYS_WRITEV, uintptr(fd), uintptr(unsafe.Pointer(&parts[0])), uintptr(len(parts)))
	switch errno {
	case 0:
		return int(n), false
	case unix.EAGAIN:
		return 0, false
	default:
		return 0, true
	}
}

var scratch [1 << 20]byte // nothing is written to it: MSG_TRUNC, tcp(7)

// discardAnswers throws away what the target has sent, and says whether more may come.
func discardAnswers(fd int) (open bool) {
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&scratch)), uintptr(len(scratch)),
		unix.MSG_TRUNC|unix.MSG_DONTWAIT, 0, 0)
	return errno == unix.EAGAIN || errno == 0 && n > 0
}

func shutdown(fd int) {
	unix.RawSyscall(unix.SYS_SHUTDOWN, uintptr(fd), unix.SHUT_WR, 0)
}

func closeSocket(fd int) {
	unix.RawSyscall(unix.SYS_CLOSE, uintptr(fd), 0, 0)
}

// poll waits until there is something to read, for at most so many milliseconds; -1
// is no limit.
func poll(fd, patience int) error {
	fds := unix.PollFd{Fd: int32(fd), Events: unix.POLLIN | unix.POLLERR}
	limit := unix.NsecToTimespec(int64(patience) * int64(time.Millisecond))
	var t *unix.Timespec
	if patience >= 0 {
		t = &limit
	}
	_, _, errno := unix.RawSyscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&fds)), 1, uintptr(unsafe.Pointer(t)), 0, 0, 0)
	if errno != 0 && errno != unix.EINTR {
		return errno
	}
	return nil
}

func bytesOf(v unix.Iovec) []byte { return unsafe.Slice(v.Base, v.Len) }
