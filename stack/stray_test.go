package stack

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/gopacket/layers"

	"netmirror/outcome"
)

// cut is a segment of which the mirror shows all but the last byte.
func cut(m Segment) Segment {
	m.IP, m.Truncated = m.IP[:len(m.IP)-1], true
	return m
}

// all is what the client's streams hold one after the other, and how the last ended.
func (s *timed) all(c *client) (bytes string, err error) {
	s.t.Helper()
	s.Shutdown()
	s.pass(time.Second)
	s.wg.Wait()
	streams := s.streams[c.src.String()]
	slices.SortFunc(streams, func(a, b stream) int { return a.nth - b.nth })
	for _, st := range streams {
		bytes, err = bytes+string(st.bytes), st.err
	}
	return bytes, err
}

// A single packet ahead of an idle connection can end its stream, for a packet may be
// lost in front of it. It cannot end the connection, or hide what comes next of it.
func TestAStrayPacketOnAnIdleConnection(t *testing.T) {
	const n = len(get1)
	for name, stray := range map[string]func(c *client, off int) Segment{
		"data":             func(c *client, off int) Segment { return c.data(off, []byte("no request")) },
		"FIN":              (*client).fin,
		"RST":              (*client).rst,
		"bare ACK":         (*client).ack,
		"the server's ACK": func(c *client, off int) Segment { return c.answer(1027, off, "", nil) },
		"the server's RST": func(c *client, off int) Segment { return c.server(1000+uint32(off), n, "R") },
		"truncated":        func(c *client, off int) Segment { return cut(c.data(off, pattern(100))) },
	} {
		for _, off := range []int{n + 5, n + 2000, n + 50000, n + 70000} {
			for _, twoWay := range []bool{false, true} {
				s := newTimed(t, nil)
				c := newClient(t, 0xffffffff-5)
				s.Inject([]Segment{c.syn()})
				if twoWay {
					s.Inject([]Segment{c.accepts(65535, 7)})
				}
				s.Inject([]Segment{c.ack(0), c.data(0, []byte(get1))})
				if twoWay {
					s.Inject([]Segment{c.answer(1000, n, noContent, nil)})
				}
				s.pass(5 * time.Second)
				s.Inject([]Segment{stray(c, off)})
				if name == "the server's RST" { // the client asks back (RFC 5961, section 3.2)
					s.Inject([]Segment{c.packet(n, nil, func(t *layers.TCP) { t.Ack = 1027 })})
				}
				s.pass(15 * time.Second)
				for i, get := range []string{get2, get3} {
					s.Inject([]Segment{c.packet((i+1)*n, []byte(get), func(t *layers.TCP) { t.Ack = 1027 + 27*uint32(i) })})
					if twoWay {
						s.Inject([]Segment{c.answer(1027+27*uint32(i), (i+2)*n, noContent, nil)})
					}
					s.pass(2 * time.Second)
				}
				s.Inject([]Segment{c.packet(3*n, nil, func(t *layers.TCP) { t.FIN, t.Ack = true, 1000+27*3 })})
				s.pass(2 * time.Second)
				if got, err := s.all(c); got != get1+get2+get3 || err != nil {
					t.Errorf("%s, %d bytes ahead, with the server shown: %v: the streams hold %q, and then %v", name, off-n, twoWay, got, err)
				}
			}
		}
	}
}

// What is remembered of a connection without a stream is not changed by a packet that
// its ends would not take.
func TestAStrayPacketOnAConnectionWithoutAStream(t *testing.T) {
	const n, m = len(get1), len("the end of a body")
	for name, strays := range map[string]func(c *client) []Segment{
		"FIN ahead":                func(c *client) []Segment { return []Segment{c.fin(m + 1000)} },
		"RST ahead":                func(c *client) []Segment { return []Segment{c.rst(m + 1000)} },
		"data ahead":               func(c *client) []Segment { return []Segment{c.data(m+1000, []byte("no request"))} },
		"the server's RST":         func(c *client) []Segment { return []Segment{c.server(77777, m, "R")} },
		"SYN":                      func(c *client) []Segment { return []Segment{newClient(c.t, 5<<28).syn()} },
		"SYN just in front":        func(c *client) []Segment { return []Segment{newClient(c.t, c.isn-1<<21).syn()} },
		"two SYNs":                 func(c *client) []Segment { return []Segment{newClient(c.t, 5<<28).syn(), newClient(c.t, 6<<28).syn()} },
		"SYN and the server's ACK": func(c *client) []Segment { return []Segment{newClient(c.t, 5<<28).syn(), c.answer(1000, m, "", nil)} },
	} {
		t.Run(name, func(t *testing.T) {
			s := newTimed(t, nil)
			c := newClient(t, 100)
			s.Inject([]Segment{c.ask(0, "the end of a body", 1), c.answer(1000, m, "", nil)})
			s.pass(3 * time.Second)
			s.Inject(strays(c))
			s.pass(3 * time.Second)
			s.Inject([]Segment{c.ask(m, get1, 2)})
			s.pass(time.Second)
			s.Inject([]Segment{c.ask(m+n, get2, 3), c.packet(m+2*n, nil, func(t *layers.TCP) { t.FIN, t.Ack = true, 4000 })})
			s.pass(2 * time.Second)
			s.is(c, text(get1+get2, nil))
		})
	}
}

