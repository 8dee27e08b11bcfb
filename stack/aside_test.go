package stack

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/google/gopacket/layers"

	"netmirror/outcome"
)

// One packet of another time or place changes nothing: the server does not take it, and
// the connection goes on as if it had not come.
func TestStrayPacketsChangeNothing(t *testing.T) {
	const n = len(get1)
	kinds := []struct {
		name  string
		stray func(c *client, off int) Segment
	}{
		{"data", func(c *client, off int) Segment { return c.data(off, []byte("GET /evil HTTP/1.1\r\n\r\n")) }},
		{"one byte", func(c *client, off int) Segment { return c.data(off, []byte("x")) }},
		{"FIN", (*client).fin},
		{"data and FIN", func(c *client, off int) Segment {
			return c.packet(off, []byte("x"), func(t *layers.TCP) { t.FIN = true })
		}},
		{"RST", (*client).rst},
		{"RST without ACK", func(c *client, off int) Segment {
			return c.packet(off, nil, func(t *layers.TCP) { t.RST, t.ACK, t.Ack = true, false, 0 })
		}},
		{"bare ACK", (*client).ack},
		{"the server's ACK", func(c *client, off int) Segment { return c.answer(1000, off, "", nil) }},
		{"the server's RST", func(c *client, off int) Segment { return c.server(1000+uint32(off), n, "R") }},
	}
	places := []struct {
		name string
		off  int
	}{
		{"inside an unscaled window", n + 50000}, {"just beyond an unscaled window", n + 70000}, {"16 MiB ahead", 16 << 20}, {"1 GiB ahead", 1<<30 - 1},
		{"2 GiB ahead", 1<<31 - 1}, {"1 MiB back", -1 << 20}, {"1 GiB back", -1 << 30},
	}
	for _, twoWay := range []bool{false, true} {
		for _, kind := range kinds {
			for _, place := range places {
				name := kind.name + ", " + place.name
				if twoWay {
					name += ", with the server shown"
				}
				t.Run(name, func(t *testing.T) {
					s := newTimed(t, nil)
					c := newClient(t, 0xffffffff-5)
					s.Inject([]Segment{c.syn()})
					server := func(seq uint32, off int) {
						if twoWay {
							s.Inject([]Segment{c.answer(seq, off, noContent, nil)})
						}
					}
					if twoWay {
						s.Inject([]Segment{c.accepts(502, 0)})
					}
					s.Inject([]Segment{c.ack(0), c.data(0, []byte(get1))})
					server(1000, n)
					s.pass(200 * time.Millisecond)
					s.Inject([]Segment{kind.stray(c, place.off)})
					for i, get := range []string{get2, get3} {
						s.pass(200 * time.Millisecond)
						ack := func(t *layers.TCP) { t.Ack = 1000 + 27*uint32(i+1) }
						s.Inject([]Segment{c.packet((i+1)*n, []byte(get), ack)})
						server(1000+27*uint32(i+1), (i+2)*n)
					}
					s.pass(3 * time.Second)
					s.Inject([]Segment{c.packet(3*n, nil, func(t *layers.TCP) { t.FIN, t.Ack = true, 1000+27*3 })})
					s.pass(3 * time.Second)
					s.is(c, text(get1+get2+get3, nil))
					if st := s.Stats(); st.Holes+st.MissingBytes > 0 {
						t.Errorf("%d holes of %d bytes, want none", st.Holes, st.MissingBytes)
					}
				})
			}
		}
	}
}

// Packets of an older connection on the same ports agree with each other. That is worth
// nothing while the connection goes on beside them.
func TestStrayPacketsThatAgree(t *testing.T) {
	const n = len(get1)
	for _, tc := range []struct {
		name   string
		strays func(c *client) []Segment
	}{
		{"ahead", func(c *client) []Segment { return []Segment{c.data(10<<20, []byte(get3)), c.fin(10<<20 + n)} }},
		{"back", func(c *client) []Segment { return []Segment{c.data(-10<<20, []byte(get3)), c.fin(-10<<20 + n)} }},
		{"the same packet twice", func(c *client) []Segment {
			return []Segment{c.data(10<<20, []byte(get3)), c.data(10<<20, []byte(get3))}
		}},
		{"a bare ACK twice", func(c *client) []Segment { return []Segment{c.ack(10 << 20), c.ack(10 << 20)} }},
		{"an ACK of the server's twice, as a mirror of two interfaces shows it", func(c *client) []Segment {
			return []Segment{c.answer(1000, 10<<20, "", nil), c.answer(1000, 10<<20, "", nil)}
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newTimed(t, nil)
			c := newClient(t, 0xffffffff-5)
			s.Inject(append(c.opening(), c.ask(0, get1, 1)))
			s.pass(200 * time.Millisecond)
			s.Inject(tc.strays(c))
			want := get1
			for i := range 10 {
				s.pass(200 * time.Millisecond)
				s.Inject([]Segment{c.ask((i+1)*n, get2, uint32(i+2))})
				want += get2
			}
			s.Inject([]Segment{c.packet(11*n, nil, func(t *layers.TCP) { t.FIN, t.Ack = true, 12000 })})
			s.pass(3 * time.Second)
			s.is(c, text(want, nil))
		})
	}
}

