package stack

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/google/gopacket/layers"

	"netmirror/outcome"
)

func TestStreams(t *testing.T) {
	hello := []byte("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	big := pattern(3 << 20)
	v6 := func(c *client) {
		c.src = netip.MustParseAddrPort("[2001:db8::7]:40000")
		c.dst = netip.MustParseAddrPort("[2001:db8::1]:8080")
	}
	for _, tc := range []struct {
		name string
		isn  uint32
		set  func(*client)
		segs func(c *client) []Segment
		want []byte
		end  error // nil: the client's FIN
	}{
		{name: "handshake, data, FIN", segs: func(c *client) []Segment {
			return append(c.opening(), c.data(0, hello), c.fin(len(hello)))
		}, want: hello},
		{name: "IPv6", set: v6, segs: func(c *client) []Segment {
			return append(c.opening(), c.data(0, hello), c.fin(len(hello)))
		}, want: hello},
		{name: "loopback addresses", set: func(c *client) {
			c.src, c.dst = netip.MustParseAddrPort("127.0.0.1:4000"), netip.MustParseAddrPort("127.0.0.1:8080")
		}, segs: func(c *client) []Segment {
			return append(c.opening(), c.data(0, hello), c.fin(len(hello)))
		}, want: hello},
		{name: "IPv6 loopback addresses", set: func(c *client) {
			c.src, c.dst = netip.MustParseAddrPort("[::1]:4000"), netip.MustParseAddrPort("[::1]:8080")
		}, segs: func(c *client) []Segment {
			return append(c.opening(), c.data(0, hello), c.fin(len(hello)))
		}, want: hello},
		{name: "data with the FIN, no bare ACK", segs: func(c *client) []Segment {
			return []Segment{c.syn(), c.packet(0, hello, func(t *layers.TCP) { t.FIN = true })}
		}, want: hello},
		{name: "a connection without a byte", segs: func(c *client) []Segment {
			return append(c.opening(), c.fin(0))
		}},
		{name: "3 MB in 1460-byte segments, more than any window, in one batch", segs: func(c *client) []Segment {
			return append(append(c.opening(), c.stream(0, big, 1460)...), c.fin(len(big)))
		}, want: big},
		{name: "sequence numbers that wrap", isn: 0xffffffff - 1<<20, segs: func(c *client) []Segment {
			return append(append(c.opening(), c.stream(0, big, 1460)...), c.fin(len(big)))
		}, want: big},
		{name: "offloaded segments of 64 KB", segs: func(c *client) []Segment {
			return append(append(c.opening(), c.stream(0, big, 65000)...), c.fin(len(big)))
		}, want: big},
		{name: "segments of one byte", segs: func(c *client) []Segment {
			return append(append(c.opening(), c.stream(0, big[:5000], 1)...), c.fin(5000))
		}, want: big[:5000]},
		{name: "every packet twice", segs: func(c *client) []Segment {
			var segs []Segment
			for _, s := range append(append(c.opening(), c.stream(0, big[:400000], 1460)...), c.fin(400000)) {
				segs = append(segs, s, s)
			}
			return segs
		}, want: big[:400000]},
		{name: "pairs swapped, SYN and FIN among them", segs: func(c *client) []Segment {
			segs := append(append(c.opening(), c.stream(0, big[:400000], 1460)...), c.fin(400000))
			for i := 0; i+1 < len(segs); i += 2 {
				segs[i], segs[i+1] = segs[i+1], segs[i]
			}
			return segs
		}, want: big[:400000]},
		{name: "the SYN last of all", segs: func(c *client) []Segment {
			return append(append(c.stream(0, big[:40000], 1460), c.fin(40000)), c.syn())
		}, want: big[:40000]},
		{name: "the first data segment 100 places late", segs: func(c *client) []Segment {
			d := c.stream(0, big[:200000], 1460)
			d = slices.Insert(slices.Clone(d[1:]), 100, d[0])
			return append(append(c.opening(), d...), c.fin(200000))
		}, want: big[:200000]},
		{name: "retransmissions that overlap on both sides", segs: func(c *client) []Segment {
			return append(c.opening(), c.data(0, big[:1000]), c.data(500, big[500:2500]), c.data(3000, big[3000:4000]),
				c.data(0, big[:4500]), c.data(100, big[100:200]), c.fin(4500))
		}, want: big[:4500]},
		{name: "a FIN before the data that it follows", segs: func(c *client) []Segment {
			return append(c.opening(), c.fin(2000), c.data(1000, big[1000:2000]), c.data(0, big[:1000]))
		}, want: big[:2000]},
		{name: "a FIN on late data that was resent without it", segs: func(c *client) []Segment {
			return append(c.opening(), c.packet(1000, big[1000:2000], func(t *layers.TCP) { t.FIN = true }), c.data(0, big[:2000]))
		}, want: big[:2000]},
		{name: "data in the SYN", segs: func(c *client) []Segment {
			return []Segment{c.packet(-1, big[:100], func(t *layers.TCP) { t.SYN, t.ACK = true, false }),
				c.ack(100), c.data(100, big[100:300]), c.fin(300)}
		}, want: big[:300]},
		{name: "keep-alive and zero-window probes", segs: func(c *client) []Segment {
			return append(c.opening(), c.data(0, big[:100]), c.ack(99), c.data(99, big[99:100]),
				c.data(100, big[100:101]), c.data(100, big[100:300]), c.fin(300))
		}, want: big[:300]},
		{name: "timestamps that the server refused", segs: func(c *client) []Segment {
			// The SYN offers timestamps, no later segment carries any.
			return append(c.opening(), c.data(0, hello), c.fin(len(hello)))
		}, want: hello},
		{name: "urgent data is data", segs: func(c *client) []Segment {
			return append(c.opening(), c.packet(0, hello, func(t *layers.TCP) { t.URG, t.Urgent = true, 3 }), c.fin(len(hello)))
		}, want: hello},
		{name: "RST behind the last byte", segs: func(c *client) []Segment {
			return append(append(c.opening(), c.stream(0, big, 1460)...), c.rst(len(big)))
		}, want: big, end: syscall.ECONNRESET},
		{name: "RST that overtook the data", segs: func(c *client) []Segment {
			return append(c.opening(), c.data(0, big[:1000]), c.rst(3000), c.data(2000, big[2000:3000]), c.data(1000, big[1000:2000]))
		}, want: big[:3000], end: syscall.ECONNRESET},
		{name: "RST of another time, behind what was received", segs: func(c *client) []Segment {
			return append(c.opening(), c.data(0, hello), c.rst(-50), c.fin(len(hello)))
		}, want: hello},
		{name: "a FIN right behind the SYN, before the data", segs: func(c *client) []Segment {
			return []Segment{c.syn(), c.fin(len(hello)), c.data(0, hello)}
		}, want: hello},
		{name: "a RST right behind the SYN, before the data", segs: func(c *client) []Segment {
			return []Segment{c.syn(), c.rst(len(hello)), c.data(0, hello)}
		}, want: hello, end: syscall.ECONNRESET},
		{name: "bytes behind the FIN", segs: func(c *client) []Segment {
			return append(c.opening(), c.data(1000, big[1000:2000]), c.fin(2000), c.data(2000, big[:500]), c.data(1500, big[1500:2600]), c.data(0, big[:1000]))
		}, want: big[:2000]},
		{name: "a RST behind the FIN", segs: func(c *client) []Segment {
			return append(c.opening(), c.data(0, hello), c.fin(len(hello)), c.rst(len(hello)+1))
		}, want: hello},
		{name: "the end of an older connection before a late SYN", segs: func(c *client) []Segment {
			return []Segment{c.fin(-5000), c.data(0, hello), c.syn(), c.fin(len(hello))}
		}, want: hello},
		{name: "a hole that is never filled", segs: func(c *client) []Segment {
			return append(c.opening(), c.data(0, big[:1000]), c.data(2000, big[2000:3000]), c.fin(3000))
		}, want: big[:1000], end: outcome.EndGap},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newTestStack(t, func(c *Config) { c.GapTimeout, c.FlowBytes = 300*time.Millisecond, 8<<20 })
			c := newClient(t, tc.isn)
			if tc.set != nil {
				tc.set(c)
			}
			s.Inject(tc.segs(c))
			conn := accept(t, s)
			if conn.RemoteAddr().String() != c.src.String() || conn.LocalAddr().String() != c.dst.String() {
				t.Errorf("stream from %v to %v, want %v to %v", conn.RemoteAddr(), conn.LocalAddr(), c.src, c.dst)
			}
			got, err := readAll(t, conn)
			if !bytes.Equal(got, tc.want) {
				t.Errorf("read %d bytes, want %d", len(got), len(tc.want))
			}
			if !errors.Is(err, tc.end) {
				t.Errorf("stream ended with %v, want %v", err, tc.end)
			}
		})
	}
}

