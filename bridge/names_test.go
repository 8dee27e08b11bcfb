package bridge

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"netmirror/target"
)

// book is a look-up that a test dictates.
type book struct {
	addrs atomic.Pointer[[]netip.Addr]
	asked atomic.Int32
}

func (k *book) set(addrs ...string) {
	all := make([]netip.Addr, len(addrs))
	for i, a := range addrs {
		all[i] = netip.MustParseAddr(a)
	}
	k.addrs.Store(&all)
}

func (k *book) lookUp(_ context.Context, host string) ([]netip.Addr, error) {
	k.asked.Add(1)
	if host != "shadow.test" || k.addrs.Load() == nil {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	return *k.addrs.Load(), nil
}

// serveName serves streams to shadow.test at g's port.
func serveName(t *testing.T, k *book, g shadow, c Config) *harness {
	_, port, _ := net.SplitHostPort(g.addr())
	c.Target, c.LookUp, c.Retries = "shadow.test:"+port, k.lookUp, -1
	return serve(t, c)
}

// once plays a stream that is expected at g.
func (h *harness) once(t *testing.T, g shadow) {
	t.Helper()
	s := h.open(t, []byte("x"))
	s.end(io.EOF)
	c := g.accept(t)
	expect(t, c, []byte("x"), nil)
	c.Close()
	want(t, "outcome", s.outcome(t), "complete")
}

func TestOneLookUpServesTheStreamsOfASecond(t *testing.T) {
	g := newTarget(t)
	var k book
	k.set("127.0.0.1")
	h := serveName(t, &k, g, Config{LingerTimeout: 300 * time.Millisecond})
	begin := time.Now()
	for range 10 {
		h.once(t, g)
	}
	if time.Since(begin) < namesFor { // not on a machine that stalls
		want(t, "look-ups", k.asked.Load(), int32(1))
	}
	k.set("127.0.0.2")
	eventually(t, "a stream that goes to the new address", func() bool {
		s := h.open(t)
		s.end(io.EOF)
		return s.outcome(t) == "target-refused"
	})
	if n := k.asked.Load(); n < 2 {
		t.Errorf("%d look-ups", n)
	}
}

func TestAnAddressThatRefusesIsTriedBehindOthers(t *testing.T) {
	g := newTarget(t) // 127.0.0.1; nobody listens on 127.0.0.2 yet
	var k book
	k.set("127.0.0.2", "127.0.0.1")
	h := serveName(t, &k, g, Config{})
	h.once(t, g)
	want(t, "DialErrors", h.Stats().DialErrors, uint64(0))
	_, port, _ := net.SplitHostPort(g.addr())
	other, err := net.Listen("tcp", "127.0.0.2:"+port)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	h.once(t, g) // the other has just refused one
}

func TestAnAddressThatDoesNotAnswerLeavesTimeForOthers(t *testing.T) {
	g := newTarget(t)
	hole := blackHole(t, g)
	var k book
	k.set(hole, "127.0.0.1")
	h := serveName(t, &k, g, Config{DialTimeout: time.Second})
	h.once(t, g)
	want(t, "DialErrors", h.Stats().DialErrors, uint64(0))
}

// blackHole is an address that answers no SYN to g's port: of a listener whose queue
// is full (listen(2), tcp(7)).
func blackHole(t *testing.T, g shadow) string {
	t.Helper()
	const addr = "127.0.0.3"
	_, port, _ := net.SplitHostPort(g.addr())
	to := netip.MustParseAddrPort(addr + ":" + port)
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := errors.Join(unix.Bind(fd, &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}), unix.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("tcp", to.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return addr
}

func TestNameThatCannotBeLookedUp(t *testing.T) {
	g := newTarget(t)
	var k book
	h := serveName(t, &k, g, Config{})
	want(t, "outcome", h.open(t).outcome(t), "target-refused")
	var dns *net.DNSError
	if err := h.Health().Err; !errors.As(err, &dns) {
		t.Errorf("health has %v", err)
	}
	k.set("127.0.0.1")
	h.once(t, g)
}

func TestLookUpThatTakesTooLong(t *testing.T) {
	g := newTarget(t)
	_, port, _ := net.SplitHostPort(g.addr())
	h := serve(t, Config{Target: "shadow.test:" + port, Retries: -1, DialTimeout: 50 * time.Millisecond,
		LookUp: func(ctx context.Context, _ string) ([]netip.Addr, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}})
	want(t, "outcome", h.open(t).outcome(t), "target-refused")
}

func TestTargetWithAnIPv6Address(t *testing.T) {
	ln, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	g := shadow{ln.(*net.TCPListener)}
	serve(t, Config{Target: g.addr()}).once(t, g)
}

// The kernel connects to the loopback address in place of 0.0.0.0: what a socket's own address
// is compared with must be that.
func TestUnspecifiedAddressIsThisHost(t *testing.T) {
	for given, meant := range map[string]string{
		"0.0.0.0": "127.0.0.1", "::ffff:0.0.0.0": "127.0.0.1", "::": "::1", "192.0.2.1": "192.0.2.1",
	} {
		n := &names{b: &Bridge{to: new(target.Target)}}
		n.set([]netip.Addr{netip.MustParseAddr(given)})
		want(t, given, n.addrs[0].to.Addr().String(), meant)
	}
}

func TestConnectionToItselfIsNone(t *testing.T) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	at, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Connect(fd, at); err != nil { // a simultaneous open (RFC 9293, section 3.5)
		t.Fatal(err)
	}
	own := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(at.(*unix.SockaddrInet4).Port))
	a := address{to: own, sock: sockaddrOf(own, 0)}
	want(t, "it is one", a.toItself(fd, 0), true)

	g := newTarget(t)
	c, err := net.Dial("tcp", g.addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var out tcpConn
	if err := out.adopt(c.(*net.TCPConn)); err != nil {
		t.Fatal(err)
	}
	to := netip.MustParseAddrPort(g.addr())
	a = address{to: to, sock: sockaddrOf(to, 0)}
	want(t, "another one is", a.toItself(out.fd, 0), false)
	want(t, "this host's address is believed to be another's", a.afar > 0, false)

	// The socket's own address is not the target's: the target is another host.
	to = netip.AddrPortFrom(netip.MustParseAddr("192.0.2.1"), to.Port())
	a = address{to: to, sock: sockaddrOf(to, 0)}
	want(t, "to another host", a.toItself(out.fd, 5), false)
	want(t, "not asked again before", a.afar, 5+int64(afarFor))
}
