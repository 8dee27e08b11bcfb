package stack

import (
	"testing"
	"time"

	"github.com/google/gopacket/layers"

	"netmirror/outcome"
)

// synWith is a SYN with data (RFC 7413).
func (c *client) synWith(data string) Segment {
	return c.packet(-1, []byte(data), func(t *layers.TCP) { t.SYN, t.ACK, t.Ack = true, false, 0 })
}

// next is a client's next connection on the same ports.
func (c *client) next(isn uint32) *client {
	n := *c
	n.isn = isn
	return &n
}

// get is a whole connection with one request.
func (c *client) get(text string) []Segment {
	return append(c.opening(), c.ask(0, text, 1), c.fin(len(text)))
}

// The next connections on the same ports are the same whether the target of the one before
// has read its stream or has not.
func TestConnectionsOnTheSamePorts(t *testing.T) {
	const n, ms = len(get1), time.Millisecond
	binary := "no HTTP, which only a SYN lets through"
	long := "POST / HTTP/1.1\r\nContent-Length: 600000\r\n\r\n" + string(pattern(600_000))
	for _, tc := range []struct {
		name string
		play func(s *timed, c, d *client) // d is c's next connection
		want []stream
	}{
		{"the SYN is lost", func(s *timed, c, d *client) {
			s.Inject(c.get(get1))
			s.pass(time.Second)
			s.Inject([]Segment{d.ask(0, get2, 5000), d.fin(n)})
		}, []stream{text(get1, nil), text(get2, nil)}},
		{"the SYN is late", func(s *timed, c, d *client) {
			s.Inject(c.get(get1))
			s.pass(time.Second)
			s.Inject([]Segment{d.ask(0, get2, 5000)})
			s.pass(10 * ms)
			s.Inject([]Segment{d.syn(), d.ask(n, get3, 5001), d.fin(2 * n)})
		}, []stream{text(get1, nil), text(get2+get3, nil)}},
		{"the SYN is lost, and the server's answer to it is not", func(s *timed, c, d *client) {
			s.Inject(c.get(get1))
			s.pass(time.Second)
			s.Inject([]Segment{d.accepts(65535, 7), d.ack(0), d.ask(0, binary, 1), d.fin(len(binary))})
		}, []stream{text(get1, nil), text(binary, nil)}},
		{"the SYN is lost, and the end of the one before", func(s *timed, c, d *client) {
			s.Inject(append(c.opening(), c.ask(0, get1, 1)))
			s.pass(time.Second)
			s.Inject([]Segment{d.accepts(65535, 7), d.ack(0), d.ask(0, binary, 1), d.fin(len(binary))})
		}, []stream{text(get1, outcome.EndReplaced), text(binary, nil)}},
		{"a late packet of the server's before", func(s *timed, c, d *client) {
			s.Inject([]Segment{c.syn(), c.accepts(65535, 7), c.ack(0), c.ask(0, get1, 1), c.fin(n)})
			s.pass(time.Second)
			s.Inject([]Segment{d.syn(), d.answer(7_000_000, 0, "", func(t *layers.TCP) { t.SYN = true }), d.ask(0, "", 7001)})
			s.Inject([]Segment{c.answer(1000, n+1, "", nil), d.packet(0, []byte(get2), func(t *layers.TCP) { t.FIN, t.Ack = true, 7_000_001 })})
		}, []stream{text(get1, nil), text(get2, nil)}},
		{"the next loses a packet while much of the one before waits", func(s *timed, c, d *client) {
			s.Inject(append(append(c.opening(), c.stream(0, []byte(long), 1400)...), c.fin(len(long))))
			s.pass(time.Second)
			s.Inject(append(d.opening(), d.ask(0, get2, 1), d.ask(n+50, "no request", 1)))
			s.pass(3 * time.Second)
			s.Inject([]Segment{d.ask(n+60, get3, 2), d.fin(2*n + 60)})
		}, []stream{text(long, nil), text(get2, outcome.EndGap), text(get3, nil)}},
		{"the end of the one before is late", func(s *timed, c, d *client) {
			s.Inject(append(c.opening(), c.ask(0, get1[:5], 1)))
			s.pass(10 * ms)
			s.Inject(d.opening())
			s.pass(10 * ms)
			s.Inject([]Segment{c.ask(5, get1[5:], 1), c.fin(n), d.ask(0, get2, 1), d.fin(n)})
		}, []stream{text(get1, nil), text(get2, nil)}},
		{"the end of the one before is late, and the next has sent", func(s *timed, c, d *client) {
			s.Inject(append(c.opening(), c.ask(0, get1[:5], 1)))
			s.pass(10 * ms)
			s.Inject(d.get(get2))
			s.pass(30 * ms)
			s.Inject([]Segment{c.ask(5, get1[5:], 1), c.fin(n)})
		}, []stream{text(get1, nil), text(get2, nil)}},
		{"the end of the one before is lost", func(s *timed, c, d *client) {
			s.Inject(append(c.opening(), c.ask(0, get1, 1)))
			s.pass(10 * ms)
			s.Inject(d.get(get2))
		}, []stream{text(get1, outcome.EndReplaced), text(get2, nil)}},
		{"the first bytes of the first of three are late", func(s *timed, c, d *client) {
			e := c.next(3 << 28)
			s.Inject(append(c.opening(), c.ask(5, get1[5:], 1), c.fin(n)))
			s.pass(10 * ms)
			s.Inject(d.get(get2))
			s.pass(10 * ms)
			s.Inject(e.get(get3))
			s.pass(10 * ms)
			s.Inject([]Segment{c.ask(0, get1[:5], 1)})
		}, []stream{text(get1, nil), text(get2, nil), text(get3, nil)}},
		{"the last bytes of the one before are late, and behind the number of the next", func(s *timed, c, d *client) {
			d.isn = c.isn - 1<<26
			s.Inject(append(c.opening(), c.ask(0, get1[:5], 1), c.fin(n), d.syn()))
			s.pass(20 * ms)
			s.Inject([]Segment{c.ask(5, get1[5:], 1)})
			s.pass(20 * ms)
			s.Inject([]Segment{d.ack(0), d.ask(0, get2, 1), d.fin(n)})
		}, []stream{text(get1, nil), text(get2, nil)}},
		{"both wait for the server's word", func(s *timed, c, d *client) {
			s.Inject([]Segment{at(s.t, 999).answer(1000, 0, "", nil)}) // the mirror shows servers
			s.Inject(c.get(get1))
			s.pass(10 * ms)
			s.Inject(d.get(get2))
		}, []stream{text(get1, nil), text(get2, nil)}},
		{"the first has lost its SYN", func(s *timed, c, d *client) {
			s.Inject([]Segment{c.ask(0, get1, 1), c.fin(n)})
			s.pass(10 * ms)
			s.Inject(d.get(get2))
		}, []stream{text(get1, nil), text(get2, nil)}},
		{"a SYN with data is late, behind the FIN", func(s *timed, c, d *client) {
			s.Inject(c.get(get1))
			s.pass(time.Second)
			s.Inject([]Segment{d.fin(n)})
			s.pass(ms)
			s.Inject([]Segment{d.synWith(get2)})
		}, []stream{text(get1, nil), text(get2, nil)}},
		{"a SYN with data is late, behind what follows them", func(s *timed, c, d *client) {
			s.Inject(c.get(get1))
			s.pass(time.Second)
			s.Inject([]Segment{d.ask(n, binary, 1)})
			s.pass(ms)
			s.Inject([]Segment{d.synWith(get2), d.fin(n + len(binary))})
		}, []stream{text(get1, nil), text(get2+binary, nil)}},
		{"what follows the data of a SYN comes out of order", func(s *timed, c, d *client) {
			s.Inject(c.get(get1))
			s.pass(time.Second)
			s.Inject([]Segment{d.synWith(get2), d.ask(n+5, binary[5:], 1)})
			s.pass(ms)
			s.Inject([]Segment{d.ask(n, binary[:5], 1), d.fin(n + len(binary))})
		}, []stream{text(get1, nil), text(get2+binary, nil)}},
		{"a reset of the server's before, behind a SYN with data", func(s *timed, c, d *client) {
			s.Inject(c.get(get1))
			s.pass(time.Second)
			s.Inject([]Segment{d.synWith(get2), c.server(123456, n+1, "R"), d.ack(n), d.ask(n, get3, 2), d.fin(2 * n)})
		}, []stream{text(get1, nil), text(get2+get3, nil)}},
		{"the server speaks first, and the end of the one before is lost", func(s *timed, c, d *client) {
			s.Inject([]Segment{c.syn(), c.accepts(65535, 7), c.ack(0), c.ask(0, binary, 1)})
			s.pass(time.Second)
			smtp(s, d)
		}, []stream{text(binary, outcome.EndReplaced), text("EHLO x\r\nQUIT\r\n", nil)}},
		{"the server speaks first", func(s *timed, c, d *client) {
			s.Inject([]Segment{c.syn(), c.accepts(65535, 7), c.ack(0), c.ask(0, binary, 1), c.fin(len(binary))})
			s.pass(time.Second)
			smtp(s, d)
		}, []stream{text(binary, nil), text("EHLO x\r\nQUIT\r\n", nil)}},
		{"both come at once, and the SYN is lost", func(s *timed, c, d *client) {
			s.Inject(append(c.get(get1), d.ask(0, get2, 5000), d.fin(n)))
		}, []stream{text(get1, nil), text(get2, nil)}},
		{"the next comes at once with the end of the one before, and the SYN is lost", func(s *timed, c, d *client) {
			s.Inject(append(c.opening(), c.ask(0, get1, 1)))
			s.pass(10 * ms)
			s.Inject([]Segment{c.fin(n), d.ask(0, get2, 5000), d.fin(n)})
		}, []stream{text(get1, nil), text(get2, nil)}},
		{"both come at once, and the first has lost its SYN", func(s *timed, c, d *client) {
			s.Inject(append([]Segment{c.ask(0, get1, 1), c.fin(n)}, d.get(get2)...))
		}, []stream{text(get1, nil), text(get2, nil)}},
		{"the SYN is late, and much of the one before waits that ends in a RST", func(s *timed, c, d *client) {
			s.Inject(append(append(c.opening(), c.stream(0, []byte(long), 1400)...), c.rst(len(long))))
			s.pass(time.Second)
			s.Inject([]Segment{d.ask(0, get2, 5000)})
			s.pass(10 * ms)
			s.Inject([]Segment{d.syn(), d.ask(n, get3, 5001), d.fin(2 * n)})
		}, []stream{text(long, outcome.EndClientReset), text(get2+get3, nil)}},
		{"the one before is repeated behind the SYN, whose number is lower", func(s *timed, c, d *client) {
			d.isn = c.isn - 50_000_000
			s.Inject(append(c.opening(), c.ask(0, get1[:5], 1), c.ask(5, get1[5:], 1), c.fin(n)))
			s.pass(10 * ms)
			s.Inject([]Segment{d.syn()})
			s.pass(2 * ms)
			s.Inject([]Segment{c.ask(0, get1[:5], 1), c.ask(5, get1[5:], 1)})
			s.pass(2 * ms)
			s.Inject([]Segment{d.ack(0), d.ask(0, get2, 1)})
			s.pass(2 * time.Second)
			s.Inject([]Segment{d.ask(n, get3, 2), d.fin(2 * n)})
		}, []stream{text(get1, nil), text(get2+get3, nil)}},
		{"the one before is repeated behind the end of the next", func(s *timed, c, d *client) {
			s.Inject(c.get(get1))
			s.pass(10 * ms)
			s.Inject(d.get(get2))
			s.pass(10 * ms)
			s.Inject([]Segment{c.ask(0, get1, 1)})
		}, []stream{text(get1, nil), text(get2, nil)}},
		{"the same again, twice, and the last acknowledgement comes late", func(s *timed, c, _ *client) {
			s.Inject(append(c.opening(), c.ask(0, get1, 1)))
			s.pass(1200 * ms)
			s.Inject(c.get(get1))
			s.pass(20 * ms)
			s.Inject([]Segment{c.ack(n + 1)})
		}, []stream{text(get1, outcome.EndReplaced), text(get1, nil)}},
		{"the server refuses a SYN with data", func(s *timed, c, d *client) {
			s.Inject(c.get(get1))
			s.pass(time.Second)
			s.Inject([]Segment{d.synWith(get2), d.server(0, n, "R")})
		}, []stream{text(get1, nil)}},
	} {
		for name, quick := range map[string]bool{"read": true, "not read": false} {
			t.Run(tc.name+", "+name, func(t *testing.T) {
				s := unread(t, nil)
				if quick {
					s.readers = readEverything(s.Stack)
				}
				c := newClient(t, 100)
				tc.play(s, c, c.next(5<<28))
				s.pass(2 * time.Second)
				if !quick {
					s.readers = readEverything(s.Stack)
				}
				s.is(c, tc.want...)
			})
		}
	}
}