// A SYN that comes while a stream lives, and is of no connection, takes nothing from what
// follows the stream's end.
func TestAStraySYNBesideAStreamThatEnds(t *testing.T) {
	const n = len(get1)
	s := newTimed(t, nil)
	c := newClient(t, 100)
	s.Inject(append(c.opening(), c.ask(0, get1, 1), newClient(t, 5<<28).syn(), c.ask(n+50, "no request", 1)))
	s.pass(3 * time.Second)
	s.Inject([]Segment{c.ask(n+60, get2, 2), c.packet(2*n+60, nil, func(t *layers.TCP) { t.FIN, t.Ack = true, 3000 })})
	s.pass(2 * time.Second)
	s.is(c, text(get1, outcome.EndGap), text(get2, nil))
}

// The end of a connection without a stream, and then the next one on its ports, which has
// the same number where a capture is played again.
func TestTheEndOfAConnectionWithoutAStream(t *testing.T) {
	const n = len(get1)
	h2 := "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
	for _, tc := range []struct {
		name string
		ends func(c *client) []Segment
	}{
		{"a FIN where it has come to", func(c *client) []Segment { return []Segment{c.ask(300, "more", 3), c.fin(304)} }},
		{"a FIN with data", func(c *client) []Segment {
			return []Segment{c.packet(200, []byte("more"), func(t *layers.TCP) { t.FIN = true })}
		}},
		{"a RST", func(c *client) []Segment { return []Segment{c.rst(200)} }},
		{"a FIN that is lost", func(c *client) []Segment { return nil }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newTimed(t, nil)
			c := newClient(t, 100)
			s.Inject(append(c.opening(), c.ask(0, h2, 1), c.ask(100, "behind a hole", 1)))
			s.pass(3 * time.Second)
			s.Inject([]Segment{c.ask(113, string(pattern(87)), 2)})
			s.Inject(tc.ends(c))
			s.pass(time.Second)
			s.Inject(append(c.opening(), c.ask(0, get1, 1), c.fin(n)))
			s.pass(2 * time.Second)
			s.is(c, text(h2, outcome.EndGap), text(get1, nil))
		})
	}
}

// A packet of a connection without a stream comes late, behind the SYN with which the next
// one on its ports begins.
func TestALatePacketBehindTheNextSYN(t *testing.T) {
	h2, binary := "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "no HTTP, which only the SYN lets through"
	for _, tc := range []struct {
		name   string
		before func(c *client) []Segment
		want   []stream
	}{
		{"older than netmirror", func(c *client) []Segment {
			return []Segment{c.ask(0, string(pattern(200)), 1), c.answer(1000, 200, "", nil)}
		}, nil},
		{"given up", func(c *client) []Segment {
			return append(c.opening(), c.ask(0, h2, 1), c.ask(100, string(pattern(100)), 1))
		}, []stream{text(h2, outcome.EndGap)}},
	} {
		for name, late := range map[string]func(c *client) []Segment{
			"data":      func(c *client) []Segment { return []Segment{c.ask(200, "late", 2)} },
			"again":     func(c *client) []Segment { return []Segment{c.ask(190, string(pattern(10)), 2)} },
			"with FIN":  func(c *client) []Segment { return []Segment{c.ask(200, "late", 2), c.fin(204)} },
			"a request": func(c *client) []Segment { return []Segment{c.ask(190, get1[:10], 2), c.ask(200, get1[10:], 2)} },
		} {
			t.Run(tc.name+", "+name, func(t *testing.T) {
				s := newTimed(t, nil)
				c, next := newClient(t, 100), newClient(t, 5<<28)
				s.Inject(tc.before(c))
				s.pass(3 * time.Second)
				s.Inject(append([]Segment{next.syn()}, late(c)...))
				s.Inject([]Segment{next.ack(0), next.data(0, []byte(binary)), next.fin(len(binary))})
				s.pass(2 * time.Second)
				s.is(c, append(tc.want, text(binary, nil))...)
			})
		}
	}
}

