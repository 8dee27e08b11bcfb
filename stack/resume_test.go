package stack

import (
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/gopacket/layers"

	"netmirror/outcome"
	"netmirror/stack/netstack"
)

// readExactly reads n bytes, within a time limit.
func readExactly(t *testing.T, c *Conn, n int) []byte {
	t.Helper()
	timer := time.AfterFunc(10*time.Second, func() { c.Close() })
	defer timer.Stop()
	b := make([]byte, n)
	for got := 0; got < n; {
		m, err := c.Read(b[got:])
		if err != nil {
			t.Fatalf("read %d of %d bytes: %v", got, n, err)
		}
		got += m
	}
	return b
}

// quitWith has a reader give back the last bytes and end with the outcome.
func quitWith(c *Conn, back []byte, how outcome.End) {
	if len(back) > 0 {
		c.Unread(back)
	}
	c.CloseWith(how)
}

func TestUnreadComesFirstAgain(t *testing.T) {
	s := newTestStack(t, nil)
	c := newClient(t, 1)
	s.Inject(append(c.opening(), c.data(0, []byte("abcdef")), c.fin(6)))
	conn := accept(t, s)
	got := string(readExactly(t, conn, 4))
	conn.Unread([]byte("cd"))
	conn.Unread([]byte("b"))
	if err := conn.WaitReadable(); err != nil {
		t.Error(err)
	}
	rest, err := readAll(t, conn)
	if got+string(rest) != "abcd"+"bcdef" || err != nil {
		t.Errorf("read %q, then %q, %v", got, rest, err)
	}
}

// TestTargetEnds is about what becomes of a stream whose target connection has
// ended: what the client sends from its next request on is another stream.
func TestTargetEnds(t *testing.T) {
	const n, put = len(get1), "PUT / HTTP/1.1\r\nContent-Length: 19\r\n\r\n"
	for _, tc := range []struct {
		name    string
		mode    Midstream
		outcome outcome.End
		back    int // bytes given back
		before  func(c *client) []Segment
		after   func(c *client) []Segment
		read    string // before the target ends
		want    string // on the next stream; "": there is none
	}{
		{name: "closed between two requests, with the next one in hand", outcome: outcome.EndTargetClosed, back: n,
			before: func(c *client) []Segment { return []Segment{c.ask(0, get1, 1), c.ask(n, get2, 2)} }, read: get1 + get2,
			after: func(c *client) []Segment { return []Segment{c.ask(2*n, get3, 3)} }, want: get2 + get3},
		{name: "closed with the next request unread", outcome: outcome.EndTargetClosed,
			before: func(c *client) []Segment { return []Segment{c.ask(0, get1, 1), c.ask(n, get2, 2)} }, read: get1,
			after: func(c *client) []Segment { return []Segment{c.ask(2*n, get3, 3)} }, want: get2 + get3},
		{name: "closed before the first request", outcome: outcome.EndTargetClosed, back: n,
			before: func(c *client) []Segment { return []Segment{c.ask(0, get1, 1)} }, read: get1,
			after: func(c *client) []Segment { return []Segment{c.ask(n, get2, 2)} }, want: get1 + get2},
		{name: "closed in the middle of a request: from the next on", outcome: outcome.EndTargetClosed, back: 3,
			before: func(c *client) []Segment { return []Segment{c.ask(0, get1, 1), c.ask(n, get2, 2)} }, read: get1,
			after: func(c *client) []Segment { return []Segment{c.ask(2*n, get3, 3)} }, want: get2 + get3},
		{name: "closed with all delivered", outcome: outcome.EndTargetClosed,
			before: func(c *client) []Segment { return []Segment{c.ask(0, get1, 1)} }, read: get1,
			after: func(c *client) []Segment { return []Segment{c.ask(n, get2, 2)} }, want: get2},
		{name: "closed in the middle of a body that looks like a request", outcome: outcome.EndTargetClosed, back: n,
			before: func(c *client) []Segment { return []Segment{c.ask(0, put, 1), c.ask(len(put), get2, 1)} }, read: put + get2,
			after: func(c *client) []Segment { return []Segment{c.ask(len(put)+n, get3, 2), c.fin(len(put) + 2*n)} }, want: get3},
		{name: "closed, and any segment will do", mode: MidstreamAny, outcome: outcome.EndTargetClosed, back: 3,
			before: func(c *client) []Segment { return []Segment{c.ask(0, "binary", 1)} }, read: "binary",
			after: func(c *client) []Segment { return []Segment{c.ask(6, "more", 1)} }, want: "arymore"},
		{name: "closed, and no stream may begin in the middle", mode: MidstreamOff, outcome: outcome.EndTargetClosed, back: n,
			before: func(c *client) []Segment { return []Segment{c.ask(0, get1, 1), c.ask(n, get2, 2)} }, read: get1 + get2,
			after: func(c *client) []Segment { return []Segment{c.ask(2*n, get3, 3)} }},
		{name: "closed an HTTP/2 connection", outcome: outcome.EndTargetClosed,
			before: func(c *client) []Segment { return []Segment{c.ask(0, "PRI * HTTP/2.0\r\n\r\n", 1)} }, read: "PRI * HTTP/2.0\r\n\r\n",
			after: func(c *client) []Segment { return []Segment{c.ask(18, get2, 2)} }},
		{name: "refused: what has come by then is lost", outcome: outcome.EndTargetRefused,
			before: func(c *client) []Segment { return []Segment{c.ask(0, get1, 1)} },
			after:  func(c *client) []Segment { return []Segment{c.ask(n, get2, 2)} }, want: get2},
		{name: "slow: what has come by then is lost", outcome: outcome.EndTargetSlow,
			before: func(c *client) []Segment { return []Segment{c.ask(0, get1, 1), c.ask(n, get2, 2)} }, read: get1,
			after: func(c *client) []Segment { return []Segment{c.ask(2*n, get3, 3)} }, want: get3},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newTestStack(t, func(c *Config) { c.Services = []Service{{Midstream: tc.mode}} })
			c := newClient(t, 0xfffffff8)
			s.Inject(append(c.opening(), tc.before(c)...))
			conn := accept(t, s)
			got := readExactly(t, conn, len(tc.read))
			if string(got) != tc.read {
				t.Fatalf("read %q", got)
			}
			settled(t, s)
			quitWith(conn, got[len(got)-tc.back:], tc.outcome)
			if _, err := conn.Read(make([]byte, 1)); err != net.ErrClosed {
				t.Errorf("after the end, Read returned %v", err)
			}
			s.Inject(append(tc.after(c), c.fin(3*n)))
			if tc.want == "" {
				s.Shutdown()
				if next, err := s.Accept(); err == nil {
					t.Errorf("there is another stream, from %v", next.RemoteAddr())
				}
				return
			}
			next := accept(t, s)
			if got := readExactly(t, next, len(tc.want)); string(got) != tc.want {
				t.Errorf("the next stream reads %q, want %q", got, tc.want)
			}
			next.Close()
		})
	}
}

