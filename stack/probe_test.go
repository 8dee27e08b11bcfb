package stack

import (
	"testing"
	"time"

	"github.com/google/gopacket/layers"

	"netmirror/outcome"
)

// write is a segment as a client sends it that sets PSH, or never does.
func (c *client) write(off int, text string, push bool) Segment {
	return c.packet(off, []byte(text), func(t *layers.TCP) { t.PSH, t.Ack = push, 1000+uint32(off) })
}

// One byte can be the client's next, or a probe's. It is in the stream where it must be
// the client's, and nowhere else.
func TestSingleBytes(t *testing.T) {
	const n = len(get1)
	for _, tc := range []struct {
		name string
		mode Midstream
		play func(s *timed, c *client)
		want []stream
	}{
		{"a client that writes byte by byte, and never sets PSH", MidstreamHTTP, func(s *timed, c *client) {
			s.Inject(c.opening())
			for i := range n {
				s.pass(300 * time.Millisecond)
				s.Inject([]Segment{c.write(i, get1[i:i+1], false)})
			}
			s.Inject([]Segment{c.fin(n)})
		}, []stream{text(get1, nil)}},
		{"and pauses", MidstreamHTTP, func(s *timed, c *client) {
			s.Inject(append(c.opening(), c.write(0, get1[:3], false)))
			s.pass(5 * time.Second)
			s.Inject([]Segment{c.write(3, get1[3:4], false)})
			s.pass(300 * time.Millisecond)
			s.Inject([]Segment{c.write(4, get1[4:5], false), c.write(5, get1[5:], false), c.fin(n)})
		}, []stream{text(get1, nil)}},
		{"a client that writes byte by byte, and sets PSH", MidstreamHTTP, func(s *timed, c *client) {
			s.Inject(c.opening())
			for i := range n {
				s.pass(3 * time.Second)
				s.Inject([]Segment{c.write(i, get1[i:i+1], true)})
			}
			s.Inject([]Segment{c.fin(n)})
		}, []stream{text(get1, nil)}},
		{"a byte that was lost, sent again with PSH", MidstreamHTTP, func(s *timed, c *client) {
			s.Inject(c.opening())
			s.pass(10 * time.Millisecond)
			s.Inject([]Segment{c.write(0, get1[:n-1], false), c.write(n, get2, true)})
			s.pass(200 * time.Millisecond)
			s.Inject([]Segment{c.write(n-1, get1[n-1:], true), c.fin(2 * n)})
		}, []stream{text(get1+get2, nil)}},
		{"a byte behind which the client was seen moments ago", MidstreamHTTP, func(s *timed, c *client) {
			s.Inject(append(c.opening(), c.write(0, get1[:n-1], false), c.ack(n), c.answer(1000, n, "", nil)))
			s.Inject([]Segment{c.data(n-1, []byte("\n")), c.fin(n)})
		}, []stream{text(get1, nil)}},
		{"a probe behind a lost byte, of a client that never sets PSH", MidstreamHTTP, func(s *timed, c *client) {
			s.Inject(append(c.opening(), c.write(0, get1[:n-1], false)))
			s.pass(2 * time.Second)
			s.Inject([]Segment{c.write(n-1, "\n", false)})
			s.pass(200 * time.Millisecond)
			s.Inject([]Segment{c.write(n, get2, false), c.fin(2 * n)})
		}, []stream{text(get1[:n-1], outcome.EndGap), text(get2, nil)}},
		{"a probe behind a lost byte that the server has", MidstreamHTTP, func(s *timed, c *client) {
			s.Inject(append(c.opening(), c.write(0, get1[:n-1], false), c.answer(1000, n, "", nil)))
			s.pass(2 * time.Second)
			s.Inject([]Segment{c.packet(n-1, []byte("\n"), func(t *layers.TCP) { t.Ack = 1000 })})
			s.pass(200 * time.Millisecond)
			s.Inject([]Segment{c.write(n, get2, false), c.fin(2 * n)})
		}, []stream{text(get1[:n-1], outcome.EndGap), text(get2, nil)}},
		{"a probe that acknowledges what the mirror did not show", MidstreamHTTP, func(s *timed, c *client) {
			s.Inject([]Segment{c.syn(), c.accepts(65535, 7), c.ack(0), c.write(0, get1[:n-1], false)})
			s.pass(2 * time.Second)
			s.Inject([]Segment{c.packet(n-1, []byte("\n"), func(t *layers.TCP) { t.Ack = 5000 })})
			s.pass(3 * time.Second)
		}, []stream{text(get1[:n-1], outcome.EndShutdown)}},
		{"a persist probe, whose byte the server takes", MidstreamHTTP, func(s *timed, c *client) {
			s.Inject([]Segment{c.syn(), c.accepts(5, 0), c.ack(0), c.packet(0, []byte(get1[:5]), func(t *layers.TCP) { t.PSH = true }),
				c.answer(1000, 5, "", func(t *layers.TCP) { t.Window = 0 })})
			s.pass(5 * time.Second)
			s.Inject([]Segment{c.data(5, []byte(get1[5:6]))})
			s.pass(5 * time.Millisecond)
			s.Inject([]Segment{c.answer(1000, 6, "", func(t *layers.TCP) { t.Window = 1000 }), c.data(6, []byte(get1[6:])), c.fin(n)})
		}, []stream{text(get1, nil)}},
		{"a persist probe, whose byte the server does not take", MidstreamHTTP, func(s *timed, c *client) {
			s.Inject([]Segment{c.syn(), c.accepts(5, 0), c.ack(0), c.packet(0, []byte(get1[:5]), func(t *layers.TCP) { t.PSH = true }),
				c.answer(1000, 5, "", func(t *layers.TCP) { t.Window = 0 })})
			for range 3 {
				s.pass(5 * time.Second)
				s.Inject([]Segment{c.data(5, []byte(get1[5:6])), c.answer(1000, 5, "", func(t *layers.TCP) { t.Window = 0 })})
			}
			s.pass(2 * time.Second)
			s.Inject([]Segment{c.answer(1000, 5, "", func(t *layers.TCP) { t.Window = 1000 }), c.data(5, []byte(get1[5:])), c.fin(n)})
		}, []stream{text(get1, nil)}},
		{"a probe, and what the client sends right behind it, where any segment may begin a stream", MidstreamAny, func(s *timed, c *client) {
			s.Inject([]Segment{c.ask(99, "\x00", 1), c.ask(100, "binary", 1), c.fin(106)})
		}, []stream{text("binary", nil)}},
		{"a byte with PSH, where any segment may begin a stream", MidstreamAny, func(s *timed, c *client) {
			s.Inject([]Segment{c.write(99, "b", true), c.ask(100, "inary", 1), c.fin(105)})
		}, []stream{text("binary", nil)}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newTimed(t, func(c *Config) { c.Services = []Service{{Midstream: tc.mode}} })
			c := newClient(t, 0xffffffff-5)
			tc.play(s, c)
			s.pass(3 * time.Second)
			s.is(c, tc.want...)
		})
	}
}