// The mirror shows nothing for more than 64 KiB of a client that sends but a packet in
// seconds: the second one that goes on where it is now is believed.
func TestASlowClientBehindALongOutage(t *testing.T) {
	const n, far = len(get1), 10 << 20
	s := newTimed(t, nil)
	c := newClient(t, 0xffffffff-5)
	s.Inject(append(c.opening(), c.ask(0, get1, 1)))
	for i := range 4 {
		s.pass(3 * time.Second)
		s.Inject([]Segment{c.ask(far+i*n, get2, uint32(5+i))})
	}
	s.Inject([]Segment{c.packet(far+4*n, nil, func(t *layers.TCP) { t.FIN, t.Ack = true, 9000 })})
	s.pass(3 * time.Second)
	s.is(c, text(get1, outcome.EndGap), text(get2+get2+get2, nil))
}

// One that the client goes on beside is none, however often it comes.
func TestAStrayThatComesAgain(t *testing.T) {
	const n, far = len(get1), 10 << 20
	s := newTimed(t, nil)
	c := newClient(t, 0xffffffff-5)
	s.Inject(append(c.opening(), c.ask(0, get1, 1)))
	want := get1
	for i := range 4 {
		s.pass(3 * time.Second)
		s.Inject([]Segment{c.data(far, []byte(get3))})
		s.pass(3 * time.Second)
		s.Inject([]Segment{c.ask((i+1)*n, get2, uint32(5+i)), c.data(far+n, []byte(get3))})
		want += get2
	}
	s.pass(3 * time.Second)
	s.Inject([]Segment{c.packet(5*n, nil, func(t *layers.TCP) { t.FIN, t.Ack = true, 9000 })})
	s.pass(3 * time.Second)
	s.is(c, text(want, nil))
}

// A stray that waits beside a stream does not outlive it. Nor does it begin a stream if what is
// picked up behind the loss has come to its end as well.
func TestAStrayBesideAStreamThatEnds(t *testing.T) {
	const n, get4 = len(get1), "GET /4 HTTP/1.1\r\n\r\n"
	for _, pickedUp := range []bool{false, true} {
		t.Run(fmt.Sprintf("picked up %v", pickedUp), func(t *testing.T) {
			s := newTimed(t, nil)
			c := newClient(t, 100)
			s.Inject(append(c.opening(), c.ask(0, get1, 1)))
			s.pass(100 * time.Millisecond)
			s.Inject([]Segment{c.ask(16<<20, get4, 2), cut(c.ask(n, get2, 2))})
			want := []stream{text(get1, outcome.EndGap)}
			if pickedUp {
				s.Inject([]Segment{c.ask(2*n, get3, 3)})
				s.pass(time.Millisecond)
				s.Inject([]Segment{c.packet(3*n, nil, func(t *layers.TCP) { t.FIN, t.Ack = true, 4 })})
				want = append(want, text(get3, nil))
			}
			s.pass(5 * time.Second)
			s.is(c, want...)
		})
	}
}