// TestStreamEndsBesideARequest: a request is on its way, and its head is not in the stream yet,
// when the stream ends. Its body, which looks like a request, begins no stream.
func TestStreamEndsBesideARequest(t *testing.T) {
	const n, put = len(get1), "PUT / HTTP/1.1\r\nContent-Length: 19\r\n\r\n"
	for _, tc := range []struct {
		name string
		end  func(s *Stack, clk *clock, c *client, conn *Conn)
		want string // on the next stream
	}{
		{name: "a budget was spent when the head came", end: func(s *Stack, _ *clock, c *client, conn *Conn) {
			s.mu.Lock()
			s.takeBatch(s.read([]Segment{c.server(2000, n, ""), c.ask(n, put, 2)}, nil))
			s.end(conn.flow, outcome.EndShed, outcome.DropTotalBudget)
			s.mu.Unlock()
		}, want: get3},
		{name: "the target was slow, and the server's word on the head had not come", end: func(s *Stack, clk *clock, c *client, conn *Conn) {
			s.Inject([]Segment{c.server(1000, n, ""), c.ask(n, put, 2)})
			settled(t, s)
			conn.CloseWith(outcome.EndTargetSlow)
			s.Inject([]Segment{c.server(2000, n+len(put), "")})
		}, want: put + get2 + get3},
		{name: "the target closed, and the head came the wrong way round", end: func(s *Stack, _ *clock, c *client, conn *Conn) {
			s.Inject([]Segment{c.server(2000, n, ""), c.ask(n+10, put[10:], 2)})
			settled(t, s)
			conn.CloseWith(outcome.EndTargetClosed)
			s.Inject([]Segment{c.ask(n, put[:10], 2)})
		}, want: put + get2 + get3},
	} {
		t.Run(tc.name, func(t *testing.T) {
			clk := new(clock)
			s := newTestStack(t, func(c *Config) { c.Now = clk.now })
			c := newClient(t, 0xfffffff8)
			s.Inject(append(c.opening(), c.server(999, 0, "S"), c.ask(0, get1, 1)))
			conn := accept(t, s)
			readExactly(t, conn, n)
			settled(t, s)
			tc.end(s, clk, c, conn)
			conn.Close()
			at := n + len(put)
			// The body acknowledges more than the head, as one that has waited for 100 (Continue).
			s.Inject([]Segment{c.server(3000, at, ""), c.ask(at, get2, 3), c.server(4000, at+n, ""), c.ask(at+n, get3, 4)})
			clk.pass(t, s, 2*time.Second)
			if got := readExactly(t, accept(t, s), len(tc.want)); string(got) != tc.want {
				t.Errorf("the next stream reads %q, want %q", got, tc.want)
			}
		})
	}
}

