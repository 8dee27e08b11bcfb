package targettest

import (
	"errors"
	"net"
	"testing"

	"golang.org/x/sys/unix"
)

// FillQueue gives a listener the shortest listen queue there is, and fills it. It returns how
// many connections wait in it.
func FillQueue(t testing.TB, ln *net.UnixListener) (waiting int) {
	t.Helper()
	raw, err := ln.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var failed error
	if err := errors.Join(raw.Control(func(fd uintptr) { failed = unix.Listen(int(fd), 0) }), failed); err != nil {
		t.Fatal(err)
	}
	for {
		c, err := net.Dial("unix", ln.Addr().String())
		if errors.Is(err, unix.EAGAIN) {
			return waiting
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		waiting++
	}
}