// TestSmallBatches has gVisor answer between any two packets.
func TestSmallBatches(t *testing.T) {
	s := newTestStack(t, nil)
	c := newClient(t, 7)
	b := pattern(1 << 20)
	segs := append(append(c.opening(), c.stream(0, b, 1460)...), c.fin(len(b)))
	go func() {
		for i := range segs {
			s.Inject(segs[i : i+1])
		}
	}()
	if got, err := readAll(t, accept(t, s)); err != nil || !bytes.Equal(got, b) {
		t.Errorf("read %d bytes and %v, want %d and EOF", len(got), err, len(b))
	}
}

// TestSlowReader is about backpressure: nothing may be lost while gVisor's
// window is closed.
func TestSlowReader(t *testing.T) {
	for _, row := range []struct{ size, segments int }{{1460, 2000}, {10, 20_000}} {
		size := row.size
		s := newTestStack(t, func(c *Config) { c.FlowBytes = 64 << 20 })
		c := newClient(t, 7)
		b := pattern(size * row.segments)
		segs := c.opening()
		for off := 0; off < len(b); off += size {
			// Behind an answer each, so that each is an entry of its own in the queue.
			segs = append(segs, c.packet(off, b[off:off+size], func(t *layers.TCP) { t.Ack = uint32(off) }))
		}
		s.Inject(append(segs, c.packet(len(b), nil, func(t *layers.TCP) { t.FIN, t.Ack = true, uint32(len(b)) })))
		conn := accept(t, s)
		waitFor(t, "the window to close", func() bool { return s.Stats().Held > 0 })
		if got, err := readAll(t, conn); err != nil || !bytes.Equal(got, b) {
			t.Errorf("read %d bytes and %v, want %d and EOF", len(got), err, len(b))
		}
	}
}

