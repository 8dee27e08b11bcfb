package stack

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/gopacket/layers"

	"netmirror/outcome"
)

// timed is a stack whose time the test lets pass, and its readers.
type timed struct {
	*Stack
	*readers
	clk *clock
	t   *testing.T
}

func newTimed(t *testing.T, set func(*Config)) *timed {
	t.Helper()
	clk := new(clock)
	s := newTestStack(t, func(c *Config) {
		c.Now = clk.now
		if set != nil {
			set(c)
		}
	})
	return &timed{s, readEverything(s), clk, t}
}

func (s *timed) pass(d time.Duration) {
	s.t.Helper()
	s.clk.pass(s.t, s.Stack, d)
}

// is checks what has been read of the client's streams when all has come to
// an end, and how they ended.
func (s *timed) is(c *client, want ...stream) {
	s.t.Helper()
	s.Shutdown()
	s.pass(time.Second)
	s.wg.Wait()
	got := s.streams[c.src.String()]
	slices.SortFunc(got, func(a, b stream) int { return a.nth - b.nth })
	if !slices.EqualFunc(got, want, func(a, b stream) bool {
		return bytes.Equal(a.bytes, b.bytes) && errors.Is(a.err, b.err)
	}) {
		s.t.Errorf("streams %q, want %q", describe(got), describe(want))
	}
}

// ask is the n-th request of a client on one connection, and where in it the
// segment begins; every request has an answer before the next.
func (c *client) ask(off int, text string, n uint32) Segment {
	return c.packet(off, []byte(text), func(t *layers.TCP) { t.Ack = 1000 * n })
}

const get1, get2, get3 = "GET /1 HTTP/1.1\r\n\r\n", "GET /2 HTTP/1.1\r\n\r\n", "GET /3 HTTP/1.1\r\n\r\n"

func text(s string, err error) stream { return stream{bytes: []byte(s), err: err} }