// shedUnseen has a budget spent on a stream that nobody has seen yet, behind the first segments.
// The others come as it ends.
func (s *timed) shedUnseen(before, after []Segment) {
	s.Stack.mu.Lock()
	s.now = s.cfg.Now()
	s.takeBatch(s.Stack.read(before, nil))
	for _, f := range s.flows {
		s.end(f, outcome.EndShed, outcome.DropTotalBudget)
	}
	s.takeBatch(s.Stack.read(after, nil))
	s.Stack.mu.Unlock()
	s.pass(100 * time.Millisecond)
}

// The same for a stream that is given up before anybody has seen it.
func TestStreamIsGivenUpBeforeItIsSeen(t *testing.T) {
	const n, put = len(get1), "PUT / HTTP/1.1\r\nContent-Length: 38\r\n\r\n"
	s := newTimed(t, nil)
	c := newClient(t, 1000)
	at := n + len(put)
	s.shedUnseen(append(c.opening(), c.server(999, 0, "S"), c.ask(0, get1, 1), c.server(2000, n, ""), c.ask(n, put, 2)),
		[]Segment{c.ask(1<<20, "a stray", 2), c.server(3000, at, ""), c.ask(at, get1, 3)})
	s.Inject([]Segment{c.server(4000, at+n, ""), c.ask(at+n, get2, 4), c.server(5000, at+2*n, ""), c.ask(at+2*n, get3, 5)})
	s.pass(time.Second)
	s.is(c, text("", outcome.EndShed), text(get3, outcome.EndShutdown))
}

// The head of a request is what spends the budget. Its body begins no stream.
func TestHeadThatSpendsTheBudgetOfAll(t *testing.T) {
	const n, put = len(get1), "PUT / HTTP/1.1\r\nContent-Length: 38\r\n\r\n"
	clk := new(clock)
	s := newTestStack(t, func(c *Config) { c.Now, c.TotalBytes = clk.now, 4400 })
	c := newClient(t, 1000)
	s.Inject(append(c.opening(), c.server(999, 0, "S"), c.ask(0, get1, 1), c.server(2000, n, "")))
	clk.pass(t, s, 20*time.Millisecond)
	first := accept(t, s)
	s.Inject([]Segment{c.ask(n, put, 2)})
	if st := s.Stats(); st.Dropped[outcome.DropTotalBudget] == 0 || st.FlowsEnded[outcome.EndShed] != 1 {
		t.Fatalf("not evicted: %+v", st)
	}
	first.Close()
	at := n + len(put)
	clk.pass(t, s, 100*time.Millisecond)
	s.Inject([]Segment{c.server(3000, at, ""), c.ask(at, get1, 3)})
	clk.pass(t, s, 500*time.Millisecond)
	if got := s.Stats().PickedUp; got != 0 {
		t.Errorf("%d streams begin in a body", got)
	}
}

func TestHeadThatSpendsTheFlowsBudget(t *testing.T) {
	const n, put = len(get1), "PUT / HTTP/1.1\r\nContent-Length: 38\r\n\r\n"
	s := newTimed(t, nil)
	c := newClient(t, 1000)
	s.Inject(append(c.opening(), c.server(999, 0, "S"), c.ask(0, get1, 1), c.server(2000, n, "")))
	s.pass(20 * time.Millisecond)
	s.Stack.mu.Lock()
	s.cfg.FlowBytes = 10
	s.Stack.mu.Unlock()
	s.Inject([]Segment{c.ask(n, put, 2)})
	s.Stack.mu.Lock()
	s.cfg.FlowBytes = 4 << 20
	s.Stack.mu.Unlock()
	at := n + len(put)
	s.pass(100 * time.Millisecond)
	s.Inject([]Segment{c.server(3000, at, ""), c.ask(at, get1, 3)})
	s.pass(100 * time.Millisecond)
	s.Inject([]Segment{c.server(4000, at+n, ""), c.ask(at+n, get2[:38-n], 3)})
	s.pass(100 * time.Millisecond)
	s.Inject([]Segment{c.server(5000, at+38, ""), c.ask(at+38, get3, 5)})
	s.pass(time.Second)
	s.is(c, text(get1, outcome.EndShed), text(get3, outcome.EndShutdown))
}

// The same where the head is queued, and the beginning of the body spends the budget.
func TestBodyThatSpendsTheFlowsBudget(t *testing.T) {
	const n, put = len(get1), "PUT / HTTP/1.1\r\nContent-Length: 38\r\n\r\n"
	s := newTimed(t, nil)
	c := newClient(t, 1000)
	s.Inject(append(c.opening(), c.server(999, 0, "S"), c.ask(0, get1, 1), c.server(2000, n, "")))
	s.pass(20 * time.Millisecond)
	at := n + len(put)
	s.Stack.mu.Lock()
	s.takeBatch(s.Stack.read([]Segment{c.ask(n, put, 2)}, nil))
	whole := s.cfg.FlowBytes
	s.cfg.FlowBytes = 10
	s.takeBatch(s.Stack.read([]Segment{c.server(3000, at, ""), c.ask(at, get1, 3)}, nil))
	s.cfg.FlowBytes = whole
	s.pumpDirty()
	s.Stack.mu.Unlock()
	s.pass(100 * time.Millisecond)
	s.Inject([]Segment{c.server(4000, at+n, ""), c.ask(at+n, get2, 4), c.server(5000, at+2*n, ""), c.ask(at+2*n, get3, 5)})
	s.pass(time.Second)
	s.is(c, text(get1, outcome.EndShed), text(get3, outcome.EndShutdown))
}