// smtp is a connection in which the server speaks first, and whose client's ACK is lost.
func smtp(s *timed, c *client) {
	const ms = time.Millisecond
	s.Inject([]Segment{c.syn(), c.answer(7_000_000, 0, "", func(t *layers.TCP) { t.SYN = true })})
	s.pass(ms)
	s.Inject([]Segment{c.answer(7_000_001, 0, "220 hello\r\n", nil)})
	s.pass(ms)
	s.Inject([]Segment{c.packet(0, []byte("EHLO x\r\n"), func(t *layers.TCP) { t.Ack = 7_000_012 }), c.answer(7_000_012, 8, "250 ok\r\n", nil)})
	s.pass(ms)
	s.Inject([]Segment{c.packet(8, []byte("QUIT\r\n"), func(t *layers.TCP) { t.FIN, t.Ack = true, 7_000_020 })})
}

// A connection that had to make room is remembered by nothing that would hide what comes next
// of it, also where the one before on its ports waits for its target.
func TestMakingRoomOnPortsInUse(t *testing.T) {
	const n = len(get1)
	post := "POST / HTTP/1.1\r\nContent-Length: 600000\r\n\r\n" + string(pattern(600_000))
	s := unread(t, func(c *Config) { c.MaxFlows = 8 })
	c := newClient(t, 100)
	d := c.next(5 << 28)
	s.Inject(append(append(c.opening(), c.stream(0, []byte(post), 1400)...), c.fin(len(post))))
	s.pass(time.Second)
	s.Inject([]Segment{d.ask(0, "the end of a body", 5000)})
	for i := range 4 {
		s.pass(time.Millisecond)
		s.Inject([]Segment{at(t, 10_000+i).ask(0, "no request", 1)})
	}
	s.pass(time.Millisecond)
	s.Inject([]Segment{d.ask(17, get2, 5001)})
	s.pass(time.Millisecond)
	s.Inject([]Segment{d.packet(17+n, nil, func(t *layers.TCP) { t.FIN, t.Ack = true, 5_001_000 })})
	s.pass(2 * time.Second)
	s.readers = readEverything(s.Stack)
	s.is(c, text(post, nil), text(get2, nil))
}

