package stack

import (
	"net/netip"
	"testing"
	"time"
)

// flowsOf waits until gVisor has answered and gives the flows by client.
func flowsOf(t *testing.T, s *Stack) map[netip.AddrPort]FlowInfo {
	t.Helper()
	settled(t, s)
	all := make(map[netip.AddrPort]FlowInfo)
	for _, f := range s.Flows() {
		all[f.Client] = f
	}
	return all
}

func TestFlowsTellWhatTheyWaitFor(t *testing.T) {
	clk := new(clock)
	s := newTestStack(t, func(c *Config) { c.Now, c.Midstream = clk.now, MidstreamAny })
	numbered := func(port uint16) *client {
		c := newClient(t, 1000)
		c.src = netip.AddrPortFrom(c.src.Addr(), port)
		return c
	}
	calm, holed, waiting, lost := numbered(1), numbered(2), numbered(3), numbered(4)
	s.Inject(append(calm.opening(), calm.data(0, []byte("hello"))))
	conn := accept(t, s)
	s.Inject(append(holed.opening(), holed.data(7, []byte("behind"))))
	s.Inject(append(waiting.opening(), waiting.stream(0, pattern(100_000), 1460)...))
	s.Inject([]Segment{lost.data(50, []byte("middle"))})
	all := flowsOf(t, s)
	for _, want := range []FlowInfo{
		{Client: calm.src, State: FlowOpen, Received: 5, Held: 5},
		{Client: holed.src, State: FlowGap, Received: 0, Held: 6},
		{Client: waiting.src, State: FlowBacklog, Received: 100_000, Held: 100_000},
		{Client: lost.src, State: FlowSeeking, Held: 6},
	} {
		got := all[want.Client]
		if got.State != want.State || got.Received != want.Received || got.Held != want.Held {
			t.Errorf("%+v, want %+v", got, want)
		}
		if got.VNI != testVNI || got.Server != calm.dst || !got.Opened.Equal(clockStart) {
			t.Errorf("%+v", got)
		}
	}
	// gVisor has all but what is behind the hole and what has no start.
	if st := s.Stats(); st.Held != 2 || st.BytesHeld != 5+6+100_000+6 {
		t.Errorf("%d packets and %d bytes are held, want 2 and 100017", st.Held, st.BytesHeld)
	}
	if n, err := conn.Read(make([]byte, 100)); n != 5 || err != nil {
		t.Fatal(n, err)
	}
	if f := flowsOf(t, s)[calm.src]; f.Held != 0 || f.Received != 5 {
		t.Errorf("when all was read: %+v", f)
	}
}

// A byte's latency ends when its reader comes back for more, not before.
func TestLatencyIsFromCaptureToTheReadersNextStep(t *testing.T) {
	clk := new(clock)
	var seen []time.Duration
	s := newTestStack(t, func(c *Config) {
		c.Now = clk.now
		c.Latency = func(d time.Duration) { seen = append(seen, d) }
	})
	c := newClient(t, 1000)
	clk.elapsed.Add(int64(time.Second))
	// It was in the ring for 4 ms.
	s.InjectAt(append(c.opening(), c.data(0, []byte("hello"))), clk.now().Add(-4*time.Millisecond))
	settled(t, s)
	conn := accept(t, s)
	read := func(n int) {
		t.Helper()
		if err := conn.WaitReadable(); err != nil {
			t.Fatal(err)
		}
		if got, err := conn.Read(make([]byte, n)); got != n || err != nil {
			t.Fatal(got, err)
		}
	}
	clk.elapsed.Add(int64(3 * time.Millisecond))
	read(3)
	if err := conn.WaitReadable(); err != nil {
		t.Fatal(err)
	}
	if len(seen) != 0 {
		t.Errorf("told of %v before the last byte was read", seen)
	}
	read(2)
	clk.elapsed.Add(int64(2 * time.Millisecond)) // the target takes it
	s.InjectAt([]Segment{c.data(5, []byte("again"))}, clk.now())
	settled(t, s)
	if err := conn.WaitReadable(); err != nil {
		t.Fatal(err)
	}
	if len(seen) != 1 || seen[0] != 9*time.Millisecond {
		t.Errorf("told of %v, want 4 ms in the ring, 3 until it was read and 2 until it was taken", seen)
	}
	// What the first one overlapped with is not measured; what follows is.
	read(5)
	clk.elapsed.Add(int64(time.Millisecond))
	s.InjectAt([]Segment{c.data(10, []byte("third"))}, clk.now())
	settled(t, s)
	read(5)
	clk.elapsed.Add(int64(6 * time.Millisecond))
	s.InjectAt([]Segment{c.data(15, []byte("x"))}, clk.now())
	settled(t, s)
	if err := conn.WaitReadable(); err != nil {
		t.Fatal(err)
	}
	if len(seen) != 2 || seen[1] != 6*time.Millisecond {
		t.Errorf("told of %v", seen)
	}
}

