package stack

import (
	"testing"
	"time"

	"github.com/google/gopacket/layers"

	"netmirror/outcome"
)

// What production never took is not forwarded, where the mirror shows so.
func TestWhatTheServerRefused(t *testing.T) {
	const n = len(get1)
	// A server answers a segment that it refuses at what that acknowledged (RFC 9293, section 3.10.7).
	refusal := func(c *client, seq uint32) Segment {
		return c.answer(seq, 0, "", func(t *layers.TCP) { t.RST, t.ACK, t.Ack = true, false, 0 })
	}
	wrong := func(t *layers.TCP) { t.Ack = 77777 }
	for _, tc := range []struct {
		name string
		segs func(c *client) []Segment
		want []stream
	}{
		{"a nonsense ACK and a request behind the SYN", func(c *client) []Segment {
			return []Segment{c.syn(), c.accepts(502, 7), c.packet(0, nil, wrong), c.packet(0, []byte(get1), wrong), refusal(c, 77777)}
		}, nil},
		{"a request with a nonsense ACK in front of the client's own", func(c *client) []Segment {
			return []Segment{c.syn(), c.accepts(502, 7), c.packet(0, []byte(get3), wrong), c.ack(0), c.data(0, []byte(get1)), c.fin(n)}
		}, []stream{text(get1, nil)}},
		{"a request with a nonsense ACK behind an ACK like it", func(c *client) []Segment {
			return []Segment{c.syn(), c.accepts(502, 7), c.packet(0, nil, wrong), c.packet(0, []byte(get3), wrong), c.ack(0), c.data(0, []byte(get1)), c.fin(n)}
		}, []stream{text(get1, nil)}},
		{"a SYN that the client takes back", func(c *client) []Segment {
			return []Segment{c.syn(), c.rst(0)}
		}, nil},
		{"a request behind a SYN, without ACK", func(c *client) []Segment {
			return []Segment{c.syn(), c.packet(0, []byte(get1), func(t *layers.TCP) { t.ACK = false })}
		}, nil},
		{"a request without a connection, which the server resets", func(c *client) []Segment {
			return []Segment{c.data(0, []byte(get1)), refusal(c, 1000)}
		}, nil},
		{"a request of a connection older than netmirror", func(c *client) []Segment {
			return []Segment{c.data(0, []byte(get1)), c.answer(1000, n, noContent, nil)}
		}, []stream{text(get1, outcome.EndShutdown)}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newTimed(t, nil)
			c := newClient(t, 0xffffffff-5)
			s.Inject(tc.segs(c))
			s.pass(2 * time.Second)
			s.is(c, tc.want...)
		})
	}
}

// A FIN or a RST ahead of what is here is a claim. The server answers it with an ACK
// (RFC 5961, section 3.2), and the connection goes on.
func TestEndsThatTheConnectionRefutes(t *testing.T) {
	const n = len(get1)
	for name, end := range map[string]func(c *client, off int) Segment{"FIN": (*client).fin, "RST": (*client).rst} {
		t.Run(name, func(t *testing.T) {
			s := newTimed(t, nil)
			c := newClient(t, 0xffffffff-25)
			s.Inject(append(c.opening(), c.ask(0, get1, 1), end(c, n+500)))
			want := get1
			for i := 1; i < 50; i++ { // beyond the place as well
				s.pass(100 * time.Millisecond)
				s.Inject([]Segment{c.ask(i*n, get2, uint32(i+1))})
				want += get2
			}
			s.Inject([]Segment{c.packet(50*n, nil, func(t *layers.TCP) { t.FIN, t.Ack = true, 60000 })})
			s.pass(2 * time.Second)
			s.is(c, text(want, nil))
		})
	}
}

