package targettest

import (
	"net"
	"testing"
)

// Serve calls handle for each connection of ln, each in a goroutine of its own, and closes
// the connection afterwards. It closes ln when the test ends.
func Serve(t testing.TB, ln net.Listener, handle func(net.Conn)) {
	t.Helper()
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				handle(c)
			}()
		}
	}()
}

// Listen listens at a port of 127.0.0.1, and serves it as Serve does.
func Listen(t testing.TB, handle func(net.Conn)) (address string) {
	t.Helper()
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	Serve(t, ln, handle)
	return ln.Addr().String()
}