// A packet that spoils what the connection's others are judged by does so for some
// packets of the client's, and not for good.
func TestForgedEvidenceIsLeftBehind(t *testing.T) {
	const n = len(get1)
	for _, tc := range []struct {
		name   string
		forged func(c *client) []Segment
	}{
		{"a timestamp far ahead", func(c *client) []Segment { return []Segment{c.stamped(1_000_000 + 1<<30).ack(n)} }},
		{"an acknowledgement far ahead, twice", func(c *client) []Segment {
			far := func(a uint32) Segment { return c.packet(n, nil, func(t *layers.TCP) { t.Ack = a }) }
			return []Segment{far(1000 + 500<<20), far(1000 + 1000<<20), far(1000 + 1020<<20)}
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newTimed(t, nil)
			c := newClient(t, 100).stamped(1_000_000)
			s.Inject([]Segment{c.syn(), c.ack(0), c.data(0, []byte(get1))})
			s.pass(100 * time.Millisecond)
			s.Inject(tc.forged(c))
			for i := range 6 {
				s.pass(3 * time.Second)
				s.Inject([]Segment{c.ask((i+1)*n, get2, uint32(i+2))})
			}
			s.pass(3 * time.Second)
			got, err := s.all(c)
			if last := get2 + get2 + get2 + get2; len(got) < len(last) || got[len(got)-len(last):] != last || !errors.Is(err, outcome.EndShutdown) {
				t.Errorf("the streams hold %q, %v; want the last requests", got, err)
			}
		})
	}
}

// Three segments that go on from one another are too few where the client goes on.
func TestRejectedSegmentsBesideTheClient(t *testing.T) {
	const n = len(get1)
	s := newTimed(t, nil)
	c := newClient(t, 100).stamped(100_000_000)
	old := c.stamped(50_000_000)
	s.Inject([]Segment{c.syn(), c.ack(0), c.data(0, []byte(get1))})
	want := get1
	for i := range 6 {
		s.pass(100 * time.Millisecond)
		s.Inject([]Segment{old.ask((2*i+1)*n, get3, 1), old.ask((2*i+2)*n, get3, 1), c.ask((2*i+1)*n, get2, uint32(2*i+2)), c.ask((2*i+2)*n, get2, uint32(2*i+3))})
		want += get2 + get2
	}
	s.pass(time.Second)
	if got, err := s.all(c); got != want || !errors.Is(err, outcome.EndShutdown) {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
}

// What the mirror has cut is judged like any other segment.
func TestTruncatedSegmentsAreJudged(t *testing.T) {
	const n = len(get1)
	for name, forged := range map[string]func(c *client) Segment{
		"an acknowledgement of what the server has not sent": func(c *client) Segment {
			return c.packet(n, pattern(50), func(t *layers.TCP) { t.Ack = 50000 })
		},
		"an old timestamp": func(c *client) Segment { return c.stamped(900_000).data(n, pattern(50)) },
		"no ACK":           func(c *client) Segment { return c.packet(n, pattern(50), func(t *layers.TCP) { t.ACK = false }) },
		"beyond the server's window": func(c *client) Segment {
			return c.data(n+70_000, pattern(50))
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newTimed(t, nil)
			c := newClient(t, 100).stamped(1_000_000)
			s.Inject([]Segment{c.syn(), c.accepts(502, 7), c.ack(0), c.data(0, []byte(get1)), c.answer(1000, n, noContent, nil)})
			s.pass(100 * time.Millisecond)
			s.Inject([]Segment{cut(forged(c))})
			s.pass(3 * time.Second)
			s.Inject([]Segment{c.packet(n, []byte(get2), func(t *layers.TCP) { t.Ack = 1027 })})
			s.pass(time.Second)
			s.is(c, text(get1+get2, outcome.EndShutdown))
		})
	}
}

// The server's direction is late, or loses packets: what acknowledges it waits.
func TestTheServersDirectionIsLate(t *testing.T) {
	const n, requests = len(get1), 40
	for _, lost := range []bool{false, true} {
		s := newTimed(t, nil)
		c := newClient(t, 7)
		s.Inject([]Segment{c.syn(), c.accepts(65535, 7), c.ack(0), c.data(0, []byte(get1))})
		s.pass(100 * time.Millisecond)
		want := get1
		for i := range requests {
			s.Inject([]Segment{c.packet((i+1)*n, []byte(get2), func(t *layers.TCP) { t.Ack = 1000 + 27*uint32(i+1) })})
			want += get2
			if i == 0 {
				s.pass(10 * time.Millisecond)
				s.Inject([]Segment{c.answer(1000, n, "", nil)}) // the server is shown, and has not sent that much yet
			}
		}
		s.pass(20 * time.Millisecond)
		if lost {
			s.pass(300 * time.Millisecond)
		}
		for i := range requests {
			if !lost || i == requests-1 {
				s.Inject([]Segment{c.answer(1000+27*uint32(i), (i+1)*n, noContent, nil)})
			}
		}
		s.pass(time.Second)
		s.is(c, text(want, outcome.EndShutdown))
	}
}