// Where bytes are left out, places in the stream move, and what was being measured
// cannot be told any more.
func TestLatencyAcrossASpliceIsNotTold(t *testing.T) {
	clk := new(clock)
	var seen []time.Duration
	s := newTestStack(t, func(c *Config) {
		c.Now, c.OnGap = clk.now, GapSplice
		c.Latency = func(d time.Duration) { seen = append(seen, d) }
	})
	c := newClient(t, 1000)
	clk.pass(t, s, time.Second)
	s.Inject(append(c.opening(), c.data(100, []byte("behind"))))
	clk.pass(t, s, 2*time.Second) // the hole is closed
	conn := accept(t, s)
	if n, err := conn.Read(make([]byte, 100)); n != 6 || err != nil {
		t.Fatal(n, err)
	}
	s.Inject([]Segment{c.data(106, []byte("more"))})
	settled(t, s)
	if err := conn.WaitReadable(); err != nil {
		t.Fatal(err)
	}
	clk.pass(t, s, 5*time.Millisecond)
	if n, err := conn.Read(make([]byte, 100)); n != 4 || err != nil {
		t.Fatal(n, err)
	}
	s.Inject([]Segment{c.data(110, []byte("x"))})
	settled(t, s)
	if err := conn.WaitReadable(); err != nil {
		t.Fatal(err)
	}
	if len(seen) != 1 || seen[0] != 5*time.Millisecond {
		t.Errorf("told of %v, want the 5 ms of what came behind the splice alone", seen)
	}
}

// What the target did not take is still on its way.
func TestLatencyOfWhatIsGivenBackGoesOn(t *testing.T) {
	clk := new(clock)
	var seen []time.Duration
	s := newTestStack(t, func(c *Config) {
		c.Now = clk.now
		c.Latency = func(d time.Duration) { seen = append(seen, d) }
	})
	c := newClient(t, 1000)
	clk.elapsed.Add(int64(time.Second))
	s.Inject(append(c.opening(), c.data(0, []byte("hello"))))
	settled(t, s)
	conn := accept(t, s)
	p := make([]byte, 5)
	if _, err := conn.Read(p); err != nil {
		t.Fatal(err)
	}
	conn.Unread(p[2:])
	clk.elapsed.Add(int64(time.Second))
	if err := conn.WaitReadable(); err != nil {
		t.Fatal(err)
	}
	if len(seen) != 0 {
		t.Errorf("told of %v though three bytes came back", seen)
	}
	if n, err := conn.Read(p); n != 3 || err != nil {
		t.Fatal(n, err)
	}
	s.Inject([]Segment{c.data(5, []byte("x"))})
	settled(t, s)
	if err := conn.WaitReadable(); err != nil {
		t.Fatal(err)
	}
	if len(seen) != 1 || seen[0] != time.Second {
		t.Errorf("told of %v, want 1 s", seen)
	}
}
