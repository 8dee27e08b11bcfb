package bridge

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The system calls for each piece of a stream, raw: they never block, and an
// ordinary one makes the runtime watch over a process that is idle between two
// batches of packets, by a thread that sleeps in steps of 20 µs. That took up
// to a fifth of the CPU.

// rawWrite is write(2). p is not empty.
func rawWrite(fd uintptr, p []byte) (int, error) {
	n, _, errno := syscall.RawSyscall(unix.SYS_WRITE, fd, uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)))
	return result(n, errno)
}

// rawReceive is recv(2). p is not empty.
func rawReceive(fd uintptr, p []byte, flags int) (int, error) {
	n, _, errno := syscall.RawSyscall6(unix.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)), uintptr(flags), 0, 0)
	return result(n, errno)
}

// rawPoll is ppoll(2) of one descriptor, which does not wait.
func rawPoll(p *unix.PollFd) (int, error) {
	var now unix.Timespec
	n, _, errno := syscall.RawSyscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(p)), 1, uintptr(unsafe.Pointer(&now)), 0, 0, 0)
	return result(n, errno)
}

func result(n uintptr, errno syscall.Errno) (int, error) {
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}