// A probe's byte never becomes one of the stream, whatever it is and wherever it comes.
func TestProbes(t *testing.T) {
	const n = len(get1)
	push := func(t *layers.TCP) { t.PSH = true }
	for _, tc := range []struct {
		name  string
		segs  func(c *client, b []byte) []Segment
		later func(c *client) []Segment
		want  []stream
	}{
		{"keep-alive", func(c *client, b []byte) []Segment {
			return []Segment{c.packet(0, []byte(get1), push), c.data(n-1, b)}
		}, nil, []stream{text(get1+get2, nil)}},
		{"behind all that was sent, as a window probe is", func(c *client, b []byte) []Segment {
			return []Segment{c.packet(0, []byte(get1), push), c.data(n, b)}
		}, nil, []stream{text(get1+get2, nil)}},
		{"where the real byte was lost", func(c *client, b []byte) []Segment {
			return []Segment{c.packet(0, []byte(get1[:n-1]), push), c.ack(n), c.data(n-1, b)}
		}, func(c *client) []Segment { return nil }, []stream{text(get1[:n-1], outcome.EndGap)}},
		{"before anything was seen of the connection", func(c *client, b []byte) []Segment {
			return []Segment{c.data(n-1, b)}
		}, nil, []stream{text(get2, nil)}},
	} {
		for _, value := range []byte{0, 't', 'G', '\n'} {
			t.Run(tc.name, func(t *testing.T) {
				s := newTimed(t, nil)
				c := newClient(t, 0xffffffff-5)
				if segs := tc.segs(c, []byte{value}); len(segs) > 1 {
					s.Inject(c.opening())
					for _, m := range segs {
						s.Inject([]Segment{m})
						s.pass(100 * time.Millisecond)
					}
				} else {
					s.Inject(segs)
					s.pass(1500 * time.Millisecond)
				}
				if tc.later == nil {
					s.Inject([]Segment{c.packet(n, []byte(get2), func(t *layers.TCP) { t.PSH, t.Ack = true, 2000 })})
					s.pass(time.Second)
					s.Inject([]Segment{c.packet(2*n, nil, func(t *layers.TCP) { t.FIN, t.Ack = true, 3000 })})
				}
				s.pass(2 * time.Second)
				s.is(c, tc.want...)
			})
		}
	}
}

// The same ISN on the same ports: a SYN that the mirror shows twice within moments, or
// the next connection of a replayed capture.
func TestTheSameISNAgain(t *testing.T) {
	const n = len(get1)
	for _, tc := range []struct {
		name   string
		twoWay bool
		apart  time.Duration
		want   []stream
	}{
		{"49 ms later, a copy", false, 49 * time.Millisecond, []stream{text(get1, nil)}},
		{"50 ms later, a new connection", false, 50 * time.Millisecond, []stream{text(get1, nil), text(get1, nil)}},
		{"3 ms later with the server shown, a copy", true, 3 * time.Millisecond, []stream{text(get1, nil)}},
		{"4 ms later with the server shown, a new connection", true, 4 * time.Millisecond, []stream{text(get1, nil), text(get1, nil)}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newTimed(t, nil)
			c := newClient(t, 7)
			whole := []Segment{c.syn(), c.ack(0), c.data(0, []byte(get1)), c.fin(n)}
			if tc.twoWay {
				whole = []Segment{c.syn(), c.accepts(502, 7), c.ack(0), c.data(0, []byte(get1)), c.fin(n), c.server(1000, n+1, "F")}
			}
			s.Inject(whole)
			waitFor(t, "the end of the first", func() bool { return s.open() == 0 })
			s.pass(tc.apart)
			s.Inject(whole)
			waitFor(t, "the end of the second", func() bool { return s.open() == 0 })
			s.is(c, tc.want...)
		})
	}
}

// The mirror has lost the SYN-ACK, and shows a packet of the server's late that was sent before
// what the client has acknowledged: nothing is refused.
func TestALatePacketOfAServerWhoseSYNACKIsLost(t *testing.T) {
	s := newTimed(t, nil)
	c := newClient(t, 100)
	s.Inject([]Segment{at(t, 999).answer(1000, 0, "", nil), c.syn()}) // the mirror shows servers
	s.pass(10 * time.Millisecond)
	s.Inject([]Segment{c.packet(0, []byte(get1), func(t *layers.TCP) { t.Ack = 1100 })})
	s.pass(time.Millisecond)
	s.Inject([]Segment{c.answer(1050, 0, "", nil)})
	s.pass(time.Second)
	s.Inject([]Segment{c.packet(len(get1), nil, func(t *layers.TCP) { t.FIN, t.Ack = true, 1200 })})
	s.pass(time.Second)
	s.is(c, text(get1, nil))
}
