package stack

import (
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