func TestPickup(t *testing.T) {
	const n = len(get1)
	body := "PUT /1 HTTP/1.1\r\nContent-Length: 40\r\n\r\n"
	for _, tc := range []struct {
		name string
		mode Midstream
		isn  uint32
		play func(s *timed, c *client)
		want []stream
	}{
		{name: "older than netmirror: from the next request on", play: func(s *timed, c *client) {
			s.Inject([]Segment{c.ask(0, "the end of a body", 1), c.ask(17, get1, 2), c.ask(17+n, get2, 3), c.fin(17 + 2*n)})
		}, want: []stream{text(get1+get2, nil)}},
		{name: "older than netmirror, not at all", mode: MidstreamOff, play: func(s *timed, c *client) {
			s.Inject([]Segment{c.ask(0, get1, 1), c.fin(n)})
		}},
		{name: "older than netmirror, at any segment", mode: MidstreamAny, play: func(s *timed, c *client) {
			s.Inject([]Segment{c.ask(0, "binary", 1), c.ask(6, "more", 1), c.fin(10)})
		}, want: []stream{text("binarymore", nil)}},
		{name: "SYN lost: the first request begins the stream", play: func(s *timed, c *client) {
			s.Inject([]Segment{c.ack(0), c.ask(0, get1, 1), c.fin(n)})
		}, want: []stream{text(get1, nil)}},
		{name: "SYN late", mode: MidstreamOff, play: func(s *timed, c *client) {
			s.Inject([]Segment{c.ask(0, get1, 1)})
			s.pass(500 * time.Millisecond)
			s.Inject([]Segment{c.syn(), c.fin(n)})
		}, want: []stream{text(get1, nil)}},
		{name: "SYN so late that the stream has begun", play: func(s *timed, c *client) {
			s.Inject([]Segment{c.ask(n, get2, 2)})
			s.pass(200 * time.Millisecond)
			s.Inject([]Segment{c.syn(), c.ask(0, get1, 1), c.ask(2*n, get3, 3), c.fin(3 * n)})
		}, want: []stream{text(get2+get3, nil)}},
		{name: "two requests that overtook each other", play: func(s *timed, c *client) {
			s.Inject([]Segment{c.ask(n, get2, 2)})
			s.pass(20 * time.Millisecond)
			s.Inject([]Segment{c.ask(0, get1, 1), c.fin(2 * n)})
		}, want: []stream{text(get1+get2, nil)}},
		{name: "the body overtook its request", play: func(s *timed, c *client) {
			s.Inject([]Segment{c.ask(len(body), "xyz", 1), c.ask(0, body, 1), c.fin(len(body) + 3)})
		}, want: []stream{text(body+"xyz", nil)}},
		{name: "a request line in three segments", play: func(s *timed, c *client) {
			s.Inject([]Segment{c.ask(0, "GE", 1), c.ask(2, "T /1 HT", 1), c.ask(9, get1[9:], 1), c.fin(n)})
		}, want: []stream{text(get1, nil)}},
		{name: "a body that looks like a request", play: func(s *timed, c *client) {
			s.Inject([]Segment{c.ask(0, "end of a head\r\n\r\n", 1), c.ask(17, get1, 1), c.ask(17+n, get2, 2), c.fin(17 + 2*n)})
		}, want: []stream{text(get2, nil)}},
		{name: "a body that looks like a request, long after its head", play: func(s *timed, c *client) {
			s.Inject([]Segment{c.ask(0, "end of a head\r\n\r\n", 1)})
			s.pass(5 * time.Second)
			s.Inject([]Segment{c.ask(17, get1, 1)})
			s.pass(5 * time.Second)
			s.Inject([]Segment{c.ask(17+n, get2, 2), c.fin(17 + 2*n)})
		}, want: []stream{text(get2, nil)}},
		{name: "requests sent without an answer between them", play: func(s *timed, c *client) {
			s.Inject([]Segment{c.ask(0, get1, 1), c.ask(n, get2, 1), c.fin(2 * n)})
		}, want: []stream{text(get1+get2, nil)}},
		{name: "the server's SYN-ACK instead of the SYN", mode: MidstreamOff, play: func(s *timed, c *client) {
			s.Inject([]Segment{c.server(999, 0, "SA"), c.ask(0, get1, 1), c.fin(n)})
		}, want: []stream{text(get1, nil)}},
		{name: "the server's SYN-ACK behind the first data", mode: MidstreamOff, play: func(s *timed, c *client) {
			s.Inject([]Segment{c.ask(0, get1, 1), c.server(999, 0, "SA"), c.fin(n)})
		}, want: []stream{text(get1, nil)}},
		{name: "the next connection of a pair of ports, its SYN lost", play: func(s *timed, c *client) {
			s.Inject(append(c.opening(), c.ask(0, get1, 1), c.fin(n)))
			waitFor(s.t, "the end of the first", func() bool { return s.open() == 0 })
			s.Inject([]Segment{c.ask(0, get1, 1), c.fin(n), c.ask(1<<20, get2, 1), c.fin(1<<20 + n)})
		}, want: []stream{text(get1, nil), text(get2, nil)}},
		{name: "HTTP/2 that lost a packet", play: func(s *timed, c *client) {
			s.Inject(append(c.opening(), c.ask(0, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 1), c.ask(100, get1, 2)))
			s.pass(2 * time.Second)
			s.Inject([]Segment{c.ask(200, get2, 3)})
		}, want: []stream{text("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", outcome.EndGap)}},
		{name: "an upgrade to HTTP/2 that lost a packet", play: func(s *timed, c *client) {
			s.Inject(append(c.opening(), c.ask(0, get1, 1), c.ask(n, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 2), c.ask(200, get2, 3)))
			s.pass(2 * time.Second)
			s.Inject([]Segment{c.ask(300, get3, 4)})
		}, want: []stream{text(get1+"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", outcome.EndGap)}},
		{name: "HTTP/2 older than netmirror", play: func(s *timed, c *client) {
			s.Inject([]Segment{c.ask(0, "\x00\x00\x04\x08\x00\x00\x00\x00\x00\x00\x01\x00\x00", 1)})
			s.pass(time.Second)
			s.Inject([]Segment{c.ask(13, "\x00\x00\x11\x01\x05\x00\x00\x00\x01GET /1 HTTP/1.1\r\n", 2)})
		}},
		{name: "TLS that lost a packet", play: func(s *timed, c *client) {
			s.Inject(append(c.opening(), c.ask(0, "\x16\x03\x01", 1), c.ask(100, get1, 2)))
			s.pass(2 * time.Second)
		}, want: []stream{text("\x16\x03\x01", outcome.EndGap)}},
		{name: "copies of what a stream had, behind its end, any segment being a start", mode: MidstreamAny, play: func(s *timed, c *client) {
			s.Inject(append(c.opening(), c.ask(0, "first", 1), c.ask(100, "behind a hole", 1)))
			s.pass(2 * time.Second)
			s.Inject([]Segment{c.ask(0, "first", 1), c.ask(100, "behind a hole", 1), c.fin(113)})
		}, want: []stream{text("first", outcome.EndGap), text("behind a hole", nil)}},
		{name: "copies of what netmirror has passed over, any segment being a start", mode: MidstreamAny, play: func(s *timed, c *client) {
			s.Inject(append(c.opening(), c.ask(0, "first", 1), c.ask(5, "more", 1)))
			s.pass(10 * time.Millisecond)
			s.Inject([]Segment{c.ack(100)}) // something is lost behind it
			s.pass(2 * time.Second)
			s.Inject([]Segment{c.ask(5, "more", 1)})
			s.pass(200 * time.Millisecond)
			s.Inject([]Segment{c.ask(100, "next", 1), c.fin(104)})
		}, want: []stream{text("firstmore", outcome.EndGap), text("next", nil)}},
		{name: "a second copy of a whole connection, late", play: func(s *timed, c *client) {
			all := append(c.opening(), c.ask(0, get1, 1), c.fin(n))
			s.Inject(all)
			waitFor(s.t, "the end of the first", func() bool { return s.open() == 0 })
			s.pass(20 * time.Millisecond)
			s.Inject(all)
		}, want: []stream{text(get1, nil)}},
		{name: "a second copy of a connection that was picked up, its SYN among it", play: func(s *timed, c *client) {
			s.Inject([]Segment{c.ask(n, get2, 1), c.fin(2 * n)})
			s.pass(100 * time.Millisecond)
			waitFor(s.t, "the end of the first", func() bool { return s.open() == 0 })
			s.Inject([]Segment{c.syn(), c.ack(0), c.ask(n, get2, 1), c.fin(2 * n)})
		}, want: []stream{text(get2, nil)}},
		{name: "data in the SYN, and then acknowledgements only", play: func(s *timed, c *client) {
			s.Inject([]Segment{c.packet(-1, []byte(get1), func(t *layers.TCP) { t.SYN, t.ACK, t.Ack = true, false, 0 }), c.ack(n)})
			s.pass(40 * time.Second)
			s.Inject([]Segment{c.ask(n, get2, 2), c.fin(2 * n)})
		}, want: []stream{text(get1+get2, nil)}},
		{name: "a keep-alive probe with a byte, on a connection older than netmirror", play: func(s *timed, c *client) {
			s.Inject([]Segment{c.ask(99, "\x00", 1)})
			s.pass(5 * time.Second)
			s.Inject([]Segment{c.ask(99, "\x00", 1), c.ask(100, get1, 1), c.ask(100+n, get2, 2), c.fin(100 + 2*n)})
		}, want: []stream{text(get1+get2, nil)}},
		{name: "sequence numbers that wrap", isn: 0xfffffff0, play: func(s *timed, c *client) {
			s.Inject([]Segment{c.ask(0, "body", 1), c.ask(4, get1, 2), c.ask(4+n, get2, 3), c.fin(4 + 2*n)})
		}, want: []stream{text(get1+get2, nil)}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newTimed(t, func(c *Config) { c.Services = []Service{{Midstream: tc.mode}} })
			c := newClient(t, tc.isn)
			tc.play(s, c)
			s.pass(200 * time.Millisecond)
			s.is(c, tc.want...)
		})
	}
}