func TestScanOpensNothing(t *testing.T) {
	s := newTestStack(t, func(c *Config) { c.MaxStubs = 100 })
	c := newClient(t, 7)
	var segs []Segment
	for port := range uint16(1000) {
		c.src = netip.AddrPortFrom(c.src.Addr(), 1000+port)
		segs = append(segs, c.syn())
		if port%2 == 0 {
			segs = append(segs, c.rst(0))
		}
	}
	s.Inject(segs)
	st := s.Stats()
	if st.Flows != 0 || st.FlowsOpened != 0 {
		t.Errorf("SYNs alone made %d flows, %d streams", st.Flows, st.FlowsOpened)
	}
	if st.HalfOpenLost != 500-100 {
		t.Errorf("%d half-open entries pushed out, want 400 of 500 for a table of 100", st.HalfOpenLost)
	}
}

func TestPortReuse(t *testing.T) {
	for _, tc := range []struct {
		name   string
		before func(c *client) []Segment
		end    error
	}{
		{"after a FIN that was not read yet", func(c *client) []Segment {
			return append(c.opening(), c.data(0, []byte("first")), c.fin(5))
		}, nil},
		{"with no end seen", func(c *client) []Segment {
			return append(c.opening(), c.data(0, []byte("first")))
		}, outcome.EndReplaced},
		{"behind a hole", func(c *client) []Segment {
			return append(c.opening(), c.data(0, []byte("first")), c.data(100, []byte("lost")))
		}, outcome.EndGap},
		{"after a RST", func(c *client) []Segment {
			return append(c.opening(), c.data(0, []byte("first")), c.rst(5))
		}, outcome.EndClientReset},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newTestStack(t, nil)
			c, d := newClient(t, 1000), newClient(t, 5_000_000)
			segs := append(tc.before(c), d.opening()...)
			s.Inject(append(segs, d.data(0, []byte("second")), d.fin(6)))
			got, err := readAll(t, accept(t, s))
			if string(got) != "first" || !errors.Is(err, tc.end) {
				t.Errorf("first stream: %q, %v; want %q, %v", got, err, "first", tc.end)
			}
			got, err = readAll(t, accept(t, s))
			if string(got) != "second" || err != nil {
				t.Errorf("second stream: %q, %v", got, err)
			}
		})
	}
}

