// Package linktest makes network namespaces for tests and switches the offloads of their
// interfaces.
package linktest

import (
	"bytes"
	"encoding/binary"
	"os"
	"runtime"
	"testing"
	"unsafe"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"netmirror/wire/wiretest"
)

// NewNamespace makes a network namespace that is gone after the test.
func NewNamespace(t testing.TB) netns.NsHandle {
	t.Helper()
	type made struct {
		ns  netns.NsHandle
		err error
	}
	done := make(chan made)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with its namespace
		ns, err := netns.New()
		done <- made{ns, err}
	}()
	m := <-done
	if m.err == unix.EPERM {
		skip(t, "CAP_SYS_ADMIN and CAP_NET_ADMIN (network namespaces)")
	}
	wiretest.Must(t, m.err)
	t.Cleanup(func() { m.ns.Close() })
	return m.ns
}

// skip skips a test for want of a privilege, which is a failure where CI runs it.
func skip(t testing.TB, capability string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatalf("needs %s", capability)
	}
	t.Skipf("needs %s", capability)
}

// In runs f in a namespace.
func In(t testing.TB, ns netns.NsHandle, f func()) {
	t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with its namespace
		err := netns.Set(ns)
		defer func() { done <- err }() // also when f ends the goroutine by t.Fatal
		if err == nil {
			f()
		}
	}()
	wiretest.Must(t, <-done)
	if t.Failed() {
		t.FailNow()
	}
}

// Feature switches an offload of an interface on or off by its name in ethtool(8),
// in the calling thread's namespace.
func Feature(t testing.TB, iface, name string, on bool) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	wiretest.Must(t, err)
	defer unix.Close(fd)
	const all, width = 1024, 32 // more features than there are; the length of a name
	names := make([]byte, 12+all*width)
	binary.NativeEndian.PutUint32(names, unix.ETHTOOL_GSTRINGS)
	binary.NativeEndian.PutUint32(names[4:], 4) // ETH_SS_FEATURES
	ethtool(t, fd, iface, names)
	at := bytes.Index(names[12:], append([]byte(name), 0))
	if at < 0 || at%width != 0 {
		t.Fatalf("no feature %q", name)
	}
	bit, blocks := at/width, (int(binary.NativeEndian.Uint32(names[8:]))+31)/32
	set := make([]byte, 8+8*blocks)
	binary.NativeEndian.PutUint32(set, unix.ETHTOOL_SFEATURES)
	binary.NativeEndian.PutUint32(set[4:], uint32(blocks))
	word := set[8+bit/32*8:]
	binary.NativeEndian.PutUint32(word, 1<<(bit%32)) // that it is to change
	if on {
		binary.NativeEndian.PutUint32(word[4:], 1<<(bit%32))
	}
	ethtool(t, fd, iface, set)
}

// ethtool makes the ioctl with a command.
func ethtool(t testing.TB, fd int, iface string, command []byte) {
	t.Helper()
	var req struct {
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [16]byte
	}
	copy(req.name[:], iface)
	req.data = unsafe.Pointer(&command[0])
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&req))); errno != 0 {
		t.Fatalf("ioctl of ethtool: %v", errno)
	}
}