// server is a segment of the real server's: what it sent before is seq, and
// what it received ends off bytes into the client's stream.
func (c *client) server(seq uint32, off int, flags string) Segment {
	d := *c
	d.src, d.dst = c.dst, c.src
	m := d.packet(0, nil, func(t *layers.TCP) {
		t.Seq, t.Ack = seq, c.isn+1+uint32(off)
		for _, f := range flags {
			t.SYN = t.SYN || f == 'S'
			t.FIN = t.FIN || f == 'F'
			t.RST = t.RST || f == 'R'
		}
	})
	m.FromServer = true
	return m
}

// What waits for a request when there is no more to come lacks its beginning: the
// shutdown has not lost it.
func TestNoStartBeforeTheShutdown(t *testing.T) {
	s := newTimed(t, nil)
	s.Inject([]Segment{newClient(t, 9).ask(0, "a body", 1)})
	s.Shutdown()
	if st := s.Stats(); st.Dropped[outcome.DropMidStream] != 1 || st.Dropped[outcome.DropShutdown] != 0 {
		t.Errorf("%d packets dropped as of no stream, %d by the shutdown; want 1, 0", st.Dropped[outcome.DropMidStream], st.Dropped[outcome.DropShutdown])
	}
}

func TestManyFlowsWaitForAStart(t *testing.T) {
	s := newTimed(t, nil)
	c := newClient(t, 9)
	for i := range uint16(500) {
		c.src = netip.AddrPortFrom(c.src.Addr(), 1000+i)
		s.Inject([]Segment{c.ask(0, "a body", 1)})
	}
	s.pass(2 * time.Second)
	st := s.Stats()
	if st.Flows != 0 || st.Held != 0 || st.Dropped[outcome.DropMidStream] != 500 || s.held != 0 {
		t.Errorf("%d flows, %d packets held, %d dropped; want none held, 500 dropped", st.Flows, st.Held, st.Dropped[outcome.DropMidStream])
	}
	s.Shutdown()
}