// A part of a body is lost while its stream, which nobody has seen, ends. The next request's head
// is read all the same.
func TestHeadBehindAHoleAsTheStreamEnds(t *testing.T) {
	const n, put = len(get1), "PUT / HTTP/1.1\r\nContent-Length: 40\r\n\r\n"
	s := newTimed(t, nil)
	c := newClient(t, 1000)
	at := len(put)
	s.shedUnseen(append(c.opening(), c.server(999, 0, "S"), c.ask(0, put, 1)),
		[]Segment{c.ask(at+20, "0123456789012345678\n", 1), c.server(2000, at+40, ""), c.ask(at+40, put, 2)})
	at += 40 + len(put)
	s.Inject([]Segment{c.server(3000, at, ""), c.ask(at, get1, 3), c.ask(at+n, get2, 3)})
	s.pass(100 * time.Millisecond)
	at += 40
	s.Inject([]Segment{c.server(4000, at, ""), c.ask(at, get3, 4)})
	s.pass(time.Second)
	s.is(c, text("", outcome.EndShed), text(get3, outcome.EndShutdown))
}

// A mirror that repeats a connection's beginning when its stream has just ended begins no
// second stream with the same bytes.
func TestBeginningRepeatedBehindAStreamsEnd(t *testing.T) {
	const n = len(get1)
	slow := func(s *Stack, _ *client, conn *Conn) { conn.CloseWith(outcome.EndTargetSlow) }
	closed := func(s *Stack, _ *client, conn *Conn) { conn.CloseWith(outcome.EndTargetClosed) }
	behind := func(s *Stack, c *client, conn *Conn) {
		conn.CloseWith(outcome.EndTargetClosed)
		s.Inject([]Segment{c.ask(n+100, "behind", 1)})
	}
	long := strings.Repeat("x", 100000) // more than gVisor takes
	for _, tc := range []struct {
		name string
		mode Midstream
		more func(c *client) []Segment // behind get1, which is read
		end  func(s *Stack, c *client, conn *Conn)
	}{
		{name: "closed, off", mode: MidstreamOff, end: closed},
		{name: "slow, with much queued", more: func(c *client) []Segment {
			return c.stream(n, []byte("PUT / HTTP/1.1\r\nContent-Length: 100000\r\n\r\n"+long), 1400)
		}, end: slow},
		{name: "shed, with much queued", more: func(c *client) []Segment {
			return c.stream(n, []byte("PUT / HTTP/1.1\r\nContent-Length: 100000\r\n\r\n"+long), 1400)
		}, end: func(s *Stack, _ *client, conn *Conn) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.end(conn.flow, outcome.EndShed, outcome.DropTotalBudget)
		}},
		{name: "any, closed", mode: MidstreamAny, end: closed},
		{name: "any, slow", mode: MidstreamAny, end: slow},
		{name: "any, and more comes", mode: MidstreamAny, end: behind},
		{name: "any, behind a hole", mode: MidstreamAny, more: func(c *client) []Segment { return []Segment{c.ask(n+50, "behind a hole", 1)} }, end: closed},
		{name: "any, behind a hole, and more comes", mode: MidstreamAny, more: func(c *client) []Segment { return []Segment{c.ask(n+50, "behind a hole", 1)} }, end: behind},
	} {
		t.Run(tc.name, func(t *testing.T) {
			clk := new(clock)
			s := newTestStack(t, func(c *Config) { c.Now, c.ReceiveBuffer, c.Services = clk.now, 16<<10, []Service{{Midstream: tc.mode}} })
			c := newClient(t, 1000)
			s.Inject(append(c.opening(), c.ask(0, get1, 1)))
			conn := accept(t, s)
			readExactly(t, conn, n)
			if tc.more != nil {
				s.Inject(tc.more(c))
			}
			settled(t, s)
			tc.end(s, c, conn)
			conn.Close()
			r := readEverything(s)
			s.Inject(append(c.opening(), c.ask(0, get1, 1)))
			clk.pass(t, s, 2*time.Second)
			s.Shutdown()
			clk.pass(t, s, time.Second)
			r.wg.Wait()
			for _, st := range r.streams[c.src.String()] {
				if strings.HasPrefix(string(st.bytes), get1) {
					t.Errorf("it is in another stream: %q", describe(r.streams[c.src.String()]))
				}
			}
		})
	}
}