// A burst longer than what is believed by one packet was lost: what comes behind it and
// goes on from packet to packet is the connection.
func TestABurstWasLost(t *testing.T) {
	const n = len(get1)
	const far = 10 << 20
	for _, tc := range []struct {
		name    string
		packets int
		wait    time.Duration
		want    []stream
	}{
		{"8 packets that agree are believed at once", 8, 100 * time.Millisecond, []stream{text(get1, outcome.EndGap)}},
		{"7 wait for the gap timeout", 7, 900 * time.Millisecond, []stream{text(get1, nil)}},
		{"2 are believed then", 2, 2500 * time.Millisecond, []stream{text(get1, outcome.EndGap)}},
		{"1 is not", 1, 2500 * time.Millisecond, []stream{text(get1, nil)}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newTimed(t, func(c *Config) { c.Services = []Service{{Midstream: MidstreamOff}} })
			c := newClient(t, 0xffffffff-5)
			s.Inject(append(c.opening(), c.ask(0, get1, 1)))
			s.pass(100 * time.Millisecond)
			s.Inject(c.stream(far, pattern(tc.packets*100), 100))
			s.pass(tc.wait)
			ended := s.open() == 0
			if !ended {
				s.Inject([]Segment{c.fin(n)})
				s.pass(2 * time.Second)
			}
			s.is(c, tc.want...)
		})
	}
}

// What was believed to be far away begins a stream like what follows any loss.
func TestRequestsBehindALostBurst(t *testing.T) {
	const n, far = len(get1), 10 << 20
	s := newTimed(t, nil)
	c := newClient(t, 0xffffffff-5)
	s.Inject(append(c.opening(), c.ask(0, get1, 1)))
	s.pass(100 * time.Millisecond)
	for i := range 3 {
		s.Inject([]Segment{c.ask(far+i*n, get2, uint32(5+i))})
		s.pass(300 * time.Millisecond)
	}
	s.pass(3 * time.Second)
	s.Inject([]Segment{c.packet(far+3*n, nil, func(t *layers.TCP) { t.FIN, t.Ack = true, 9000 })})
	s.pass(2 * time.Second)
	s.is(c, text(get1, outcome.EndGap), text(get2+get2+get2, nil))
}

// A connection begins in earnest where its packets go on, not where an old one said.
func TestAFlowThatBeganAtAStray(t *testing.T) {
	const n = len(get1)
	s := newTimed(t, nil)
	c := newClient(t, 1000)
	s.Inject([]Segment{c.ask(1<<29, get3, 1)}) // older than netmirror, as it seems
	s.pass(200 * time.Millisecond)
	for i := range 10 {
		s.Inject([]Segment{c.ask(i*n, get1, uint32(2+i))})
		s.pass(20 * time.Millisecond)
	}
	s.pass(2 * time.Second)
	s.Inject([]Segment{c.ask(10*n, get2, 20), c.packet(11*n, nil, func(t *layers.TCP) { t.FIN, t.Ack = true, 21000 })})
	s.pass(2 * time.Second)
	s.Shutdown()
	s.pass(time.Second)
	s.wg.Wait()
	streams := s.streams[c.src.String()]
	if len(streams) != 2 {
		t.Fatalf("streams %q", describe(streams))
	}
	last := streams[1]
	if string(streams[0].bytes) != get3 {
		last = streams[0]
	}
	want := ""
	for range 10 {
		want += get1
	}
	if want += get2; string(last.bytes) != want || last.err != nil {
		t.Errorf("streams %q, want all of the requests that go on", describe(streams))
	}
}

// What waits beside streams counts in the budgets, and no connection can hold many.
func TestWhatWaitsBesideAStreamIsBounded(t *testing.T) {
	s := newTimed(t, nil)
	c := newClient(t, 1)
	c.src = netip.AddrPortFrom(c.src.Addr(), 9)
	s.Inject(append(c.opening(), c.ask(0, get1, 1)))
	waitFor(t, "the reader", func() bool { settled(t, s.Stack); return s.Stats().BytesHeld == 0 })
	for i := range 50 { // none agrees with another
		s.Inject([]Segment{c.data(10<<20+i<<20, pattern(1000))})
	}
	if st := s.Stats(); st.Held > 8 || st.BytesHeld > 8*1000 {
		t.Errorf("%d packets of %d bytes are held, want 8 at the most", st.Held, st.BytesHeld)
	}
	s.pass(3 * time.Second)
	if st := s.Stats(); st.Held > 0 || st.Dropped[outcome.DropOutOfWindow] != 50 {
		t.Errorf("%d packets are held, %d dropped; want none, 50", st.Held, st.Dropped[outcome.DropOutOfWindow])
	}
	s.Inject([]Segment{c.fin(len(get1))})
	s.is(c, text(get1, nil))
}