// Where any segment may begin a stream, the gigabyte in front of one that was picked up is
// not its connection's.
func TestALowerNumberOnPortsInUse(t *testing.T) {
	const n = len(get1)
	for lost, name := range []string{"nothing", "the SYN", "the handshake"} { // of the next one
		t.Run(name+" is lost", func(t *testing.T) {
			s := unread(t, func(c *Config) { c.Services = []Service{{Midstream: MidstreamAny}} })
			c := newClient(t, 1<<31)
			s.Inject(append(c.opening(), c.ask(0, get1, 1)))
			s.pass(10 * time.Millisecond)
			s.Inject([]Segment{c.ack(n + 10), c.ack(n + 10)}) // ten bytes are lost
			s.pass(3 * time.Second)
			s.Inject([]Segment{c.ask(n+10, get2, 2), c.fin(2*n + 10)})
			s.pass(time.Second)
			s.Inject(c.next(1<<31 - 1<<28).get(get3)[lost:])
			s.pass(2 * time.Second)
			s.readers = readEverything(s.Stack)
			s.is(c, text(get1, outcome.EndGap), text(get2, nil), text(get3, nil))
		})
	}
}

// unread is a stack whose streams nobody reads yet.
func unread(t *testing.T, set func(*Config)) *timed {
	clk := new(clock)
	return &timed{newTestStack(t, func(c *Config) {
		c.Now = clk.now
		if set != nil {
			set(c)
		}
	}), nil, clk, t}
}
