package stack

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"netmirror/outcome"
)

// connected is how many connections gVisor has.
func (s *Stack) connected() int { return int(s.ns.Counts().Connected) }

// TestStreamsShareAConnection plays clients one after the other, with sequence numbers of their
// own, some of which wrap around. Each stream must have its client's bytes only, although
// gVisor sees one connection.
func TestStreamsShareAConnection(t *testing.T) {
	s := newTestStack(t, nil)
	dice := rand.New(rand.NewPCG(1, 2))
	for i := range 200 {
		c := newClient(t, dice.Uint32())
		if i%4 == 0 {
			c.isn = -uint32(dice.IntN(2000))
		}
		c.src = netip.AddrPortFrom(c.src.Addr(), uint16(1000+i))
		sent := bytes.Repeat([]byte{byte(i)}, dice.IntN(3000))
		s.Inject(append(append(c.opening(), c.stream(0, sent, 1+dice.IntN(1460))...), c.fin(len(sent))))
		if got, err := readAll(t, accept(t, s)); !bytes.Equal(got, sent) || err != nil {
			t.Fatalf("stream %d has %d bytes, %v, want %d", i, len(got), err, len(sent))
		}
	}
	if n := s.connected(); n != 1 {
		t.Errorf("gVisor has %d connections, want one", n)
	}
}

// kept is how many connections to gVisor are kept.
func (s *Stack) kept() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.spares)
}

// TestWhatSparesHold ends a connection in one way or the other. gVisor's part of it may serve the
// next one only if nothing of the first is left in there.
func TestWhatSparesHold(t *testing.T) {
	one := func(s stream) []stream { return []stream{s} }
	for _, tc := range []struct {
		name  string
		play  func(s *timed, c *client)
		onGap OnGap
		want  []stream
		spare int
	}{
		{"FIN", func(s *timed, c *client) { s.Inject([]Segment{c.fin(3)}) }, GapReset, one(text("abc", nil)), 1},
		{"FIN, nothing sent before it was read", func(s *timed, c *client) {
			s.pass(time.Second)
			s.Inject([]Segment{c.fin(3)})
		}, GapReset, one(text("abc", nil)), 1},
		{"RST", func(s *timed, c *client) { s.Inject([]Segment{c.rst(3)}) }, GapReset, one(text("abc", outcome.EndClientReset)), 1},
		{"idle", func(s *timed, _ *client) { s.pass(11 * time.Minute) }, GapReset, one(text("abc", outcome.EndIdle)), 1},
		{"spliced", func(s *timed, c *client) {
			s.Inject([]Segment{c.data(10, []byte("def")), c.data(13, []byte("g"))})
			s.pass(2 * time.Second)
			s.Inject([]Segment{c.fin(14)})
		}, GapSplice, one(text("abcdefg", nil)), 1},
		{"hole, bytes behind it", func(s *timed, c *client) {
			s.Inject([]Segment{c.data(10, []byte("def")), c.data(13, []byte("g")), c.fin(14)})
		}, GapReset, one(text("abc", outcome.EndGap)), 0},
		{"hole, only a FIN behind it", func(s *timed, c *client) { s.Inject([]Segment{c.fin(14)}) }, GapReset, one(text("abc", outcome.EndGap)), 1},
		{"replaced behind a hole", func(s *timed, c *client) {
			s.Inject([]Segment{c.data(10, []byte("def")), c.data(13, []byte("g")), c.data(20, []byte("h"))})
			next := c.next(c.isn + 1<<20)
			s.Inject(append(next.opening(), next.fin(0)))
		}, GapReset, []stream{text("abc", outcome.EndGap), text("", nil)}, 1}, // of the next
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newTimed(t, func(c *Config) { c.Services = []Service{{OnGap: tc.onGap}} })
			c := newClient(t, 5000)
			s.Inject(append(c.opening(), c.data(0, []byte("abc"))))
			s.pass(20 * time.Millisecond)
			tc.play(s, c)
			s.pass(12 * time.Second)
			waitFor(t, "the streams to end", func() bool { return s.Stats().Flows == 0 })
			if n := s.kept(); n != tc.spare {
				t.Errorf("%d connections to gVisor are kept, want %d", n, tc.spare)
			}
			// Its numbers are where the missing bytes were.
			for port := range uint16(3) {
				d := newClient(t, 5003)
				d.src = netip.AddrPortFrom(d.src.Addr(), 1000+port)
				s.Inject(append(d.opening(), d.data(0, []byte("0123456789abcdef")), d.fin(16)))
				s.pass(20 * time.Millisecond)
			}
			s.is(c, tc.want...)
			for port := range uint16(3) {
				got := s.streams[fmt.Sprintf("192.0.2.7:%d", 1000+port)]
				if len(got) != 1 || string(got[0].bytes) != "0123456789abcdef" || got[0].err != nil {
					t.Errorf("the stream of a later client: %q", describe(got))
				}
			}
		})
	}
}

