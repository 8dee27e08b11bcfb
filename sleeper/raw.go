package sleeper

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// System calls that never block, raw. doc.go says why.

// RawSocket is socket(2) for streams: TCP, or unix sockets. It neither blocks nor is
// inherited.
func RawSocket(family int) (fd int, err error) {
	return result(syscall.RawSyscall(unix.SYS_SOCKET, uintptr(family), unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0))
}

// RawConnect is connect(2) to an address of size bytes.
func RawConnect(fd int, to *unix.RawSockaddrAny, size uint32) error {
	_, _, errno := syscall.RawSyscall(unix.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(to)), uintptr(size))
	return errorOf(errno)
}

// RawDisconnect is connect(2) to no address: it takes the connection off a socket.
func RawDisconnect(fd int) error {
	none := unix.RawSockaddr{Family: unix.AF_UNSPEC}
	_, _, errno := syscall.RawSyscall(unix.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(&none)), unsafe.Sizeof(none))
	return errorOf(errno)
}

// RawBind is bind(2) to an address of size bytes.
func RawBind(fd int, to *unix.RawSockaddrAny, size uint32) error {
	_, _, errno := syscall.RawSyscall(unix.SYS_BIND, uintptr(fd), uintptr(unsafe.Pointer(to)), uintptr(size))
	return errorOf(errno)
}

// RawName is getsockname(2). It writes the address, and returns its size.
func RawName(fd int, own *unix.RawSockaddrAny) (size uint32, err error) {
	size = uint32(unsafe.Sizeof(*own))
	_, _, errno := syscall.RawSyscall(unix.SYS_GETSOCKNAME, uintptr(fd), uintptr(unsafe.Pointer(own)), uintptr(unsafe.Pointer(&size)))
	return size, errorOf(errno)
}

// RawSet is setsockopt(2) of a number.
func RawSet(fd, level, option int, value int32) error {
	_, _, errno := syscall.RawSyscall6(unix.SYS_SETSOCKOPT, uintptr(fd), uintptr(level), uintptr(option),
		uintptr(unsafe.Pointer(&value)), unsafe.Sizeof(value), 0)
	return errorOf(errno)
}

// RawGet is getsockopt(2) of a number of size bytes, 8 at the most.
func RawGet(fd, level, option int, size uint32) (value int64, err error) {
	_, _, errno := syscall.RawSyscall6(unix.SYS_GETSOCKOPT, uintptr(fd), uintptr(level), uintptr(option),
		uintptr(unsafe.Pointer(&value)), uintptr(unsafe.Pointer(&size)), 0)
	return value, errorOf(errno)
}

// RawSetLinger makes a later close reset the connection (SO_LINGER, socket(7)).
func RawSetLinger(fd int) error {
	now := unix.Linger{Onoff: 1}
	_, _, errno := syscall.RawSyscall6(unix.SYS_SETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_LINGER,
		uintptr(unsafe.Pointer(&now)), unsafe.Sizeof(now), 0)
	return errorOf(errno)
}

// RawSend is send(2), which raises no SIGPIPE. p is not empty.
func RawSend(fd int, p []byte, flags int) (int, error) {
	return result(syscall.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)),
		uintptr(flags|unix.MSG_NOSIGNAL), 0, 0))
}

// RawReceive is recv(2). p is not empty.
func RawReceive(fd int, p []byte, flags int) (int, error) {
	return result(syscall.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)), uintptr(flags), 0, 0))
}

// RawQueue is ioctl(2) of a queue's length: SIOCOUTQ or SIOCINQ.
func RawQueue(fd, queue int) (int, error) {
	var n int32
	_, _, errno := syscall.RawSyscall(unix.SYS_IOCTL, uintptr(fd), uintptr(queue), uintptr(unsafe.Pointer(&n)))
	return int(n), errorOf(errno)
}

// RawShutdown is shutdown(2) of the sending half.
func RawShutdown(fd int) error {
	_, _, errno := syscall.RawSyscall(unix.SYS_SHUTDOWN, uintptr(fd), unix.SHUT_WR, 0)
	return errorOf(errno)
}

// RawClose is close(2). Nothing can be done about its error.
func RawClose(fd int) { _, _, _ = syscall.RawSyscall(unix.SYS_CLOSE, uintptr(fd), 0, 0) }

// RawControl is epoll_ctl(2).
func RawControl(epoll, op, fd int, e *unix.EpollEvent) error {
	_, _, errno := syscall.RawSyscall6(unix.SYS_EPOLL_CTL, uintptr(epoll), uintptr(op), uintptr(fd), uintptr(unsafe.Pointer(e)), 0, 0)
	return errorOf(errno)
}

// RawEvents is epoll_pwait(2), which does not wait.
func RawEvents(epoll int, events []unix.EpollEvent) (int, error) {
	return result(syscall.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(epoll), uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), 0, 0, 0))
}

// RawAlarm is timerfd_settime(2) to a time of the timer's clock, in nanoseconds.
func RawAlarm(fd int, at int64) error {
	spec := unix.ItimerSpec{Value: unix.NsecToTimespec(at)}
	_, _, errno := syscall.RawSyscall6(unix.SYS_TIMERFD_SETTIME, uintptr(fd), unix.TFD_TIMER_ABSTIME, uintptr(unsafe.Pointer(&spec)), 0, 0, 0)
	return errorOf(errno)
}

// RawReady asks poll(2) whether one of the events has happened. It reports true if poll fails;
// after a signal of the runtime it asks again.
func RawReady(fd int, events int16) bool {
	p := unix.PollFd{Fd: int32(fd), Events: events}
	for {
		var now unix.Timespec
		_, _, errno := syscall.RawSyscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&p)), 1, uintptr(unsafe.Pointer(&now)), 0, 0, 0)
		if errno != unix.EINTR {
			return p.Revents&events != 0 || errno != 0
		}
	}
}

func result(n, _ uintptr, errno syscall.Errno) (int, error) {
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

func errorOf(errno syscall.Errno) error {
	if errno != 0 {
		return errno
	}
	return nil
}
