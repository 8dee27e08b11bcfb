package bridge

import (
	"net"
	"testing"

	"golang.org/x/sys/unix"
)

// deafen has the kernel drop what comes to a socket before TCP sees it, as if its host were
// gone.
func deafen(t *testing.T, c *net.TCPConn) {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	none := unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K} // so many bytes of it are let through
	raw.Control(func(fd uintptr) {
		err = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: 1, Filter: &none})
	})
	if err != nil {
		t.Fatal(err)
	}
}