// What is beside a stream when its target is slow is not taken for the next connection's on
// the same ports.
func TestBesideAStreamBeforeTheNextConnection(t *testing.T) {
	const n = len(get1)
	for name, how := range map[string]outcome.End{"slow": outcome.EndTargetSlow, "closed": outcome.EndTargetClosed} {
		t.Run(name, func(t *testing.T) {
			clk := new(clock)
			s := newTestStack(t, func(c *Config) { c.Now = clk.now })
			c := newClient(t, 1000)
			d := c.next(0x40000000)
			s.Inject(append(c.opening(), c.server(999, 0, "S"), c.ask(0, get1, 1), c.server(1000, n, "")))
			conn := accept(t, s)
			settled(t, s)
			for i := range 6 { // the server's answer is late
				s.Inject([]Segment{c.ask(n+i*n, get2, 50)})
			}
			settled(t, s)
			r := readEverything(s)
			ack := func(tc *layers.TCP) { tc.Ack = 0x7000_0001 }
			s.Inject([]Segment{d.syn(), d.server(0x7000_0000, 0, "S"), d.packet(0, nil, ack), d.packet(0, []byte(get3), ack)})
			settled(t, s)
			conn.CloseWith(how)
			clk.pass(t, s, 3*time.Second)
			s.Inject([]Segment{d.packet(n, []byte(get1), ack), d.packet(2*n, nil, func(tc *layers.TCP) { ack(tc); tc.FIN = true })})
			clk.pass(t, s, 3*time.Second)
			s.Shutdown()
			clk.pass(t, s, time.Second)
			r.wg.Wait()
			got := r.streams[c.src.String()]
			if !slices.ContainsFunc(got, func(st stream) bool { return string(st.bytes) == get3+get1 && st.err == nil }) {
				t.Errorf("the next connection's streams: %q", describe(got))
			}
		})
	}
}

// What is dropped behind a hole, and beside it, is not charged to the budget any more.
func TestHoleBesideTheNextConnection(t *testing.T) {
	const n = len(get1)
	clk := new(clock)
	s := newTestStack(t, func(c *Config) { c.Now = clk.now })
	r := readEverything(s)
	c := newClient(t, 1000)
	d := c.next(0x40000000)
	s.Inject(append(c.opening(), c.server(999, 0, "S"), c.ask(0, get1, 1), c.server(1000, n, "")))
	s.Inject([]Segment{c.ask(2*n, "?", 1), c.ask(1<<20, get2, 1), d.syn(), d.server(999, 0, "S"), d.ask(0, get3, 1)})
	clk.pass(t, s, 3*time.Second)
	s.Shutdown()
	clk.pass(t, s, time.Second)
	r.wg.Wait()
	if st := s.Stats(); st.FlowsEnded[outcome.EndGap] != 1 || st.Dropped[outcome.DropOutOfWindow] != 1 {
		t.Errorf("want a stream reset at its hole, and a segment beside it: %+v", st)
	}
	holdsNothing(t, s)
}

// splitBehind is a stream of which a request, or the head of one, was read before it was split.
func splitBehind(t *testing.T, isn uint32, request string) (s *Stack, c *client, conn *Conn) {
	t.Helper()
	s, c = newTestStack(t, nil), newClient(t, isn)
	s.Inject(append(c.opening(), c.ask(0, request, 1)))
	conn = accept(t, s)
	readExactly(t, conn, len(request))
	conn.Split()
	return s, c, conn
}

// A target that has closed its side gets the rest of the request at hand, and
// no other.
func TestSplit(t *testing.T) {
	put := "PUT / HTTP/1.1\r\nContent-Length: 4\r\n\r\n"
	n := len(put)
	s, c, conn := splitBehind(t, 0xfffffff8, put)
	s.Inject([]Segment{c.ask(n, "body", 1), c.ask(n+4, get2, 2), c.ask(n+4+len(get2), get3, 3), c.fin(n + 4 + 2*len(get2))})
	rest, err := io.ReadAll(conn)
	if string(rest) != "body" || err != outcome.EndTargetClosed {
		t.Errorf("read %q, %v; want the rest of the request, and outcome.EndTargetClosed", rest, err)
	}
	quitWith(conn, nil, outcome.EndTargetClosed)
	if got, err := readAll(t, accept(t, s)); string(got) != get2+get3 || err != nil {
		t.Errorf("the next stream reads %q, %v", got, err)
	}
}

// The rest of a stream that another target did not take is split as well, behind
// its first request.
func TestSplitOfARetriedStream(t *testing.T) {
	n := len(get1)
	s := newTestStack(t, nil)
	c := newClient(t, 1)
	s.Inject(append(c.opening(), c.ask(0, get1, 1), c.ask(n, get2, 2), c.ask(2*n, get3, 3), c.fin(3*n)))
	conn := accept(t, s)
	settled(t, s)
	quitWith(conn, nil, outcome.EndTargetClosed)
	next := accept(t, s)
	settled(t, s)
	next.Split()
	if b, err := io.ReadAll(next); string(b) != get1 || err != outcome.EndTargetClosed {
		t.Errorf("read %q, %v; want the first request, and outcome.EndTargetClosed", b, err)
	}
	quitWith(next, nil, outcome.EndTargetClosed)
	if got, err := readAll(t, accept(t, s)); string(got) != get2+get3 || err != nil {
		t.Errorf("the third stream reads %q, %v", got, err)
	}
}

