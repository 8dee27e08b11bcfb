package stack

import (
	"net/netip"
	"testing"
	"time"

	"netmirror/outcome"
)

// A FIN comes where a segment that lies behind it is here already. One of the two is none
// of the connection's.
func TestAFINWithDataBehindIt(t *testing.T) {
	const n, m = len(get1), 500
	rest := append(pattern(m), get2...)
	for _, tc := range []struct {
		name   string
		before time.Duration // after the data, before the FIN
		play   func(s *timed, c *client)
		want   stream
	}{
		{"what is between comes", 0, func(s *timed, c *client) {
			s.pass(20 * time.Millisecond)
			s.Inject([]Segment{c.data(n, rest[:m]), c.fin(n + len(rest))})
		}, text(get1+string(rest), nil)},
		{"what is between comes in pieces, out of order", 0, func(s *timed, c *client) {
			s.pass(20 * time.Millisecond)
			s.Inject([]Segment{c.data(n+100, rest[100:m]), c.data(n, rest[:100]), c.fin(n + len(rest))})
		}, text(get1+string(rest), nil)},
		{"nothing comes", 10 * time.Millisecond, func(s *timed, c *client) { s.pass(2 * time.Second) }, text(get1, outcome.EndGap)},
		{"the client was still there later", 100 * time.Millisecond, func(s *timed, c *client) { s.pass(20 * time.Millisecond) }, text(get1, nil)},
		{"it acknowledges the server's FIN later", 0, func(s *timed, c *client) {
			s.pass(100 * time.Millisecond)
			s.Inject([]Segment{c.ack(n + 1)})
			s.pass(20 * time.Millisecond)
		}, text(get1, nil)},
		{"the server has it", 0, func(s *timed, c *client) {
			s.Inject([]Segment{c.answer(1000, n+1, "", nil)})
			s.pass(20 * time.Millisecond)
		}, text(get1, nil)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newTimed(t, func(c *Config) { c.Services = []Service{{Midstream: MidstreamOff}} })
			c := newClient(t, 1000)
			s.Inject(append(c.opening(), c.data(0, []byte(get1))))
			s.pass(10 * time.Millisecond)
			s.Inject([]Segment{c.data(n+m, rest[m:])})
			s.pass(tc.before)
			s.Inject([]Segment{c.fin(n)})
			tc.play(s, c)
			s.is(c, tc.want)
		})
	}
}

// What lies further ahead than a client has anything on its way is no reason to wait.
func TestAFINWithDataFarBehindIt(t *testing.T) {
	const n = len(get1)
	s := newTimed(t, nil)
	c := newClient(t, 1000)
	s.Inject(append(openWide(c), c.data(0, []byte(get1)), c.answer(1000, n, "", wide)))
	s.pass(10 * time.Millisecond)
	s.Inject([]Segment{c.data(n+1<<20, []byte(get2)), c.fin(n)})
	s.pass(20 * time.Millisecond)
	s.is(c, text(get1, nil))
}

// TestAFINInWhatIsPickedUp has a target close in the middle of a request, of which gVisor has taken
// a part. The next request and the FIN behind it have come already.
func TestAFINInWhatIsPickedUp(t *testing.T) {
	s := newTestStack(t, nil)
	c := newClient(t, 1000)
	all := append(append([]byte("POST / HTTP/1.1\r\nContent-Length: 600000\r\n\r\n"), pattern(600_000)...), get2...)
	s.Inject(append(append(c.opening(), c.stream(0, all, 1400)...), c.fin(len(all))))
	conn := accept(t, s)
	readExactly(t, conn, 100)
	conn.CloseWith(outcome.EndTargetClosed)
	if got, err := readAll(t, accept(t, s)); string(got) != get2 || err != nil {
		t.Errorf("the next stream: %q, %v", got, err)
	}
}

// A stream that has all of its bytes and its end needs no looking after while its target is
// slow.
func TestACompleteStreamIsLeftAlone(t *testing.T) {
	s := newTestStack(t, nil)
	c := newClient(t, 1000)
	s.Inject(append(c.opening(), c.data(0, []byte(get1)), c.fin(len(get1))))
	conn := accept(t, s)
	waitFor(t, "the flow to be left alone", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.active) == 0 && s.nextLook() == idleTick
	})
	if got, err := readAll(t, conn); string(got) != get1 || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

// A FIN that comes right behind the handshake's data is not lost: gVisor puts the data off.
func TestAFINRightBehindTheHandshake(t *testing.T) {
	s := newTimed(t, nil)
	for i := range 500 {
		c := newClient(t, uint32(i)<<20)
		c.src = netip.AddrPortFrom(c.src.Addr(), uint16(10_000+i))
		s.Inject(append(c.opening(), c.data(0, []byte(get1))))
		s.Inject([]Segment{c.fin(len(get1))})
		settled(t, s.Stack)
	}
}
