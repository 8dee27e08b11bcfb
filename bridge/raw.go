package bridge

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The system calls of the loop, raw: they never block, and an ordinary one makes
// the runtime watch over a process that is idle between two batches of packets, by
// a thread that sleeps in steps of 20 µs.

// rawSocket is socket(2) for streams: TCP, or unix sockets. It neither blocks nor is
// inherited.
func rawSocket(family int) (fd int, err error) {
	return result(syscall.RawSyscall(unix.SYS_SOCKET, uintptr(family), unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0))
}

// rawConnect is connect(2).
func rawConnect(fd int, a *sockaddr) error {
	_, _, errno := syscall.RawSyscall(unix.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(&a.raw)), uintptr(a.size))
	return errorOf(errno)
}

// rawBind is bind(2).
func rawBind(fd int, a *sockaddr) error {
	_, _, errno := syscall.RawSyscall(unix.SYS_BIND, uintptr(fd), uintptr(unsafe.Pointer(&a.raw)), uintptr(a.size))
	return errorOf(errno)
}

// rawName is getsockname(2).
func rawName(fd int, a *sockaddr) error {
	a.size = uint32(unsafe.Sizeof(a.raw))
	_, _, errno := syscall.RawSyscall(unix.SYS_GETSOCKNAME, uintptr(fd), uintptr(unsafe.Pointer(&a.raw)), uintptr(unsafe.Pointer(&a.size)))
	return errorOf(errno)
}

// rawSet is setsockopt(2) of a number.
func rawSet(fd, level, option int, value int32) error {
	_, _, errno := syscall.RawSyscall6(unix.SYS_SETSOCKOPT, uintptr(fd), uintptr(level), uintptr(option),
		uintptr(unsafe.Pointer(&value)), unsafe.Sizeof(value), 0)
	return errorOf(errno)
}

// rawGet is getsockopt(2) of a number of size bytes, 4 at the most.
func rawGet(fd, level, option int, size uint32) (value int32, err error) {
	_, _, errno := syscall.RawSyscall6(unix.SYS_GETSOCKOPT, uintptr(fd), uintptr(level), uintptr(option),
		uintptr(unsafe.Pointer(&value)), uintptr(unsafe.Pointer(&size)), 0)
	return value, errorOf(errno)
}

// rawSetLinger has a close reset the connection (SO_LINGER, socket(7)).
func rawSetLinger(fd int) error {
	now := unix.Linger{Onoff: 1}
	_, _, errno := syscall.RawSyscall6(unix.SYS_SETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_LINGER,
		uintptr(unsafe.Pointer(&now)), unsafe.Sizeof(now), 0)
	return errorOf(errno)
}

// rawWrite is write(2). p is not empty.
func rawWrite(fd int, p []byte) (int, error) {
	return result(syscall.RawSyscall(unix.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p))))
}

// rawReceive is recv(2). p is not empty.
func rawReceive(fd int, p []byte, flags int) (int, error) {
	return result(syscall.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)), uintptr(flags), 0, 0))
}

// rawQueue is ioctl(2) of a queue's length: SIOCOUTQ or SIOCINQ.
func rawQueue(fd, queue int) (int, error) {
	var n int32
	_, _, errno := syscall.RawSyscall(unix.SYS_IOCTL, uintptr(fd), uintptr(queue), uintptr(unsafe.Pointer(&n)))
	return int(n), errorOf(errno)
}

// rawShutdown is shutdown(2) of the sending half.
func rawShutdown(fd int) error {
	_, _, errno := syscall.RawSyscall(unix.SYS_SHUTDOWN, uintptr(fd), unix.SHUT_WR, 0)
	return errorOf(errno)
}

// rawClose is close(2). Its error says nothing that could be acted upon.
func rawClose(fd int) { _, _, _ = syscall.RawSyscall(unix.SYS_CLOSE, uintptr(fd), 0, 0) }

// rawControl is epoll_ctl(2).
func rawControl(epoll, op, fd int, e *unix.EpollEvent) error {
	_, _, errno := syscall.RawSyscall6(unix.SYS_EPOLL_CTL, uintptr(epoll), uintptr(op), uintptr(fd), uintptr(unsafe.Pointer(e)), 0, 0)
	return errorOf(errno)
}

// rawEvents is epoll_pwait(2), which does not wait.
func rawEvents(epoll int, events []unix.EpollEvent) (int, error) {
	return result(syscall.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(epoll), uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), 0, 0, 0))
}

// rawAlarm is timerfd_settime(2) to a time of the timer's clock, in nanoseconds.
func rawAlarm(fd int, at int64) error {
	spec := unix.ItimerSpec{Value: unix.NsecToTimespec(at)}
	_, _, errno := syscall.RawSyscall6(unix.SYS_TIMERFD_SETTIME, uintptr(fd), unix.TFD_TIMER_ABSTIME, uintptr(unsafe.Pointer(&spec)), 0, 0, 0)
	return errorOf(errno)
}

// rawReady asks poll(2) whether one of the events is there. It is where poll fails, but
// for a signal of the runtime's, which is no answer.
func rawReady(fd int, events int16) bool {
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
