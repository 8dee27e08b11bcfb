package machine

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// UseCapability makes a capability (capabilities(7)) effective that the process is permitted
// to use. A file with cap_net_raw+p permits it, and still starts where the runtime does not
// allow it. If it is not permitted, UseCapability does nothing, and the kernel refuses the
// later call. Call it at the start of the program.
func UseCapability(number int) {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if unix.Capget(&header, &data[0]) != nil {
		return
	}
	set, bit := &data[number/32], uint32(1)<<(number%32)
	if set.Permitted&bit == 0 || set.Effective&bit != 0 {
		return
	}
	set.Effective |= bit
	// Capabilities are each thread's. The error could only be that of a program with cgo,
	// which the kernel then tells that it lacks the capability.
	_, _, _ = syscall.AllThreadsSyscall(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&data[0])), 0)
}