// The mirror shows the clients only, and one packet of another connection's server:
// the client's acknowledgements are not measured by it.
func TestAForeignServersPacketIsNoStandard(t *testing.T) {
	const n = 200_000
	body := pattern(n)
	s := newTimed(t, nil)
	c := newClient(t, 1000)
	s.Inject(append(c.opening(), c.data(0, body[:100])))
	s.Inject([]Segment{c.answer(1000, 400<<20, "", nil)})
	var rest []Segment
	for off := 100; off < n; off += 1000 {
		end := min(off+1000, n)
		rest = append(rest, c.packet(off, body[off:end], func(t *layers.TCP) { t.Ack = 1001 }))
	}
	s.Inject(append(rest, c.fin(n)))
	s.pass(3 * time.Second)
	s.is(c, stream{bytes: body})
}

// A client asks on after a stray packet that ended its stream: the request directly behind
// what came in one piece is one, whatever the stray packet acknowledged.
func TestTheRequestBehindAStrayPacketThatEndedTheStream(t *testing.T) {
	const n = len(get1)
	for _, off := range []int{100, 40000} {
		s := newTimed(t, nil)
		c := newClient(t, 100)
		at := func(off int, text string, ack uint32) Segment {
			return c.packet(off, []byte(text), func(t *layers.TCP) { t.Ack = ack })
		}
		s.Inject(append(c.opening(), at(0, get1, 1000)))
		s.pass(10 * time.Millisecond)
		s.Inject([]Segment{at(n, "", 1027), at(n+off, "stray", 1027)})
		s.pass(3 * time.Second)
		s.Inject([]Segment{at(n, get2, 1027)})
		s.pass(100 * time.Millisecond)
		s.Inject([]Segment{at(2*n, get3, 1054), c.packet(3*n, nil, func(t *layers.TCP) { t.FIN, t.Ack = true, 1081 })})
		s.pass(2 * time.Second)
		s.is(c, text(get1, outcome.EndGap), text(get2+get3, nil))
	}
}

// A reset that is not where the client's bytes end is ignored by the server, also where
// they have come to that place a moment later (RFC 5961, section 3.2). One that the mirror
// shows too early counts.
func TestAResetJustAhead(t *testing.T) {
	const n = len(get1)
	for _, goesOn := range []bool{true, false} {
		s := newTimed(t, nil)
		c := newClient(t, 100)
		s.Inject(append(c.opening(), c.data(0, []byte(get1))))
		s.pass(time.Second)
		s.Inject([]Segment{c.rst(2 * n), c.ask(n, get2, 2)})
		s.pass(20 * time.Millisecond)
		want := []stream{text(get1+get2, outcome.EndClientReset)}
		if goesOn {
			s.Inject([]Segment{c.ask(2*n, get3, 3), c.packet(3*n, nil, func(t *layers.TCP) { t.FIN, t.Ack = true, 4000 })})
			want = []stream{text(get1+get2+get3, nil)}
		}
		s.pass(time.Second)
		s.is(c, want...)
	}
}

// A SYN where the client has come to is answered with an acknowledgement, and nothing
// else (RFC 5961, section 4.2), also where the client goes on byte by byte.
func TestASYNInTheMiddle(t *testing.T) {
	s := newTimed(t, nil)
	c := newClient(t, 100)
	s.Inject(append(c.opening(), c.data(0, []byte(get1[:4]))))
	s.pass(10 * time.Millisecond)
	s.Inject([]Segment{c.packet(4, nil, func(t *layers.TCP) { t.SYN, t.ACK = true, false })})
	for i := 4; i < len(get1); i++ {
		s.pass(10 * time.Millisecond)
		s.Inject([]Segment{c.write(i, get1[i:i+1], true)})
	}
	s.Inject([]Segment{c.fin(len(get1))})
	s.pass(2 * time.Second)
	s.is(c, text(get1, nil))
}