func TestSameAddressesInTwoNetworks(t *testing.T) {
	s := newTestStack(t, nil)
	a, b := newClient(t, 1), newClient(t, 1)
	b.vni = 43
	s.Inject(append(a.opening(), b.opening()...))
	s.Inject([]Segment{a.data(0, []byte("a")), b.data(0, []byte("b")), a.fin(1), b.fin(1)})
	var got []string
	for range 2 {
		p, err := readAll(t, accept(t, s))
		if err != nil {
			t.Error(err)
		}
		got = append(got, string(p))
	}
	slices.Sort(got)
	if !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("streams %q, want a and b", got)
	}
}

func TestReaderGivesUp(t *testing.T) {
	s := newTestStack(t, nil)
	c := newClient(t, 1)
	s.Inject(append(c.opening(), c.data(0, pattern(5000))))
	conn := accept(t, s)
	read := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, conn)
		read <- err
	}()
	waitFor(t, "the reader", func() bool { return s.Stats().BytesRead == 5000 })
	conn.Close()
	if err := <-read; !errors.Is(err, net.ErrClosed) {
		t.Errorf("Read returned %v after Close, want net.ErrClosed", err)
	}
	s.Inject([]Segment{c.data(5000, pattern(10)), c.fin(5010)})
	st := s.Stats()
	if st.Flows != 0 || st.Dropped[outcome.DropMidStream] != 2 {
		t.Errorf("%d flows, %d packets dropped as of no stream; want 0, 2", st.Flows, st.Dropped[outcome.DropMidStream])
	}
}

func TestShutdownDelivers(t *testing.T) {
	s := newTestStack(t, nil)
	c, d := newClient(t, 1), newClient(t, 1)
	d.src = netip.AddrPortFrom(d.src.Addr(), 1)
	b := pattern(2 << 20)
	s.Inject(append(c.opening(), d.opening()...))
	s.Inject(append(c.stream(0, b, 1460), d.data(0, b[:10]), d.fin(10)))
	s.Shutdown()
	var sizes []int
	for range 2 {
		conn := accept(t, s)
		got, err := readAll(t, conn)
		sizes = append(sizes, len(got))
		if want := map[int]error{len(b): outcome.EndShutdown, 10: nil}[len(got)]; !errors.Is(err, want) {
			t.Errorf("stream of %d bytes ended with %v, want %v", len(got), err, want)
		}
	}
	if slices.Sort(sizes); !slices.Equal(sizes, []int{10, len(b)}) {
		t.Errorf("streams of %v bytes", sizes)
	}
	if _, err := s.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept after the last stream: %v, want net.ErrClosed", err)
	}
}

func TestBudgets(t *testing.T) {
	t.Run("a flow that holds too much is reset, others go on", func(t *testing.T) {
		s := newTestStack(t, func(c *Config) { c.FlowBytes = 1 << 20 })
		c, d := newClient(t, 1), newClient(t, 1)
		d.src = netip.AddrPortFrom(d.src.Addr(), 1)
		s.Inject(c.opening())
		slow := accept(t, s)
		s.Inject(c.stream(0, pattern(4<<20), 1460))
		s.Inject(append(d.opening(), d.data(0, []byte("d")), d.fin(1)))
		if got, err := readAll(t, accept(t, s)); string(got) != "d" || err != nil {
			t.Errorf("the other stream: %q, %v", got, err)
		}
		got, err := readAll(t, slow)
		if !errors.Is(err, outcome.EndShed) || !bytes.HasPrefix(pattern(4<<20), got) {
			t.Errorf("the stream over its budget: %d bytes, %v", len(got), err)
		}
		if s.Stats().Dropped[outcome.DropFlowBudget] == 0 {
			t.Error("nothing counted as dropped for the budget")
		}
	})
	t.Run("flows beyond the limit are turned away", func(t *testing.T) {
		s := newTestStack(t, func(c *Config) { c.MaxFlows = 1 })
		c, d := newClient(t, 1), newClient(t, 1)
		d.src = netip.AddrPortFrom(d.src.Addr(), 1)
		s.Inject(append(c.opening(), d.opening()...))
		if st := s.Stats(); st.Flows != 1 || st.Dropped[outcome.DropFlowLimit] != 1 {
			t.Errorf("%d flows, %d turned away; want 1, 1", st.Flows, st.Dropped[outcome.DropFlowLimit])
		}
	})
}

// waitFor polls a condition that has no event.
func waitFor(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !cond(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited 10 s for %s", what)
		}
	}
}