// What comes while a Read is under way cannot be a request in the middle of it.
func TestSplitLimitsARead(t *testing.T) {
	put := "PUT / HTTP/1.1\r\nContent-Length: 4\r\n\r\n"
	n := len(put)
	s, c, conn := splitBehind(t, 1, put)
	s.Inject([]Segment{c.ask(n, "body", 1)})
	settled(t, s)
	if p, err := s.beforeRequest(conn, make([]byte, 1000)); err != nil || len(p) != 4 {
		t.Errorf("a Read may take %d bytes, %v; want the 4 that were looked at", len(p), err)
	}
	conn.Close()
}

// Where nothing has come yet, a Read may not take the byte that comes under way: it may
// begin a request. An end is read all the same.
func TestSplitReadsNothingUnseen(t *testing.T) {
	n := len(get1)
	s, c, conn := splitBehind(t, 1, get1)
	if p, err := s.beforeRequest(conn, make([]byte, 1000)); err != netstack.ErrWait {
		t.Errorf("a Read may take %d bytes, %v, before anything has come; want none", len(p), err)
	}
	s.Inject([]Segment{c.fin(n)})
	if rest, err := io.ReadAll(conn); len(rest) > 0 || err != nil {
		t.Errorf("read %q, %v; want the client's end", rest, err)
	}
}

// A stream whose bytes a budget took just before the next request ends there all the same.
func TestSplitOfAStreamThatIsShed(t *testing.T) {
	n := len(get1)
	s, c, conn := splitBehind(t, 1, get1)
	s.Inject([]Segment{c.ask(n, get2, 2)})
	settled(t, s)
	shed(s)
	if b, err := conn.TryRead(make([]byte, 1000)); b != 0 || err != outcome.EndShed {
		t.Errorf("read %d bytes, %v; want outcome.EndShed", b, err)
	}
	quitWith(conn, nil, outcome.EndShed)
}

// The SYN of the next connection outlives the stream of the one before.
func TestNextConnectionBehindADeadTarget(t *testing.T) {
	for _, mode := range []Midstream{MidstreamHTTP, MidstreamOff} {
		s := newTestStack(t, func(c *Config) { c.Services = []Service{{Midstream: mode}} })
		c, d := newClient(t, 1), newClient(t, 5<<20)
		s.Inject(append(c.opening(), c.ask(0, get1, 1)))
		conn := accept(t, s)
		readExactly(t, conn, len(get1))
		settled(t, s)
		s.Inject([]Segment{d.syn()})
		quitWith(conn, nil, outcome.EndTargetClosed)
		s.Inject([]Segment{d.ack(0), d.ask(0, "binary", 1), d.fin(6)})
		if got, err := readAll(t, accept(t, s)); string(got) != "binary" || err != nil {
			t.Errorf("mode %d: the next connection reads %q, %v", mode, got, err)
		}
		s.Close()
	}
}

func TestSplitWakesAReader(t *testing.T) {
	s := newTestStack(t, nil)
	c := newClient(t, 1)
	s.Inject(append(c.opening(), c.ask(0, get1, 1)))
	conn := accept(t, s)
	readExactly(t, conn, len(get1))
	read := make(chan error, 1)
	go func() {
		_, err := conn.Read(make([]byte, 100))
		read <- err
	}()
	conn.Split()
	s.Inject([]Segment{c.ask(len(get1), get2, 2)})
	if err := <-read; err != outcome.EndTargetClosed {
		t.Errorf("Read returned %v, want outcome.EndTargetClosed", err)
	}
	conn.Close()
}

// Where it is not HTTP/1, a half-close is a half-close.
func TestSplitOfOtherProtocols(t *testing.T) {
	for _, mode := range []Midstream{MidstreamHTTP, MidstreamAny, MidstreamOff} {
		s := newTestStack(t, func(c *Config) { c.Services = []Service{{Midstream: mode}} })
		c := newClient(t, 1)
		s.Inject(append(c.opening(), c.ask(0, "ab", 1)))
		conn := accept(t, s)
		conn.Split()
		s.Inject([]Segment{c.ask(2, "cd", 2), c.fin(4)})
		if got, err := readAll(t, conn); string(got) != "abcd" || err != nil {
			t.Errorf("mode %d: read %q, %v", mode, got, err)
		}
	}
}

