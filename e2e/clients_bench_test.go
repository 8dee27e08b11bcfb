package e2e

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
)

// clients are connections to the origin whose answers are thrown away.
type clients struct {
	b       testing.TB
	s       *scene
	open    []*net.TCPConn
	ending  sync.WaitGroup // of those that were replaced
	ended   atomic.Int64   // bytes of answers on those
	total   int64          // bytes of answers on the others
	scratch [64 << 10]byte
}

// dial opens a connection. Its answers do not wake anybody.
func (k *clients) dial() *net.TCPConn {
	k.b.Helper()
	c, err := k.s.Cli.Dial(k.s.ctx, k.s.Origin(servicePort))
	if err != nil {
		k.b.Fatal(err)
	}
	k.lowat(c, 64<<10)
	return c
}

// lowat sets how many bytes of answers wake a reader of c.
func (k *clients) lowat(c *net.TCPConn, n int) {
	k.b.Helper()
	raw, err := c.SyscallConn()
	if err == nil {
		err = raw.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVLOWAT, n) })
	}
	if err != nil {
		k.b.Fatal(err)
	}
}

// replace ends a connection in order, when its answers are there, and opens another.
func (k *clients) replace(at int) {
	k.b.Helper()
	old := k.open[at]
	k.lowat(old, 1)
	if err := old.CloseWrite(); err != nil {
		k.b.Fatal(err)
	}
	k.ending.Go(func() {
		n, _ := io.Copy(io.Discard, struct{ io.Reader }{old})
		k.ended.Add(n)
		old.Close()
	})
	k.open[at] = k.dial()
}

// answered throws away what has come, and returns how many bytes that were in all.
func (k *clients) answered() int64 {
	for _, c := range k.open {
		raw, err := c.SyscallConn()
		if err != nil {
			k.b.Fatal(err)
		}
		_ = raw.Control(func(fd uintptr) {
			if n, _, err := unix.Recvfrom(int(fd), k.scratch[:], unix.MSG_TRUNC|unix.MSG_DONTWAIT); err == nil {
				k.total += int64(n)
			}
		})
	}
	return k.total + k.ended.Load()
}

func (k *clients) close() {
	for _, c := range k.open {
		c.Close()
	}
	k.ending.Wait()
}
