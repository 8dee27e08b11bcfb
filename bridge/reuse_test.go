package bridge

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"netmirror/outcome"
	"netmirror/sleeper"
)

// alone is a loop whose streams a test plays itself.
type alone struct {
	*loop
	b *Bridge
}

func newAlone(t *testing.T, c Config) *alone {
	t.Helper()
	b, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	l, err := newLoop(t.Context(), func() {}, newQueue(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.poll.close)
	return &alone{l, b}
}

// open has the loop accept a stream, and returns it once it has connected.
func (l *alone) open(t *testing.T, in *script, g shadow) (*stream, *net.TCPConn) {
	t.Helper()
	l.accept(l.b, in)
	s := l.fresh[len(l.fresh)-1]
	l.until(t, "a connection", func() bool { return s.phase != dialing })
	return s, g.accept(t)
}

func (l *alone) until(t *testing.T, what string, cond func() bool) {
	t.Helper()
	eventually(t, what, func() bool {
		l.round()
		return cond()
	})
}

// once plays a stream from its beginning to its end in order.
func (l *alone) once(t *testing.T, g shadow) {
	t.Helper()
	in := newScript()
	s, c := l.open(t, in, g)
	in.end(io.EOF)
	l.until(t, "the client's FIN", func() bool { return s.finSent })
	c.Close()
	l.until(t, "an end", func() bool { return s.phase == ended })
	want(t, "outcome", in.outcome(t), "complete")
}

// socket tells the socket of a stream from all others of the process.
func socket(t *testing.T, s *stream) string {
	t.Helper()
	name, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", s.tcp.fd))
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// A stream whose connection has ended in order leaves its socket to the next one, which is
// a connection of its own all the same.
func TestSocketsAreUsedAgain(t *testing.T) {
	g := newTarget(t)
	l := newAlone(t, Config{Target: g.addr()})
	var first string
	seen := make(map[string]bool)
	for i := range 3 {
		in := newScript()
		in.send(fmt.Appendf(nil, "stream %d", i))
		s, c := l.open(t, in, g)
		if seen[c.RemoteAddr().String()] {
			t.Errorf("connection %d comes from %v again", i, c.RemoteAddr())
		}
		seen[c.RemoteAddr().String()] = true
		if name := socket(t, s); first == "" {
			first = name
		} else {
			want(t, "socket", name, first)
		}
		in.end(io.EOF)
		l.until(t, "the client's FIN", func() bool { return s.finSent })
		expect(t, c, fmt.Appendf(nil, "stream %d", i), nil)
		if _, err := c.Write(random(100)); err != nil { // less than the loop is told of
			t.Fatal(err)
		}
		c.Close()
		l.until(t, "an end", func() bool { return s.phase == ended })
		want(t, "outcome", in.outcome(t), "complete")
	}
}

// The acknowledgement of the SYN-ACK goes with the first bytes on a used socket too.
func TestUsedSocketDefersItsACK(t *testing.T) {
	fewest := ^uint32(0)
	for range 10 { // the kernel sends it after a while, but not each time before it is looked for
		g := newTarget(t)
		l := newAlone(t, Config{Target: g.addr()})
		l.once(t, g)
		l.accept(l.b, newScript())
		s := l.fresh[0]
		l.until(t, "a connection", func() bool { return s.phase == copying })
		info, err := unix.GetsockoptTCPInfo(s.tcp.fd, unix.IPPROTO_TCP, unix.TCP_INFO)
		if err != nil {
			t.Fatal(err)
		}
		fewest = min(fewest, info.Segs_out)
		l.loop.end(nil)
	}
	want(t, "segments sent: the SYN", fewest, uint32(1))
}

// The connection of a target that is silent behind the client's FIN is not over.
func TestSocketOfASilentTargetIsNotUsedAgain(t *testing.T) {
	g := newTarget(t)
	l := newAlone(t, Config{Target: g.addr(), LingerTimeout: 50 * time.Millisecond})
	in := newScript()
	s, _ := l.open(t, in, g)
	in.end(io.EOF)
	l.until(t, "an end", func() bool { return s.phase == ended })
	want(t, "outcome", in.outcome(t), "complete")
	want(t, "sockets that are kept", len(l.poll.used), 0)
}

// A connection from elsewhere, which is watched before it is set up, is not one that has been
// used.
func TestConnectionFromElsewhereIsSetUp(t *testing.T) {
	g := newTarget(t)
	l := newAlone(t, Config{Target: g.addr(), Dial: new(net.Dialer).DialContext})
	s, _ := l.open(t, newScript(), g)
	low, err := sleeper.RawGet(s.tcp.fd, unix.SOL_SOCKET, unix.SO_RCVLOWAT, 4)
	if err != nil {
		t.Fatal(err)
	}
	want(t, "SO_RCVLOWAT", low, int64(answerBatch))
	l.end(nil)
}

// Two streams at a time have two sockets.
func TestSocketInUseIsNotUsedAgain(t *testing.T) {
	g := newTarget(t)
	l := newAlone(t, Config{Target: g.addr()})
	a, b := newScript(), newScript()
	s, _ := l.open(t, a, g)
	other, _ := l.open(t, b, g)
	if socket(t, s) == socket(t, other) {
		t.Errorf("both are %s", socket(t, s))
	}
	l.end(nil)
}

// No other end leaves a socket: what the kernel knows of it could harm the next connection.
func TestSocketsThatAreNotUsedAgain(t *testing.T) {
	for _, row := range []struct {
		name string
		end  func(t *testing.T, l *alone, s *stream, in *script, c *net.TCPConn)
		want string
	}{
		{"the target closed first", func(t *testing.T, l *alone, s *stream, in *script, c *net.TCPConn) {
			c.Close()
			l.until(t, "the target's FIN", func() bool { return s.targetFIN })
			in.end(io.EOF)
		}, "complete"},
		{"the target reset", func(t *testing.T, l *alone, s *stream, in *script, c *net.TCPConn) {
			rst(c)
		}, "target-closed"},
		{"the target reset behind the client's FIN", func(t *testing.T, l *alone, s *stream, in *script, c *net.TCPConn) {
			in.end(io.EOF)
			l.until(t, "the client's FIN", func() bool { return s.finSent })
			rst(c)
		}, "target-closed"},
		{"the client reset", func(t *testing.T, l *alone, s *stream, in *script, c *net.TCPConn) {
			in.end(outcome.EndClientReset)
		}, "client-reset"},
		{"a shutdown", func(t *testing.T, l *alone, s *stream, in *script, c *net.TCPConn) {
			l.loop.end(nil)
		}, "shutdown"},
		{"much was sent", func(t *testing.T, l *alone, s *stream, in *script, c *net.TCPConn) {
			in.send(random(bufferSize + 1))
			in.end(io.EOF)
			go func() {
				io.Copy(io.Discard, c)
				c.Close()
			}()
		}, "complete"},
		{"the target is asked for signs of life", func(t *testing.T, l *alone, s *stream, in *script, c *net.TCPConn) {
			s.since -= int64(keepAlive)
			s.lookForLife()
			in.end(io.EOF)
			l.until(t, "the client's FIN", func() bool { return s.finSent })
			c.Close()
		}, "complete"},
	} {
		t.Run(row.name, func(t *testing.T) {
			g := newTarget(t)
			l := newAlone(t, Config{Target: g.addr()})
			in := newScript()
			s, c := l.open(t, in, g)
			row.end(t, l, s, in, c)
			l.until(t, "an end", func() bool { return s.phase == ended })
			want(t, "outcome", in.outcome(t), row.want)
			want(t, "sockets that are kept", len(l.poll.used), 0)
		})
	}
}

// Without timestamps the target's host could take a new connection for the one before between the
// same addresses, by its sequence numbers.
func TestSocketsWithoutTimestampsAreNotUsedAgain(t *testing.T) {
	runtime.LockOSThread() // for good: the thread ends with the test
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Skip("needs a network namespace: ", err)
	}
	raiseLoopback(t)
	if err := os.WriteFile("/proc/sys/net/ipv4/tcp_timestamps", []byte("0"), 0); err != nil {
		t.Skip(err)
	}
	g := newTarget(t)
	l := newAlone(t, Config{Target: g.addr()})
	l.once(t, g)
	want(t, "sockets that are kept", len(l.poll.used), 0)
}

func raiseLoopback(t *testing.T) {
	t.Helper()
	up, err := unix.NewIfreq("lo")
	if err != nil {
		t.Fatal(err)
	}
	up.SetUint16(unix.IFF_UP)
	fd, err := sleeper.RawSocket(unix.AF_INET)
	if err != nil {
		t.Fatal(err)
	}
	defer sleeper.RawClose(fd)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, up); err != nil {
		t.Fatal(err)
	}
}