// TestNothingComesTwice has copies of what a stream had come late, when its
// target has closed.
func TestNothingComesTwice(t *testing.T) {
	const n = len(get1)
	for _, tc := range []struct {
		name   string
		copies func(c *client) []Segment
	}{
		{"the server's SYN-ACK and the request", func(c *client) []Segment {
			return []Segment{c.server(999, 0, "SA"), c.ask(0, get1, 1)}
		}},
		{"the request, behind the client's FIN", func(c *client) []Segment {
			return []Segment{c.fin(n), c.ask(0, get1, 1)}
		}},
		{"the SYN and the request, behind the next one", func(c *client) []Segment {
			return []Segment{c.ask(n, get2, 2), c.syn(), c.ack(0), c.ask(0, get1, 1)}
		}},
		{"the SYN-ACK, and then the next request", func(c *client) []Segment {
			return []Segment{c.server(999, 0, "SA"), c.ask(n, get2, 2)}
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var clk clock
			s := newTestStack(t, func(c *Config) { c.Now = clk.now })
			c := newClient(t, 100)
			s.Inject([]Segment{c.syn(), c.server(999, 0, "SA"), c.ack(0), c.ask(0, get1, 1)})
			conn := accept(t, s)
			readExactly(t, conn, n)
			settled(t, s)
			quitWith(conn, nil, outcome.EndTargetClosed)
			r := readEverything(s)
			s.Inject(tc.copies(c))
			clk.pass(t, s, 2*time.Second)
			s.Shutdown()
			r.wg.Wait()
			for _, st := range r.streams[c.src.String()] {
				if string(st.bytes) != get2 {
					t.Errorf("another stream reads %q", st.bytes)
				}
			}
		})
	}
}

// What a target has not read of many requests goes on from the first of them.
func TestManyUnreadRequests(t *testing.T) {
	const n, sent, read = len(get1), 30, 9
	s := newTestStack(t, nil)
	c := newClient(t, 100)
	s.Inject(c.opening())
	conn := accept(t, s)
	for i := range sent {
		s.Inject([]Segment{c.ask(i*n, get1, uint32(i+1))})
		settled(t, s)
		if i == sent/2 {
			readExactly(t, conn, (read-1)*n)
		}
	}
	last := readExactly(t, conn, n)
	quitWith(conn, last, outcome.EndTargetClosed)
	next := accept(t, s)
	if got := readExactly(t, next, (sent-read+1)*n); string(got) != strings.Repeat(get1, sent-read+1) {
		t.Errorf("the next stream reads %q", got)
	}
	next.Close()
}

// A target that closes whatever connection it gets is not dialled for ever.
func TestTargetThatTakesNothingIsTriedOnceMore(t *testing.T) {
	s := newTestStack(t, nil)
	c := newClient(t, 1)
	s.Inject(append(c.opening(), c.ask(0, get1, 1)))
	s.Inject([]Segment{c.ask(len(get1), get2, 2), c.ask(2*len(get1), get3, 3), c.fin(3 * len(get1))})
	for range 2 {
		conn := accept(t, s)
		quitWith(conn, readExactly(t, conn, len(get1)), outcome.EndTargetClosed)
	}
	if got, err := readAll(t, accept(t, s)); string(got) != get2+get3 || err != nil {
		t.Errorf("the third stream reads %q, %v; want the next requests", got, err)
	}
}

// What a flow that has ended left behind can be resumed as well.
func TestResumeBehindTheEnd(t *testing.T) {
	s := newTestStack(t, nil)
	c := newClient(t, 1)
	s.Inject(append(c.opening(), c.ask(0, get1, 1), c.ask(len(get1), get2, 2), c.rst(2*len(get1))))
	conn := accept(t, s)
	first := readExactly(t, conn, len(get1))
	waitFor(t, "the end of the flow", func() bool { return s.Stats().Flows == 0 })
	quitWith(conn, first, outcome.EndTargetClosed)
	got, err := readAll(t, accept(t, s))
	if string(got) != get1+get2 || err != outcome.EndClientReset {
		t.Errorf("the next stream reads %q, %v", got, err)
	}
}

func TestBudgetOfAll(t *testing.T) {
	s := newTestStack(t, func(c *Config) { c.TotalBytes = 1 << 20 })
	fat, thin := newClient(t, 1), newClient(t, 1)
	thin.src = netip.AddrPortFrom(thin.src.Addr(), 1)
	s.Inject(fat.opening())
	slow := accept(t, s) // and nobody reads it
	s.Inject(thin.opening())
	quick := accept(t, s)
	for off := 0; off < 4<<20; off += 14600 {
		s.Inject(append(fat.stream(off, pattern(14600), 1460), thin.data(off/1460, []byte("0123456789"))))
		settled(t, s)
		s.mu.Lock()
		if held := s.held + s.unread(); held > 1<<20+20000 {
			t.Errorf("%d bytes held", held)
		}
		s.mu.Unlock()
	}
	if got, err := readAll(t, slow); err != outcome.EndShed || len(got) > 1<<20 {
		t.Errorf("the stream that held most: %d bytes, %v; want it shed", len(got), err)
	}
	want := strings.Repeat("0123456789", 4<<20/14600+1)
	if got := readExactly(t, quick, len(want)); string(got) != want {
		t.Error("the other stream is altered")
	}
	quick.Close()
	if st := s.Stats(); st.Dropped[outcome.DropTotalBudget] == 0 || st.FlowsEnded[outcome.EndShed] != 1 {
		t.Errorf("%d packets dropped for the budget, %d streams shed; want some, and 1", st.Dropped[outcome.DropTotalBudget], st.FlowsEnded[outcome.EndShed])
	}
}

