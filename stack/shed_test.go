package stack

import (
	"strings"
	"testing"
	"time"

	"netmirror/outcome"
)

// A budget is spent on a stream that gVisor has not handed out yet, and whose connection has ended.
// The stream ends for the budget's sake, and the connection stays over: a next one on the same
// ports, with the same number, is one.
func TestShedBehindTheEndOfAConnection(t *testing.T) {
	const n, next = len(get1), "no HTTP"
	nothing := func(*client) []Segment { return nil }
	for _, tc := range []struct {
		name string
		end  func(c *client) []Segment
		more func(s *Stack, f *flow)
	}{
		{"FIN", func(c *client) []Segment { return []Segment{c.fin(n)} }, nil},
		{"RST", func(c *client) []Segment { return []Segment{c.rst(n)} }, nil},
		{"the server's RST", func(c *client) []Segment {
			return []Segment{c.server(1000, n, ""), c.server(1000, n, "R")}
		}, nil},
		{"shed twice", func(c *client) []Segment { return []Segment{c.fin(n)} }, func(s *Stack, f *flow) {
			s.end(f, outcome.EndShed, outcome.DropTotalBudget)
		}},
		{"a FIN behind it", nothing, func(s *Stack, _ *flow) { s.takeBatch(s.read([]Segment{newClient(t, 1000).fin(n)}, nil)) }},
		{"bytes and a FIN behind it", nothing, func(s *Stack, _ *flow) {
			c := newClient(t, 1000)
			s.takeBatch(s.read([]Segment{c.ask(n, get2, 1), c.fin(2 * n)}, nil))
		}},
		{"a RST behind it", nothing, func(s *Stack, _ *flow) { s.takeBatch(s.read([]Segment{newClient(t, 1000).rst(n)}, nil)) }},
		{"the server's RST behind it", nothing, func(s *Stack, _ *flow) {
			c := newClient(t, 1000)
			s.takeBatch(s.read([]Segment{c.server(1000, n, ""), c.server(1000, n, "R")}, nil))
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newTimed(t, nil)
			c := newClient(t, 1000)
			s.Stack.mu.Lock()
			s.captured = s.clk.now()
			s.dial(append(append(c.opening(), c.server(999, 0, "S"), c.ask(0, get1, 1)), tc.end(c)...))
			for _, f := range s.flows {
				if f.virtual.conn != nil {
					t.Error("handed out")
				}
				s.end(f, outcome.EndShed, outcome.DropTotalBudget)
				if tc.more != nil {
					tc.more(s.Stack, f)
				}
			}
			s.Stack.mu.Unlock()
			s.signal()
			s.pass(100 * time.Millisecond)
			s.Inject(append(c.opening(), c.server(999, 0, "S"), c.ask(0, next, 1), c.fin(len(next))))
			s.pass(100 * time.Millisecond)
			if st := s.Stats(); st.Dropped[outcome.DropTotalBudget] == 0 || st.FlowsEnded[outcome.EndShed] != 1 {
				t.Errorf("want one stream shed: %+v", st)
			}
			s.is(c, text("", outcome.EndShed), text(next, nil))
		})
	}
}

// A budget is spent on a stream that nobody has seen yet. More of it than a single segment is
// believed to be ahead had come by then, or comes until gVisor hands the stream out. What follows
// is of the same connection: no stream begins in a body of it, and nothing of it is missing.
func TestMuchIsDroppedBeforeTheStreamIsSeen(t *testing.T) {
	const n, head = len(get1), "PUT / HTTP/1.1\r\nContent-Length: 58\r\n\r\n"
	long := "PUT / HTTP/1.1\r\nContent-Length: 150000\r\n\r\n" + strings.Repeat("x", 150_000)
	for name, at := range map[string]int{"before": 1 << 20, "after": 1} {
		t.Run(name, func(t *testing.T) {
			s := newTimed(t, nil)
			c := newClient(t, 1000)
			segs := c.stream(0, []byte(long), 1400)
			at, end := min(at, len(segs)), len(long)
			s.shedUnseen(append(append(c.opening(), c.server(999, 0, "S")), segs[:at]...),
				append(segs[at:], c.server(2000, end, ""), c.ask(end, head, 2)))
			end += len(head)
			s.Inject([]Segment{c.server(3000, end, ""), c.ask(end, "a body, 20 bytes of it"[:20], 3)})
			s.pass(100 * time.Millisecond)
			s.Inject([]Segment{c.server(4000, end+20, ""), c.ask(end+20, get1, 4)})
			s.pass(100 * time.Millisecond)
			s.Inject([]Segment{c.ask(end+20+n, get2, 4)})
			s.pass(100 * time.Millisecond)
			s.Inject([]Segment{c.ask(end+20+2*n, get3, 5), c.fin(end + 20 + 3*n)})
			s.pass(time.Second)
			s.is(c, text("", outcome.EndShed), text(get3, nil))
			if st := s.Stats(); st.Holes != 0 {
				t.Errorf("%d holes of %d bytes, and nothing is missing", st.Holes, st.MissingBytes)
			}
		})
	}
}

// A late packet of a connection spends the budget, where the next one on its ports has come and
// its target has ended the stream. No stream begins in the middle of a body of the next one's.
func TestLatePacketIsDroppedBesideTheRestOfTheNextConnection(t *testing.T) {
	const n, head = len(get1), "PUT / HTTP/1.1\r\nContent-Length: 58\r\n\r\n"
	clk := new(clock)
	s := newTestStack(t, func(c *Config) { c.Now, c.TotalBytes = clk.now, 6000 })
	c := newClient(t, 1<<30)
	d := c.next(1<<30 - 1<<20)
	s.Inject(append(c.opening(), c.ask(0, get1, 1)))
	first := accept(t, s)
	readExactly(t, first, n)
	s.Inject([]Segment{c.ask(n+1000, "behind a hole", 1)})
	clk.pass(t, s, 10*time.Millisecond)
	s.Inject(append(d.opening(), d.ask(0, head, 1)))
	next := accept(t, s)
	readExactly(t, next, len(head))
	settled(t, s)
	next.CloseWith(outcome.EndTargetSlow)
	s.Inject([]Segment{c.ask(n, strings.Repeat("x", 1000), 1)})
	if st := s.Stats(); st.Dropped[outcome.DropTotalBudget] == 0 || st.FlowsEnded[outcome.EndShed] != 1 {
		t.Fatalf("not evicted: %+v", st)
	}
	first.Close()
	at := len(head)
	s.Inject([]Segment{d.ask(at, "a body, 20 bytes of it"[:20], 2)})
	clk.pass(t, s, 100*time.Millisecond)
	s.Inject([]Segment{d.ask(at+20, get1+get2, 3)})
	clk.pass(t, s, 100*time.Millisecond)
	at += 58
	s.Inject([]Segment{d.ask(at, get3, 4)})
	clk.pass(t, s, 500*time.Millisecond)
	if got := string(readExactly(t, accept(t, s), n)); got != get3 {
		t.Errorf("the next stream begins with %q, want %q", got, get3)
	}
}