// Nothing is kept while clients are silent.
func TestUsedSocketsAreClosed(t *testing.T) {
	g := newTarget(t)
	l := newAlone(t, Config{Target: g.addr()})
	l.once(t, g)
	want(t, "sockets that are kept", len(l.poll.used), 1)
	fd := l.poll.used[0].fd
	want(t, "the time to close it", l.due(), l.active+int64(latest))
	l.now = l.active + int64(latest)
	l.in.post(func() {}) // so that sleep returns
	l.sleep()
	want(t, "sockets that are kept", len(l.poll.used), 0)
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != unix.EBADF {
		t.Errorf("the descriptor is not closed: %v", err)
	}
}

// They are closed too where targets may wake the loop, as they may behind a large answer.
func TestUsedSocketsAreClosedBehindLargeAnswers(t *testing.T) {
	g := newTarget(t)
	h := serve(t, Config{Target: g.addr()})
	in := h.open(t, []byte("a request"))
	c := g.accept(t)
	files := descriptors(t)
	in.end(io.EOF)
	expect(t, c, []byte("a request"), nil)
	if _, err := c.Write(random(10 * answerBatch)); err != nil {
		t.Fatal(err)
	}
	c.Close()
	want(t, "outcome", in.outcome(t), "complete")
	eventually(t, "the close of both sockets", func() bool { return descriptors(t) == files-2 })
}