// A client may write its request line in pieces, as one that types it. It is waited for where a
// stream is to begin with it: in a connection older than netmirror, and behind a loss.
func TestPickupOfALineInPieces(t *testing.T) {
	const n, typed = len(get1), "GET /typed HTTP/1.1\r\n\r\n"
	for _, ms := range []time.Duration{5, 60, 100, 400} {
		pause := ms * time.Millisecond
		for _, behindLoss := range []bool{false, true} {
			t.Run(fmt.Sprint(pause, " a byte, behind a loss: ", behindLoss), func(t *testing.T) {
				s := newTimed(t, nil)
				c := newClient(t, 0xffffffff-5)
				at, want := 0, []stream{text(typed, nil)}
				if behindLoss {
					s.Inject([]Segment{c.syn(), c.accepts(502, 0), c.ack(0), c.ask(0, get1, 1), c.answer(1000, n, noContent, nil)})
					at = 2 * n // get2 is lost
					s.Inject([]Segment{c.answer(1027, at, noContent, nil), c.packet(at, nil, func(t *layers.TCP) { t.Ack = 1054 })})
					want = append([]stream{text(get1, outcome.EndGap)}, want...)
				}
				for i := range typed {
					s.Inject([]Segment{c.packet(at+i, []byte(typed[i:i+1]), func(t *layers.TCP) { t.Ack, t.PSH = 1054, true })})
					s.pass(pause)
				}
				s.Inject([]Segment{c.packet(at+len(typed), nil, func(t *layers.TCP) { t.FIN, t.Ack = true, 2000 })})
				s.pass(time.Second)
				s.is(c, want...)
			})
		}
	}
}
