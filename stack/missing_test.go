package stack

import (
	"strings"
	"testing"
	"time"

	"netmirror/outcome"
)

// TestMissingBytes checks what is counted of the bytes that never came, when
// nobody waits for them any longer.
func TestMissingBytes(t *testing.T) {
	get := func(n int) string { return "GET /" + strings.Repeat("x", n-18) + " HTTP/1.1\r\n\r\n" } // n bytes
	for _, tc := range []struct {
		name         string
		segs         func(c *client) []Segment
		holes, bytes uint64
	}{
		{"nothing is missing", func(c *client) []Segment {
			return []Segment{c.ask(0, get(100), 1), c.fin(100)}
		}, 0, 0},
		{"a hole that is filled", func(c *client) []Segment {
			return []Segment{c.data(4, []byte("behind")), c.data(0, []byte("GET ")), c.fin(10)}
		}, 0, 0},
		{"a hole, and a request behind it", func(c *client) []Segment {
			return []Segment{c.ask(0, get(100), 1), c.ask(150, get(100), 2), c.fin(250)}
		}, 1, 50},
		{"two holes, and no request between them", func(c *client) []Segment {
			return []Segment{c.ask(0, get(100), 1), c.ask(150, "no request", 1), c.ask(180, get(100), 2), c.fin(280)}
		}, 2, 70},
		{"two holes, and no request behind them", func(c *client) []Segment {
			return []Segment{c.ask(0, get(100), 1), c.ask(150, "no request", 1), c.ask(180, "nor this", 1)}
		}, 2, 70},
		{"a hole at the end, which the server tells of", func(c *client) []Segment {
			return []Segment{c.ask(0, get(100), 1), c.server(1000, 140, "")}
		}, 1, 40},
		{"a hole in front of a reset", func(c *client) []Segment {
			return []Segment{c.ask(0, get(100), 1), c.rst(130)}
		}, 1, 30},
		{"a packet that the mirror has cut", func(c *client) []Segment {
			return []Segment{c.ask(0, get(100), 1), cut(c.data(100, []byte("0123456789")))}
		}, 1, 10},
		{"a FIN that is lost", func(c *client) []Segment {
			return []Segment{c.ask(0, get(100), 1), c.server(1000, 101, "")}
		}, 1, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newTimed(t, nil)
			c := newClient(t, 0xffffffff-120) // wraps around
			s.Inject(c.opening())
			settled(t, s.Stack)
			s.Inject(tc.segs(c))
			s.pass(12 * time.Second)
			if st := s.Stats(); st.Holes != tc.holes || st.MissingBytes != tc.bytes {
				t.Errorf("%d holes of %d bytes, want %d of %d", st.Holes, st.MissingBytes, tc.holes, tc.bytes)
			}
		})
	}
}

// TestMissingBytesOfStreamsThatEnd: a hole counts, once, also where its stream
// ends before it is given up.
func TestMissingBytesOfStreamsThatEnd(t *testing.T) {
	for name, end := range map[string]func(s *Stack, clk *clock, c *Conn){
		"the stack is closed":     func(s *Stack, _ *clock, _ *Conn) { s.Close() },
		"the reader gives up":     func(_ *Stack, _ *clock, c *Conn) { c.Close() },
		"the target has closed":   func(s *Stack, clk *clock, c *Conn) { c.CloseWith(outcome.EndTargetClosed); clk.pass(t, s, time.Second) },
		"the stack is shut down":  func(s *Stack, clk *clock, _ *Conn) { s.Shutdown(); clk.pass(t, s, time.Second) },
		"the client is silent":    func(s *Stack, clk *clock, _ *Conn) { clk.pass(t, s, time.Hour) },
		"a budget is spent on it": func(s *Stack, _ *clock, _ *Conn) { shed(s) },
	} {
		t.Run(name, func(t *testing.T) {
			clk := new(clock)
			s := newTestStack(t, func(c *Config) { c.Now, c.GapTimeout, c.IdleTimeout = clk.now, 2*time.Hour, time.Minute })
			c := newClient(t, 3)
			s.Inject(append(c.opening(), c.ask(0, get1, 1), c.ask(len(get1)+30, "no request", 1)))
			conn := accept(t, s)
			settled(t, s)
			if n, err := conn.Read(make([]byte, 1000)); n != len(get1) {
				t.Fatalf("%d bytes, %v", n, err)
			}
			end(s, clk, conn)
			conn.Close()
			if st := s.Stats(); st.Holes != 1 || st.MissingBytes != 30 {
				t.Errorf("%d holes of %d bytes, want 1 of 30", st.Holes, st.MissingBytes)
			}
		})
	}
}

// What waits behind a hole when its target closes, and is evicted then, is not missing.
func TestMissingBytesOfWhatIsEvicted(t *testing.T) {
	const n = len(get1)
	clk := new(clock)
	s := newTestStack(t, func(c *Config) { c.Now = clk.now })
	c := newClient(t, 1000)
	s.Inject(append(c.opening(), c.ask(0, get1, 1), c.ask(n+30, "no request", 1)))
	conn := accept(t, s)
	readExactly(t, conn, n)
	settled(t, s)
	conn.CloseWith(outcome.EndTargetClosed)
	shed(s)
	s.Inject([]Segment{c.ask(n+40, get2, 3)})
	clk.pass(t, s, time.Second)
	if st := s.Stats(); st.Holes != 1 || st.MissingBytes != 30 {
		t.Errorf("%d holes of %d bytes, want 1 of 30", st.Holes, st.MissingBytes)
	}
}