// A segment that nobody has read takes more than its bytes.
func TestBudgetCountsSmallSegments(t *testing.T) {
	s := newTestStack(t, func(c *Config) { c.TotalBytes = 1 << 20 })
	for i := range uint16(20) {
		c := newClient(t, 1)
		c.src = netip.AddrPortFrom(c.src.Addr(), 1000+i)
		s.Inject(c.opening())
		for off := range 200 {
			s.Inject([]Segment{c.ask(off, "x", uint32(off))})
		}
		settled(t, s)
	}
	if st := s.Stats(); st.FlowsEnded[outcome.EndShed] == 0 {
		t.Errorf("4000 segments in gVisor, and none was too many: %+v", st)
	}
}

// A reader whose stream got no connection gives back more than it read last, and all of that
// counts as lost, once.
func TestGivenBackWithoutAConnection(t *testing.T) {
	s := newTestStack(t, nil)
	c := newClient(t, 1)
	s.Inject(append(c.opening(), c.data(0, []byte("abc"))))
	conn := accept(t, s)
	readExactly(t, conn, 3)
	s.Inject([]Segment{c.data(3, []byte("defg"))})
	readExactly(t, conn, 4)
	quitWith(conn, []byte("bcdefg"), outcome.EndTargetRefused)
	if n := s.Stats(); n.BytesRead != 1 || n.DroppedBytes[outcome.DropTargetEnded] != 6 || n.BytesHeld != 0 {
		t.Errorf("%d bytes read, %d dropped, %d held, want 1, 6 and 0", n.BytesRead, n.DroppedBytes[outcome.DropTargetEnded], n.BytesHeld)
	}
}

// A reader takes bytes from where they are, some or all, and has others copied.
func TestTryPass(t *testing.T) {
	s := newTestStack(t, nil)
	c := newClient(t, 1)
	s.Inject(append(c.opening(), c.data(0, []byte("abcdefgh"))))
	conn := accept(t, s)
	if err := conn.WaitReadable(); err != nil {
		t.Fatal(err)
	}
	var direct []byte
	p := make([]byte, 3)
	for _, step := range []struct {
		take   int
		direct string
		copied string
		err    error
	}{
		{0, "", "", nil},
		{2, "ab", "", nil},
		{outcome.Copy, "ab", "cde", nil},
		{outcome.Copy, "ab", "de", nil}, // which were given back, and are not offered
		{2, "abfg", "", nil},
		{1, "abfgh", "", nil},
		{1, "abfgh", "", nil}, // nothing is offered
	} {
		taken, n, err := conn.TryPass(p, taker(func(b []byte) int {
			direct = append(direct, b[:max(step.take, 0)]...)
			return step.take
		}))
		if string(direct) != step.direct || string(p[:n]) != step.copied || err != step.err || taken < 0 {
			t.Fatalf("%+v: %q, %q, %v", step, direct, p[:n], err)
		}
		if string(p[:n]) == "cde" {
			conn.Unread(p[1:n])
		}
	}
	s.Inject([]Segment{c.data(8, []byte("ij")), c.fin(10)})
	if err := conn.WaitReadable(); err != nil {
		t.Fatal(err)
	}
	all := taker(func(b []byte) int { direct = append(direct, b...); return len(b) })
	for end := error(nil); end != io.EOF; {
		var taken, n int
		if taken, n, end = conn.TryPass(p, all); n != 0 || end != nil && end != io.EOF {
			t.Fatalf("%d, %d, %v", taken, n, end)
		}
	}
	if string(direct) != "abfghij" {
		t.Errorf("%q", direct)
	}
}

// TestTargetEndsBehindWhatLooksLikeARequest: a stream was picked up where the rest of a body looks
// like a request. What goes on behind that may be more of the body: where the target ends, it
// begins another stream only if it looks like a request itself.
func TestTargetEndsBehindWhatLooksLikeARequest(t *testing.T) {
	for body, want := range map[string]string{"# \xc6": get3, "zz": get3, "GE": "GE", "PUT /long/pa": "PUT /long/pa"} {
		t.Run(body, func(t *testing.T) {
			clk := new(clock)
			s := newTestStack(t, func(c *Config) { c.Now = clk.now })
			c := newClient(t, 0xfffffff8)
			s.Inject([]Segment{c.ask(0, get1+body, 1)})
			clk.pass(t, s, 2*time.Second)
			conn := accept(t, s)
			got := readExactly(t, conn, len(get1+body))
			settled(t, s)
			quitWith(conn, got[len(get1):], outcome.EndTargetClosed)
			at := len(get1 + body)
			s.Inject([]Segment{c.ask(at, get2, 2), c.ask(at+len(get2), get3, 3), c.fin(at + len(get2+get3))})
			clk.pass(t, s, time.Second)
			next := accept(t, s)
			if got := readExactly(t, next, len(want)); string(got) != want {
				t.Errorf("the next stream reads %q, want %q", got, want)
			}
			next.Close()
		})
	}
}
