package stack

import (
	"testing"
	"time"

	"github.com/google/gopacket/layers"
	"pgregory.net/rapid"
)

// drawHostile is a segment that no honest client or server would send where it
// does: anywhere in sequence space, with any flags.
func drawHostile(t *rapid.T, c *client) Segment {
	places := []int{0, 1, 5, 19, 38, 1000, 1 << 16, 1 << 29, 1<<30 - 1, 1 << 30, 1<<31 - 1, 1 << 31, 3 << 30, -1, -5, -1000}
	off := rapid.SampledFrom(places).Draw(t, "place") + rapid.IntRange(0, 2).Draw(t, "and")
	payload := [][]byte{nil, []byte(get1), pattern(1), pattern(21), pattern(3000)}[rapid.IntRange(0, 4).Draw(t, "payload")]
	flags := rapid.SampledFrom([]string{"", "", "", "F", "R", "S", "SA", "SF", "FR"}).Draw(t, "flags")
	if rapid.IntRange(0, 5).Draw(t, "from") == 0 {
		return c.server(rapid.Uint32().Draw(t, "server's"), off, flags)
	}
	m := c.packet(off, payload, func(p *layers.TCP) {
		p.Ack = rapid.Uint32Range(0, 3000).Draw(t, "ack")
		p.ACK = flags != "S" && rapid.IntRange(0, 5).Draw(t, "no ACK") > 0
		for _, f := range flags {
			p.SYN, p.FIN, p.RST = p.SYN || f == 'S', p.FIN || f == 'F', p.RST || f == 'R'
		}
	})
	if len(payload) > 0 && rapid.IntRange(0, 9).Draw(t, "truncated") == 0 {
		m.IP, m.Truncated = m.IP[:len(m.IP)-1], true
	}
	return m
}

// TestHostileSegments is for everything that the promise does not cover: no
// panic, nothing that never ends, and the books are in order.
func TestHostileSegments(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		playHostile(t, rt, func(c *client) func() Segment {
			return func() Segment { return drawHostile(rt, c) }
		})
	})
	noLeaks(t)
}

// playHostile plays what segments makes to a stack with any settings.
func playHostile(t *testing.T, rt *rapid.T, segments func(*client) func() Segment) {
	var clk clock
	s, err := New(Config{
		Now: clk.now, FlowBytes: 20_000, TotalBytes: 200_000, MaxFlows: 3,
		MaxPending: rapid.IntRange(1, 20).Draw(rt, "pending"),
		Services: []Service{{
			Midstream: rapid.SampledFrom([]Midstream{MidstreamHTTP, MidstreamAny, MidstreamOff}).Draw(rt, "midstream"),
			OnGap:     rapid.SampledFrom([]OnGap{GapReset, GapSplice}).Draw(rt, "on gap"),
		}},
	})
	if err != nil {
		rt.Fatal(err)
	}
	ended := false // else a panic may have left the lock held
	defer func() {
		if ended || rt.Failed() {
			s.Close()
		}
	}()
	r := readMortally(s, rapid.SampledFrom([]int{0, 100}).Draw(rt, "death"), rapid.Uint64().Draw(rt, "dice"))
	c := newClient(t, rapid.Uint32().Draw(rt, "ISN"))
	next := segments(c)
	for range rapid.IntRange(1, 30).Draw(rt, "segments") {
		s.Inject([]Segment{next()})
		clk.pass(t, s, rapid.SampledFrom([]time.Duration{0, 0, 0, 10 * time.Millisecond, 70 * time.Millisecond, 2 * time.Second}).Draw(rt, "pause"))
	}
	clk.pass(t, s, 3*time.Second)
	s.Shutdown()
	clk.pass(t, s, 20*time.Second)
	if st := s.Stats(); st.Flows > 0 {
		rt.Fatalf("%d flows did not end: %+v", st.Flows, st)
	}
	r.wg.Wait()
	ended = true
	balanced(rt, s)
}

// Sequence numbers that no window spans turn the order of a queue around.
func TestSegmentsFarApart(t *testing.T) {
	for _, segs := range []func(c *client) []Segment{
		func(c *client) []Segment {
			return []Segment{c.packet(1<<31, []byte(get1), func(t *layers.TCP) { t.FIN = true }), c.fin(6), c.data(1<<29+2, pattern(21))}
		},
		func(c *client) []Segment {
			return []Segment{c.packet(18, nil, func(t *layers.TCP) { t.SYN, t.ACK = true, false }),
				c.packet(1<<30, []byte(get1), func(t *layers.TCP) { t.FIN = true }), c.fin(3 << 30)}
		},
		func(c *client) []Segment {
			return []Segment{c.ask(1000, get1, 1), c.fin(1<<30 + 1), c.packet(0, nil, func(t *layers.TCP) { t.SYN, t.ACK = true, false }),
				c.packet(1<<30-1, []byte(get1), func(t *layers.TCP) { t.FIN = true })}
		},
	} {
		s := newTimed(t, nil)
		c := newClient(t, 1000)
		for _, m := range segs(c) {
			s.Inject([]Segment{m})
			s.pass(30 * time.Millisecond)
		}
		s.Shutdown()
		s.pass(2 * time.Second)
		s.wg.Wait()
		if s.open() != 0 {
			t.Error("a flow did not end")
		}
	}
}