// A stray packet within the window is one packet, also if its FIN says as much as its bytes, or if
// the mirror shows it twice.
func TestOneStrayPacketIsNoTwo(t *testing.T) {
	const n = len(get1)
	data := func(c *client) Segment { return c.ask(5000, "0123456789", 1) }
	dataAndFIN := func(c *client) Segment {
		return c.packet(5000, []byte("0123456789"), func(t *layers.TCP) { t.FIN, t.Ack = true, 1000 })
	}
	for _, tc := range []struct {
		name  string
		pause time.Duration // in front of each
		stray func(c *client) Segment
		times int
	}{
		{"data and FIN, before the stream is open", 0, dataAndFIN, 1},
		{"data, before the stream is open", 0, data, 1},
		{"data, twice", 2 * time.Millisecond, data, 2},
		{"data and FIN, twice", 2 * time.Millisecond, dataAndFIN, 2},
		{"data, twice and late", 20 * time.Millisecond, data, 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newTimed(t, nil)
			c := newClient(t, 0xffffffff-5)
			segs := append(c.opening(), c.ask(0, get1, 1))
			for range tc.times {
				if tc.pause > 0 {
					s.Inject(segs)
					s.pass(tc.pause)
					segs = nil
				}
				segs = append(segs, tc.stray(c))
			}
			s.Inject(segs)
			want := get1
			for i := range 3 {
				s.pass(300 * time.Millisecond)
				s.Inject([]Segment{c.ask((i+1)*n, get2, uint32(i+2))})
				want += get2
			}
			s.Inject([]Segment{c.packet(4*n, nil, func(t *layers.TCP) { t.FIN, t.Ack = true, 5000 })})
			s.pass(3 * time.Second)
			s.is(c, text(want, nil))
		})
	}
}

// What a client sends again, after its retransmission timeout, is of the connection: the bytes in
// front of it are missing.
func TestSegmentThatIsSentAgainIsBelieved(t *testing.T) {
	const n = len(get1)
	s := newTimed(t, nil)
	c := newClient(t, 0xffffffff-5)
	s.Inject(append(c.opening(), c.ask(0, get1, 1)))
	s.pass(20 * time.Millisecond)
	for range 2 {
		s.Inject([]Segment{c.ask(5000, get3, 1)})
		s.pass(300 * time.Millisecond)
	}
	s.Inject([]Segment{c.ask(n, get2, 2)})
	s.pass(600 * time.Millisecond)
	s.Inject([]Segment{c.ack(5000 + n)})
	s.pass(3 * time.Second)
	if st := s.Stats(); st.MissingBytes != uint64(5000-2*n) {
		t.Errorf("%d bytes are missing, want %d", st.MissingBytes, 5000-2*n)
	}
}

// Two stray packets support each other. Where the server has acknowledged the client's FIN in front
// of both, or all before it and takes it, they are none of the connection's.
func TestFINThatTheServerTakesCountsBeforeStrayPackets(t *testing.T) {
	const n = len(get1)
	for _, answered := range []bool{true, false} {
		t.Run(fmt.Sprintf("answered %v", answered), func(t *testing.T) {
			s := newTimed(t, nil)
			c := newClient(t, 0xffffffff-5)
			s.Inject([]Segment{c.syn(), c.accepts(502, 7), c.ack(0), c.ask(0, get1, 1), c.answer(1000, n, noContent, nil)})
			s.pass(20 * time.Millisecond)
			s.Inject([]Segment{c.ask(5000, "0123456789", 1), c.ask(6000, "0123456789", 1)})
			for i, get := range []string{get2, get3} {
				s.pass(200 * time.Millisecond)
				ack := func(t *layers.TCP) { t.Ack = 1000 + 27*uint32(i+1) }
				s.Inject([]Segment{c.packet((i+1)*n, []byte(get), ack), c.answer(1000+27*uint32(i+1), (i+2)*n, noContent, nil)})
			}
			s.pass(200 * time.Millisecond)
			s.Inject([]Segment{c.packet(3*n, nil, func(t *layers.TCP) { t.FIN, t.Ack = true, 1000+27*3 })})
			if answered {
				s.Inject([]Segment{c.answer(1000+27*3, 3*n+1, "", nil)})
			}
			s.pass(3 * time.Second)
			s.is(c, text(get1+get2+get3, nil))
		})
	}
}