// TestUnreadBytesStayWithTheirStream gives a stream up whose bytes nobody has read.
func TestUnreadBytesStayWithTheirStream(t *testing.T) {
	s := newTestStack(t, nil)
	c := newClient(t, 1)
	for i, how := range []outcome.End{outcome.EndTargetClosed, outcome.EndFailed, outcome.EndShed, outcome.EndTargetSlow} {
		c.src = netip.AddrPortFrom(c.src.Addr(), uint16(1000+i))
		s.Inject(append(c.opening(), c.data(0, []byte("never read")), c.fin(10)))
		conn := accept(t, s)
		waitFor(t, "gVisor to have the bytes", func() bool { return conn.unread() == 10 })
		conn.CloseWith(how)
		d := newClient(t, 1)
		d.src = netip.AddrPortFrom(d.src.Addr(), uint16(2000+i))
		s.Inject(append(d.opening(), d.data(0, []byte("own")), d.fin(3)))
		if got, err := readAll(t, accept(t, s)); string(got) != "own" || err != nil {
			t.Errorf("after %v: %q, %v", how, got, err)
		}
	}
}

// TestASecondFIN sends a FIN where the first one has ended, before the reader comes to the end. It
// ends nothing, and the next stream on the connection to gVisor is right.
func TestASecondFIN(t *testing.T) {
	s := newTestStack(t, nil)
	c, d := newClient(t, 1000), newClient(t, 9000)
	d.src = netip.AddrPortFrom(d.src.Addr(), 2000)
	s.Inject(append(c.opening(), c.data(0, []byte("abc")), c.fin(3)))
	conn := accept(t, s)
	waitFor(t, "gVisor to have the bytes", func() bool { return conn.unread() == 3 })
	settled(t, s)
	s.Inject([]Segment{c.fin(4)})
	settled(t, s)
	if got, err := readAll(t, conn); string(got) != "abc" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	s.Inject(append(d.opening(), d.data(0, []byte("own")), d.fin(3)))
	if got, err := readAll(t, accept(t, s)); string(got) != "own" || err != nil {
		t.Errorf("the next stream: %q, %v", got, err)
	}
	if n := s.connected(); n != 1 {
		t.Errorf("gVisor has %d connections, want one", n)
	}
}

// TestSparesHaveABound is about memory: hundreds of connections at once leave some behind, and
// none where the budget is small.
func TestSparesHaveABound(t *testing.T) {
	for budget, want := range map[int]int{256 << 20: 256, 16 << 20: 16, 512 << 10: 0} {
		t.Run(fmt.Sprintf("%d MiB", budget>>20), func(t *testing.T) {
			s := newTestStack(t, func(c *Config) { c.TotalBytes = budget })
			c := newClient(t, 1)
			var conns []*Conn
			for i := range uint16(300) {
				c.src = netip.AddrPortFrom(c.src.Addr(), 1000+i)
				c.dst = netip.AddrPortFrom(c.dst.Addr(), 8080+i%2)
				s.Inject(append(c.opening(), c.data(0, []byte("x")), c.fin(1)))
				conns = append(conns, accept(t, s))
			}
			for _, conn := range conns {
				readAll(t, conn)
			}
			waitFor(t, "all streams to end", func() bool { return s.Stats().Flows == 0 })
			waitFor(t, "the others to go", func() bool { return s.connected() == want })
			if got := s.kept(); got != want {
				t.Errorf("%d are kept, want %d", got, want)
			}
		})
	}
}

// TestAHandshakeIsRetriedOnASpare loses gVisor's answer to a handshake. A spare that another
// stream has left meanwhile takes its place.
func TestAHandshakeIsRetriedOnASpare(t *testing.T) {
	s := newTimed(t, nil)
	c, d := newClient(t, 1000), newClient(t, 5000)
	d.src = netip.AddrPortFrom(d.src.Addr(), 2000)
	s.Inject(append(c.opening(), c.data(0, []byte("one"))))
	s.pass(tick)
	s.Stack.mu.Lock()
	s.takeBatch(s.Stack.read(append(d.opening(), d.data(0, []byte("two")), d.fin(3)), nil))
	for _, f := range s.flows {
		if f.base == 5001 {
			s.connect(f)
			delete(s.clients, f.virtual.id)
		}
	}
	s.Stack.mu.Unlock()
	s.Inject([]Segment{c.fin(3)})
	waitFor(t, "a spare", func() bool { return s.kept() == 1 })
	s.clk.elapsed.Add(int64(minReopen))
	s.signal()
	waitFor(t, "the stream to end", func() bool { return s.Stats().Flows == 0 })
	s.is(d, text("two", nil))
}
