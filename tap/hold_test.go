package tap

import (
	"bytes"
	"errors"
	"net"
	"os"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

var loopback = net.IPv4(127, 0, 0, 1)

func bringLoopbackUp(t testing.TB) {
	t.Helper()
	link, err := netlink.LinkByName("lo")
	must(t, err)
	must(t, netlink.LinkSetUp(link))
}

// sendFrom sends a datagram in the thread's namespace.
func sendFrom(src, dst net.IP, port int) error {
	c, err := net.DialUDP("udp", &net.UDPAddr{IP: src}, &net.UDPAddr{IP: dst, Port: port})
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = c.Write([]byte("from here"))
	return err
}

// refused waits for the ICMP port-unreachable that answers what c sent.
func refused(t *testing.T, c *net.UDPConn) {
	t.Helper()
	must(t, c.SetReadDeadline(time.Now().Add(10*time.Second)))
	if _, err := c.Read(make([]byte, 10)); !errors.Is(err, unix.ECONNREFUSED) {
		t.Fatalf("read: %v, want an ICMP port-unreachable", err)
	}
}

// pendingError is the error that an ICMP message has left on c, or 0.
func pendingError(t *testing.T, c *net.UDPConn) (errno int) {
	t.Helper()
	rc, err := c.SyscallConn()
	must(t, err)
	must(t, rc.Control(func(fd uintptr) {
		errno, err = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR)
	}))
	must(t, err)
	return errno
}

// The kernel answers a datagram to a port that nobody has, and the mirror's port
// likewise once the capture is closed; while it is open it does not.
func TestKernelDoesNotAnswer(t *testing.T) {
	l := newLab(t, 1500)
	in(t, l.mon, func() {
		for _, f := range []string{"ipv4/icmp_ratelimit", "ipv6/icmp/ratelimit"} {
			must(t, os.WriteFile("/proc/sys/net/"+f, []byte("0"), 0))
		}
	})
	for _, to := range []net.IP{mon4, mon6} {
		r := l.open(t, Config{})
		mirror, nobody := l.udp(t, to, 4789), l.udp(t, to, 4788)
		_, err := mirror.Write([]byte("to the mirror's port"))
		must(t, err)
		captured(t, r, 1)
		_, err = nobody.Write([]byte("to a port that nobody has"))
		must(t, err)
		refused(t, nobody)
		if errno := pendingError(t, mirror); errno != 0 {
			t.Errorf("%v: the kernel answered: %v", to, unix.Errno(errno))
		}

		must(t, r.Close())
		_, err = mirror.Write([]byte("to the mirror's port"))
		must(t, err)
		refused(t, mirror)
	}
}

// An interface without IPv6 (its MTU is too small) sends nothing by itself, and
// nothing by the capture.
func TestNothingIsSent(t *testing.T) {
	l := newLab(t, 1200)
	sentBy := func() (n uint64) {
		in(t, l.mon, func() {
			link, err := netlink.LinkByName(monIface)
			must(t, err)
			n = link.Attrs().Statistics.TxPackets
		})
		return n
	}
	before := sentBy()
	r, fd := l.open(t, Config{}), l.sender(t)
	for _, p := range numbered(100, 200) {
		send(t, fd, mirrored(t, p))
	}
	captured(t, r, 100)
	r.Stop()
	if got := drainAll(t, r); len(got) != 100 {
		t.Errorf("%d frames", len(got))
	}
	must(t, r.Close())
	if after := sentBy(); after != before {
		t.Errorf("%d packets were sent", after-before)
	}
}

func TestTwoCapturesHoldThePort(t *testing.T) {
	l := newLab(t, 1500)
	a, b := l.open(t, Config{}), l.open(t, Config{})
	must(t, a.Close())
	mirror, nobody := l.udp(t, mon4, 4789), l.udp(t, mon4, 4788)
	_, err := mirror.Write([]byte("x"))
	must(t, err)
	captured(t, b, 1)
	_, err = nobody.Write([]byte("x"))
	must(t, err)
	refused(t, nobody)
	if errno := pendingError(t, mirror); errno != 0 {
		t.Errorf("the kernel answered: %v", unix.Errno(errno))
	}
}

// A socket that has the port already keeps it and what comes to it.
func TestPortOfAnother(t *testing.T) {
	l := newLab(t, 1500)
	var other *net.UDPConn
	in(t, l.mon, func() {
		var err error
		other, err = net.ListenUDP("udp", &net.UDPAddr{Port: 4789})
		must(t, err)
	})
	defer other.Close()
	r := l.open(t, Config{})
	_, err := l.udp(t, mon4, 4789).Write([]byte("for both"))
	must(t, err)
	captured(t, r, 1)
	b := make([]byte, 100)
	must(t, other.SetReadDeadline(time.Now().Add(10*time.Second)))
	n, err := other.Read(b)
	if err != nil || !bytes.Equal(b[:n], []byte("for both")) {
		t.Fatalf("the other socket got %q, %v", b[:n], err)
	}
}

func TestHostWithoutIPv6(t *testing.T) {
	l := newLab(t, 1500)
	in(t, l.mon, func() {
		must(t, os.WriteFile("/proc/sys/net/ipv6/conf/all/disable_ipv6", []byte("1"), 0))
	})
	r, fd := l.open(t, Config{}), l.sender(t)
	send(t, fd, mirrored(t, nil))
	captured(t, r, 1)
}