// What lay behind a hole that was given up counts at once, and as lost for the hole.
func TestBytesBehindAHoleThatIsGivenUp(t *testing.T) {
	s := newTimed(t, nil)
	c := newClient(t, 1000)
	s.Inject(append(c.opening(), c.ask(0, get1, 1), c.ask(len(get1)+30, "no request", 1), c.ask(len(get1)+40, "at all", 1)))
	for s.Stats().FlowsEnded[outcome.EndGap] == 0 {
		s.pass(tick)
	}
	if st := s.Stats(); st.Dropped[outcome.DropGap] != 2 || st.DroppedBytes[outcome.DropGap] != 16 || st.MissingBytes != 30 {
		t.Errorf("%d packets and %d bytes count as behind a hole, and %d as missing, want 2, 16 and 30",
			st.Dropped[outcome.DropGap], st.DroppedBytes[outcome.DropGap], st.MissingBytes)
	}
}

// afterTarget is a stack with a connection of get1, whose target has closed.
func afterTarget(t *testing.T) (*clock, *Stack, *client) {
	clk := new(clock)
	s := newTestStack(t, func(c *Config) { c.Now = clk.now })
	c := newClient(t, 1000)
	s.Inject(append(c.opening(), c.ask(0, get1, 1)))
	conn := accept(t, s)
	readExactly(t, conn, len(get1))
	settled(t, s)
	conn.CloseWith(outcome.EndTargetClosed)
	clk.pass(t, s, 100*time.Millisecond)
	return clk, s, c
}

func missing(t *testing.T, s *Stack, holes, bytes uint64) {
	t.Helper()
	if st := s.Stats(); st.Holes != holes || st.MissingBytes != bytes {
		t.Errorf("%d holes of %d bytes, want %d of %d", st.Holes, st.MissingBytes, holes, bytes)
	}
}

// Behind a target's end, a hole counts once, though a part of it comes late.
func TestMissingBytesThatComeLate(t *testing.T) {
	const n = len(get1)
	clk, s, c := afterTarget(t)
	for _, off := range []int{n + 100, n + 10, n + 110} {
		s.Inject([]Segment{c.ask(off, "no request", 1)})
		clk.pass(t, s, 200*time.Millisecond)
	}
	missing(t, s, 1, 100)
}

// The same where it is evicted; the late part counts as a duplicate.
func TestMissingBytesOfWhatIsEvictedLate(t *testing.T) {
	const n = len(get1)
	clk, s, c := afterTarget(t)
	s.Inject([]Segment{c.ask(n+100, "no request", 1)})
	clk.pass(t, s, 200*time.Millisecond)
	s.Inject([]Segment{c.ask(n+10, "no request", 1), c.ask(n+110, "no request", 1)})
	shed(s)
	missing(t, s, 1, 100)
	if got := s.Services()[0].Lost[outcome.DropDuplicate]; got != 10 {
		t.Errorf("%d bytes are duplicates, want 10", got)
	}
}

// Nothing is missing in front of a probe.
func TestMissingBytesBeforeAProbe(t *testing.T) {
	const n = len(get1)
	for name, off := range map[string]int{"at the end": n, "ahead": n + 60000} {
		t.Run(name, func(t *testing.T) {
			clk, s, c := afterTarget(t)
			s.Inject([]Segment{c.ask(off, "x", 1)})
			clk.pass(t, s, 200*time.Millisecond)
			missing(t, s, 0, 0)
		})
	}
}

// shed takes the memory of every stream.
func shed(s *Stack) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.evict(s.cfg.TotalBytes, true)
}

// TestServerBytes: the bytes of the two directions are counted apart.
func TestServerBytes(t *testing.T) {
	s := newTimed(t, nil)
	c := newClient(t, 3)
	answer := c.server(1000, len(get1), "")
	answer.IP = append(answer.IP, "HTTP/1.1 204 No Content\r\n\r\n"...)
	broken := answer
	broken.IP = append([]byte(nil), answer.IP...)
	copy(broken.IP[12:], []byte{224, 0, 0, 1})
	s.Inject(append(c.opening(), c.ask(0, get1, 1), answer, broken))
	s.is(c, text(get1, outcome.EndShutdown))
	st := s.Stats()
	if st.Bytes != uint64(len(get1)) || st.ServerBytes != 2*27 {
		t.Errorf("%d bytes from the client and %d from the server, want %d and 54", st.Bytes, st.ServerBytes, len(get1))
	}
	for d := range outcome.NumDrops {
		if st.DroppedBytes[d] > 0 {
			t.Errorf("%d bytes are dropped as %s, want none", st.DroppedBytes[d], d)
		}
	}
}