// A socket serves what it was made for: it keeps its mark and its source address.
func TestSocketsServeTheirKind(t *testing.T) {
	kinds := []socketKind{{family: unix.AF_INET}, {family: unix.AF_INET6}, {family: unix.AF_INET, mark: 1},
		{family: unix.AF_INET, source: netip.MustParseAddr("127.0.0.1")}}
	p, err := newPoller()
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	for i := range kinds {
		if _, ok := p.again(&kinds[i]); ok {
			t.Errorf("%+v got a socket of another kind", kinds[i])
		}
		fd, err := sleeper.RawSocket(int(kinds[i].family))
		if err != nil {
			t.Fatal(err)
		}
		slot, err := p.add(&stream{}, fd, allEvents)
		if err != nil {
			t.Fatal(err)
		}
		p.keep(usedSocket{kind: &kinds[i], fd: fd, slot: slot})
	}
	for i := range kinds {
		same := kinds[i]
		if _, ok := p.again(&same); !ok {
			t.Errorf("none of %+v", kinds[i])
		}
	}
}

// A used socket does not take the last descriptor from a new one of another kind.
func TestUsedSocketsMakeRoom(t *testing.T) {
	p, err := newPoller()
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	fd, err := p.socket(unix.AF_INET6)
	if err != nil {
		t.Fatal(err)
	}
	slot, err := p.add(&stream{}, fd, allEvents)
	if err != nil {
		t.Fatal(err)
	}
	p.keep(usedSocket{kind: &socketKind{family: unix.AF_INET6}, fd: fd, slot: slot})

	var was unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &was); err != nil {
		t.Fatal(err)
	}
	defer unix.Setrlimit(unix.RLIMIT_NOFILE, &was)
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: uint64(fd) + 1, Max: was.Max}); err != nil {
		t.Fatal(err)
	}
	for {
		low, err := sleeper.RawSocket(unix.AF_INET)
		if err != nil {
			break
		}
		defer sleeper.RawClose(low)
	}
	if fd, err = p.socket(unix.AF_INET); err != nil {
		t.Fatal(err)
	}
	sleeper.RawClose(fd)
	want(t, "sockets that are kept", len(p.used), 0)
}

// The kernel binds a socket that connects to a link-local address to its interface for good.
func TestKindsOfAddresses(t *testing.T) {
	for _, row := range []struct {
		target, to string
		zone       uint32
		again      bool
	}{
		{"127.0.0.1:80", "127.0.0.1:80", 0, true},
		{"[::1]:80", "[::1]:80", 0, true},
		{"[fe80::1%lo]:80", "[fe80::1]:80", 1, false},
		{"tls://127.0.0.1:80", "127.0.0.1:80", 0, false},
	} {
		b, err := New(Config{Target: row.target})
		if err != nil {
			t.Fatal(err)
		}
		sock := sockaddrOf(netip.MustParseAddrPort(row.to), row.zone)
		if kind := b.kind(&sock); (kind != nil) != row.again {
			t.Errorf("%s: kind %v", row.target, kind)
		}
	}
}