// A stray packet comes right behind the handshake, before the stream has begun.
func TestAStrayPacketBeforeTheFirstByte(t *testing.T) {
	h2 := []string{"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "frame 1", "frame 2", "frame 3", "frame 4", "frame 5", "frame 6", "frame 7"}
	for _, batch := range []bool{true, false} {
		s := newTimed(t, nil)
		c := newClient(t, 100)
		s.Inject(c.opening())
		if !batch {
			s.pass(10 * time.Millisecond)
		}
		s.Inject([]Segment{c.data(2000, []byte("stray"))})
		off := 0
		for _, frame := range h2 {
			s.Inject([]Segment{c.write(off, frame, true)})
			s.pass(200 * time.Millisecond)
			off += len(frame)
		}
		s.Inject([]Segment{c.fin(off)})
		s.pass(2 * time.Second)
		s.is(c, text(strings.Join(h2, ""), nil))
	}
}

// With splice a FIN moves up as bytes do, where all that was in front of it is lost.
func TestSplicedFIN(t *testing.T) {
	const n = len(get1)
	s := newTimed(t, func(c *Config) { c.Services = []Service{{OnGap: GapSplice}} })
	c := newClient(t, 100)
	s.Inject(append(c.opening(), c.ask(0, get1, 1), c.fin(2*n), c.ack(2*n+1)))
	s.pass(2 * time.Second)
	s.is(c, text(get1, nil))
}

// With splice, too, a single packet that says that there is more takes nothing from what
// comes next, while nothing is there to be moved up.
func TestAStrayPacketBesideASplicedStream(t *testing.T) {
	const n = len(get1)
	for name, tc := range map[string]struct {
		stray func(c *client, off int) Segment
		off   int
	}{
		"bare ACK":           {(*client).ack, n + 5},
		"bare ACK far ahead": {(*client).ack, n + 40000},
		"the server's ACK":   {func(c *client, off int) Segment { return c.answer(1000, off, "", nil) }, n + 5},
		"RST":                {(*client).rst, n + 5},
		"FIN":                {(*client).fin, n + 50},
		"FIN far ahead":      {(*client).fin, n + 40000},
	} {
		t.Run(name, func(t *testing.T) {
			s := newTimed(t, func(c *Config) { c.Services = []Service{{OnGap: GapSplice}} })
			c := newClient(t, 100)
			s.Inject(append(c.opening(), c.ask(0, get1, 1)))
			s.pass(time.Second)
			s.Inject([]Segment{tc.stray(c, tc.off)})
			s.pass(3 * time.Second)
			s.Inject([]Segment{c.ask(n, get2, 2)})
			s.pass(time.Second)
			s.Inject([]Segment{c.ask(2*n, get3, 3), c.packet(3*n, nil, func(t *layers.TCP) { t.FIN, t.Ack = true, 4000 })})
			s.pass(2 * time.Second)
			s.is(c, text(get1+get2+get3, nil))
		})
	}
}

// A RST or a FIN ahead of what has come, behind which nothing is, ends no stream of which
// the client goes on. Neither does any packet of a connection in which nothing can be
// picked up. Where nothing comes, they end it.
func TestAnEndAheadOfTheStream(t *testing.T) {
	const h2 = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
	serverACK := func(c *client, off int) Segment { return c.answer(1027, off, "", nil) }
	for _, tc := range []struct {
		name  string
		first string
		stray func(c *client, off int) Segment
	}{
		{"RST", get1, (*client).rst},
		{"FIN", get1, (*client).fin},
		{"bare ACK, HTTP/2", h2, (*client).ack},
		{"RST, HTTP/2", h2, (*client).rst},
		{"the server's ACK, HTTP/2", h2, serverACK},
	} {
		for _, off := range []int{30, 700, 5000} {
			for _, pause := range []time.Duration{100 * time.Millisecond, time.Second, 3 * time.Second, 8 * time.Second} {
				for _, gap := range []OnGap{GapReset, GapSplice} {
					t.Run(fmt.Sprintf("%s, %d bytes ahead, a pause of %v, splice: %v", tc.name, off, pause, gap == GapSplice), func(t *testing.T) {
						s := newTimed(t, func(c *Config) { c.Services = []Service{{OnGap: gap}} })
						c := newClient(t, 0xffffffff-40)
						n := len(tc.first)
						s.Inject(append(c.opening(), c.ask(0, tc.first, 1)))
						s.pass(time.Second)
						s.Inject([]Segment{tc.stray(c, n+off)})
						s.pass(pause)
						s.Inject([]Segment{c.ask(n, get2, 2)})
						s.pass(2 * time.Second)
						s.Inject([]Segment{c.ask(n+len(get2), get3, 3), c.packet(n+2*len(get2), nil, func(t *layers.TCP) { t.FIN, t.Ack = true, 4000 })})
						s.pass(2 * time.Second)
						if got, err := s.all(c); got != tc.first+get2+get3 || err != nil || s.Stats().FlowsOpened != 1 {
							t.Errorf("%d streams hold %q, and then %v", s.Stats().FlowsOpened, got, err)
						}
					})
				}
			}
		}
		t.Run(tc.name+", and nothing else", func(t *testing.T) {
			s := newTimed(t, nil)
			c := newClient(t, 100)
			s.Inject(append(c.opening(), c.ask(0, tc.first, 1)))
			s.pass(10 * time.Millisecond)
			s.Inject([]Segment{tc.stray(c, len(tc.first)+30)})
			s.pass(11 * time.Second)
			if s.open() != 0 {
				t.Error("a stream that is not whole is still open")
			}
			s.is(c, text(tc.first, outcome.EndGap))
		})
	}
}

// A stray packet says that there is more, and then a request is lost: what is behind the
// loss is neither held to what the stray one said nor ended by it.
func TestAStrayPacketInFrontOfALoss(t *testing.T) {
	const n = len(get1)
	for name, stray := range map[string]func(c *client, off int) Segment{
		"bare ACK":         (*client).ack,
		"RST":              (*client).rst,
		"FIN":              (*client).fin,
		"the server's ACK": func(c *client, off int) Segment { return c.answer(1000, off, "", nil) },
	} {
		for _, gap := range []OnGap{GapReset, GapSplice} {
			t.Run(fmt.Sprintf("%s, splice: %v", name, gap == GapSplice), func(t *testing.T) {
				s := newTimed(t, func(c *Config) { c.Services = []Service{{OnGap: gap}} })
				c := newClient(t, 100)
				s.Inject(append(c.opening(), c.ask(0, get1, 1)))
				s.pass(100 * time.Millisecond)
				s.Inject([]Segment{stray(c, n+700)})
				for i := 2; i < 8; i++ {
					s.pass(300 * time.Millisecond)
					s.Inject([]Segment{c.ask(i*n, get2, uint32(i)), c.packet((i+1)*n, nil, func(t *layers.TCP) { t.Ack = 1000 * uint32(i+1) })})
				}
				s.pass(3 * time.Second)
				s.Inject([]Segment{c.packet(8*n, nil, func(t *layers.TCP) { t.FIN, t.Ack = true, 9000 })})
				s.pass(2 * time.Second)
				want := get1 + strings.Repeat(get2, 6)
				if got, err := s.all(c); got != want || err != nil {
					t.Errorf("the streams hold %q, and then %v", got, err)
				}
			})
		}
	}
}

// The server's ACK of what was not sent ends no stream where the client is seen where it
// was: it asks back (RFC 9293, section 3.10.7.4).
func TestAnAcknowledgementOfWhatWasNotSent(t *testing.T) {
	const n = len(get1)
	for _, off := range []int{1, n, 700, 5000} {
		for _, pause := range []time.Duration{time.Millisecond, 100 * time.Millisecond, time.Second, 8 * time.Second} {
			t.Run(fmt.Sprintf("%d bytes ahead, a pause of %v", off, pause), func(t *testing.T) {
				s := newTimed(t, nil)
				c := newClient(t, 100)
				s.Inject([]Segment{c.syn(), c.accepts(65535, 7), c.ack(0), c.ask(0, get1, 1), c.answer(1000, n, noContent, nil)})
				s.pass(time.Second)
				s.Inject([]Segment{c.answer(1027, n+off, "", nil)})
				s.Inject([]Segment{c.packet(n, nil, func(t *layers.TCP) { t.Ack = 1027 })})
				s.pass(pause)
				for i := uint32(1); i < 4; i++ {
					s.Inject([]Segment{c.packet(int(i)*n, []byte(get2), func(t *layers.TCP) { t.Ack = 1000 + 27*i }), c.answer(1000+27*i, int(i+1)*n, noContent, nil)})
					s.pass(100 * time.Millisecond)
				}
				s.pass(2 * time.Second)
				s.Inject([]Segment{c.packet(4*n, nil, func(t *layers.TCP) { t.FIN, t.Ack = true, 1108 })})
				s.pass(2 * time.Second)
				s.is(c, text(get1+get2+get2+get2, nil))
			})
		}
	}
}

// A segment acknowledges what the server sends only a moment later. The server dropped it
// when it came (RFC 5961, section 5.2), so that what it sends then does not support it.
func TestTheServerSendsWhatAStrayHasAcknowledged(t *testing.T) {
	const n = len(get1)
	for _, ahead := range []uint32{1, 26, 27} {
		for _, quiet := range []time.Duration{10 * time.Millisecond, 100 * time.Millisecond, 3 * time.Second} {
			for _, forged := range []string{"G", "GET /evil", "GET /evil HTTP/1.1\r\nHost: longer\r\n\r\n"} {
				t.Run(fmt.Sprintf("%d bytes ahead, %d bytes, %v", ahead, len(forged), quiet), func(t *testing.T) {
					s := newTimed(t, nil)
					c := newClient(t, 7)
					at := func(off int, text string, ack uint32) Segment {
						return c.packet(off, []byte(text), func(t *layers.TCP) { t.Ack, t.PSH = ack, text != "" })
					}
					s.Inject([]Segment{c.syn(), c.accepts(65535, 7), c.ack(0), at(0, get1, 1000), c.answer(1000, n, "", nil)})
					s.pass(100 * time.Millisecond)
					s.Inject([]Segment{at(n, forged, 1000+ahead), c.answer(1000, n, "", nil)})
					s.pass(5 * time.Millisecond)
					s.Inject([]Segment{c.answer(1000, n, noContent, nil)})
					s.pass(5 * time.Millisecond)
					s.Inject([]Segment{at(n, "", 1027)})
					s.pass(quiet)
					s.Inject([]Segment{at(n, get2, 1027), c.answer(1027, 2*n, noContent, nil), at(2*n, "", 1054)})
					s.pass(2 * time.Second)
					s.Inject([]Segment{c.packet(2*n, nil, func(t *layers.TCP) { t.FIN, t.Ack = true, 1054 })})
					s.pass(2 * time.Second)
					s.is(c, text(get1+get2, nil))
					if st := s.Stats(); st.DroppedBytes[outcome.DropRejected] != uint64(len(forged)) {
						t.Errorf("%d bytes rejected, want %d", st.DroppedBytes[outcome.DropRejected], len(forged))
					}
				})
			}
		}
	}
}

// A connection is older than netmirror, and waits for a place to begin at. What its ends
// do not take neither begins a stream nor takes anything from it.
func TestAStrayPacketBeforeAPickup(t *testing.T) {
	const n = len(get1)
	for name, stray := range map[string]func(c *client) Segment{
		"old data":            func(c *client) Segment { return c.data(-1000, []byte("GET /evil HTTP/1.1\r\n\r\n")) },
		"a SYN":               func(c *client) Segment { return newClient(c.t, c.isn-1000).syn() },
		"a SYN at its end":    func(c *client) Segment { return newClient(c.t, c.isn+2*uint32(n)).syn() },
		"a SYN-ACK":           func(c *client) Segment { return c.server(70000, 50000, "SA") },
		"a SYN-ACK, in front": func(c *client) Segment { return c.server(5, -1000, "SA") },
		"a RST ahead":         func(c *client) Segment { return c.rst(3 * n) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newTimed(t, nil)
			c := newClient(t, 5000)
			at := func(off int, text string, ack uint32) Segment {
				return c.packet(off, []byte(text), func(t *layers.TCP) { t.Ack = ack })
			}
			s.Inject([]Segment{at(0, get1, 1000), c.answer(1000, n, noContent, nil), at(n, get2, 1027), c.answer(1027, 2*n, noContent, nil), at(2*n, "", 1054)})
			s.pass(5 * time.Millisecond)
			s.Inject([]Segment{stray(c), c.answer(1054, 2*n, "", nil)})
			s.pass(5 * time.Millisecond)
			s.Inject([]Segment{at(2*n, get3, 1054), c.answer(1054, 3*n, noContent, nil)})
			s.pass(5 * time.Millisecond)
			s.Inject([]Segment{at(3*n, get1, 1081), c.answer(1081, 4*n, noContent, nil)})
			s.pass(2 * time.Second)
			s.Inject([]Segment{c.packet(4*n, nil, func(t *layers.TCP) { t.FIN, t.Ack = true, 1108 })})
			s.pass(2 * time.Second)
			s.is(c, text(get1+get2+get3+get1, nil))
		})
	}
}
