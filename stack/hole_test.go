package stack

import (
	"fmt"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/gopacket/layers"

	"netmirror/outcome"
)

// open is how many streams have not ended.
func (s *timed) open() int {
	s.Stack.mu.Lock()
	defer s.Stack.mu.Unlock()
	return s.nflows
}

// What is missing may wait in a ring that is behind the one that told of it.
func TestAHoleIsNotGivenUpWhileCaptureIsBehind(t *testing.T) {
	const grace, patience = 50 * time.Millisecond, time.Second // the defaults
	var behind atomic.Bool
	behind.Store(true)
	s := newTimed(t, func(c *Config) {
		c.Services = []Service{{Midstream: MidstreamOff}}
		now := c.Now
		c.CaughtUp = func() time.Time {
			if behind.Load() {
				return now().Add(-time.Hour)
			}
			return now()
		}
	})
	lost := func(c *client) {
		t.Helper()
		s.Inject(c.opening())
		s.pass(10 * time.Millisecond)
		s.Inject([]Segment{c.data(10, []byte("behind")), c.server(1000, 16, "")})
	}
	c := newClient(t, 1000)
	lost(c)
	s.pass(grace + 100*time.Millisecond)
	if s.open() != 1 {
		t.Fatal("it was given up though what is missing may be in a ring")
	}
	behind.Store(false)
	s.pass(20 * time.Millisecond)
	if s.open() != 0 {
		t.Error("it was not given up when all that was captured had been seen")
	}
	behind.Store(true)
	d := newClient(t, 2000)
	d.src = netip.AddrPortFrom(d.src.Addr(), 40001)
	lost(d)
	s.pass(patience - 40*time.Millisecond)
	if s.open() != 1 {
		t.Error("it was given up before its time")
	}
	s.pass(60 * time.Millisecond)
	if s.open() != 0 {
		t.Error("a capture that is always behind keeps holes for good")
	}
}

// TestHolesAreGivenUpInTime checks when a stream in which bytes are missing
// ends: not before the first time, but by the second.
func TestHolesAreGivenUpInTime(t *testing.T) {
	const grace, patience = 50 * time.Millisecond, time.Second // the defaults
	cut := func(m Segment) Segment {
		m.IP, m.Truncated = m.IP[:len(m.IP)-3], true
		return m
	}
	for _, tc := range []struct {
		name     string
		segs     func(c *client) []Segment
		not, yet time.Duration
	}{
		{"nothing is known of it", func(c *client) []Segment {
			return []Segment{c.data(10, []byte("behind"))}
		}, patience - 20*time.Millisecond, patience + 20*time.Millisecond},
		{"a bare ACK says that more was sent", func(c *client) []Segment {
			return []Segment{c.ack(10)}
		}, patience - 20*time.Millisecond, patience + 20*time.Millisecond},
		{"the server has it", func(c *client) []Segment {
			return []Segment{c.data(10, []byte("behind")), c.server(1000, 16, "")}
		}, grace - 20*time.Millisecond, grace + 20*time.Millisecond},
		{"the server has it, and nothing came behind", func(c *client) []Segment {
			return []Segment{c.server(1000, 10, "")}
		}, grace - 20*time.Millisecond, grace + 20*time.Millisecond},
		{"the server acknowledged the client's FIN", func(c *client) []Segment {
			return []Segment{c.server(1000, 1, "F")}
		}, grace - 20*time.Millisecond, grace + 20*time.Millisecond},
		{"a truncated copy came", func(c *client) []Segment {
			return []Segment{c.data(10, []byte("behind")), cut(c.data(0, []byte("0123456789")))}
		}, grace - 20*time.Millisecond, grace + 20*time.Millisecond},
		{"a truncated copy came, whose length offload had left unfilled", func(c *client) []Segment {
			return []Segment{c.data(10, []byte("behind")), cut(unsized(c.data(0, []byte("0123456789"))))}
		}, grace - 20*time.Millisecond, grace + 20*time.Millisecond},
		{"more than 128 packets came behind it", func(c *client) []Segment {
			return c.stream(10, pattern(129), 1)
		}, grace - 20*time.Millisecond, grace + 20*time.Millisecond},
		{"128 packets came behind it", func(c *client) []Segment {
			return c.stream(10, pattern(128), 1)
		}, patience - 20*time.Millisecond, patience + 20*time.Millisecond},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newTimed(t, func(c *Config) { c.Services = []Service{{Midstream: MidstreamOff}} })
			c := newClient(t, 0xffffffff-5)
			s.Inject(c.opening())
			s.pass(10 * time.Millisecond)
			s.Inject(tc.segs(c))
			s.pass(tc.not)
			if s.open() != 1 {
				t.Errorf("given up before %v", tc.not)
			}
			s.pass(tc.yet - tc.not)
			if s.open() != 0 {
				t.Errorf("not given up after %v", tc.yet)
			}
			s.is(c, text("", outcome.EndGap))
		})
	}
}

// Below 0, no packet may wait but for the grace.
func TestNoPacketMayWait(t *testing.T) {
	s := newTimed(t, func(c *Config) { c.MaxPending, c.Services = -1, []Service{{Midstream: MidstreamOff}} })
	c := newClient(t, 3)
	s.Inject(append(c.opening(), c.data(10, []byte("behind"))))
	s.pass(30 * time.Millisecond)
	if s.open() != 1 {
		t.Error("given up before 30 ms")
	}
	s.pass(40 * time.Millisecond)
	if s.open() != 0 {
		t.Error("not given up after 70 ms")
	}
	s.is(c, text("", outcome.EndGap))
}

func TestHolesThatAreFilled(t *testing.T) {
	for _, tc := range []struct {
		name   string
		behind func(c *client) []Segment
	}{
		{"late", func(c *client) []Segment { return []Segment{c.data(4, []byte("behind"))} }},
		{"the server has it", func(c *client) []Segment { return []Segment{c.data(4, []byte("behind")), c.server(1000, 10, "")} }},
		{"a bare ACK behind it", func(c *client) []Segment { return []Segment{c.ack(10), c.data(4, []byte("behind"))} }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newTimed(t, nil)
			c := newClient(t, 3)
			s.Inject(append(c.opening(), tc.behind(c)...))
			s.pass(30 * time.Millisecond)
			s.Inject([]Segment{c.data(0, []byte("late")), c.fin(10)})
			s.pass(2 * time.Second)
			s.is(c, text("latebehind", nil))
		})
	}
}

// A second hole has been missing for as long as the first, while that was
// waited for.
func TestHolesAreWaitedForAtTheSameTime(t *testing.T) {
	s := newTimed(t, nil)
	c := newClient(t, 3)
	segs := c.opening()
	off := 0
	var want []stream
	for i := range uint32(10) {
		r := fmt.Sprintf("GET /%d HTTP/1.1\r\n\r\n", i)
		segs = append(segs, c.ask(off, r, i+1)) // and 7 bytes that are lost
		off += len(r) + 7
		want = append(want, text(r, outcome.EndGap))
	}
	s.Inject(segs)
	s.pass(1400 * time.Millisecond)
	if n := s.Stats().FlowsEnded[outcome.EndGap]; n != 9 {
		t.Errorf("after 1.4 s, %d holes of 9 were given up", n)
	}
	want[9].err = outcome.EndShutdown
	s.is(c, want...)
}

func TestServerReset(t *testing.T) {
	for _, tc := range []struct {
		name string
		seq  uint32
		want stream
	}{
		{"at the place that the client acknowledged", 1000, text(get1, outcome.EndServerReset)},
		{"of another connection", 1000 + 1<<31, text(get1, outcome.EndShutdown)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newTimed(t, nil)
			c := newClient(t, 3)
			s.Inject(append(c.opening(), c.ask(0, get1, 1), c.server(tc.seq, len(get1), "R")))
			s.pass(time.Second)
			s.is(c, tc.want)
		})
	}
}

func TestServerResetThatOvertakesTheClient(t *testing.T) {
	s := newTimed(t, nil)
	c := newClient(t, 3)
	s.Inject(append(c.opening(), c.ask(0, get1, 1), c.server(1000, 2*len(get1), "R")))
	s.pass(20 * time.Millisecond)
	s.Inject([]Segment{c.ask(len(get1), get2, 2)})
	s.pass(time.Second)
	s.is(c, text(get1+get2, outcome.EndServerReset))
}

// What would fill the hole is in the ring, and the process could not run.
func TestHoleIsNotGivenUpBeforeCaptureRan(t *testing.T) {
	s := newTimed(t, nil)
	c := newClient(t, 3)
	s.Inject(c.opening())
	settled(t, s.Stack)
	s.Inject([]Segment{c.server(1000, 6, "")})
	s.clk.elapsed.Add(int64(60 * time.Millisecond))
	s.Stack.mu.Lock()
	s.now = s.cfg.Now()
	s.service()
	s.service() // woken by gVisor's answer, and by the clock
	s.Stack.mu.Unlock()
	s.Inject([]Segment{c.data(0, []byte("abcdef")), c.fin(6)})
	s.pass(2 * time.Second)
	s.is(c, text("abcdef", nil))
}

func TestClientGoesOnBehindTheServersFIN(t *testing.T) {
	s := newTimed(t, nil)
	c := newClient(t, 3)
	s.Inject(append(c.opening(), c.ask(0, "first", 1), c.server(3000, 5, "F")))
	s.pass(5 * time.Second)
	s.Inject([]Segment{c.ask(5, " and more", 2), c.server(3001, 14, ""), c.fin(14), c.server(3001, 15, "")})
	s.pass(5 * time.Second)
	s.is(c, text("first and more", nil))
}

func TestIdle(t *testing.T) {
	s := newTimed(t, func(c *Config) { c.IdleTimeout = time.Minute })
	c, d := newClient(t, 3), newClient(t, 3)
	d.src = netip.AddrPortFrom(d.src.Addr(), 1)
	s.Inject(append(c.opening(), c.ask(0, get1, 1)))
	s.Inject(append(d.opening(), d.ask(0, get1, 1)))
	for range 3 {
		s.pass(40 * time.Second)
		s.Inject([]Segment{d.server(1000, len(get1), "")}) // a long answer
	}
	s.Inject([]Segment{c.ask(len(get1), get2, 2), c.fin(2 * len(get1)), d.fin(len(get1))})
	s.pass(time.Second)
	s.is(c, text(get1, outcome.EndIdle), text(get2, nil))
	s.is(d, text(get1, nil))
}

func TestSplice(t *testing.T) {
	s := newTimed(t, func(c *Config) { c.Services = []Service{{OnGap: GapSplice}} })
	c := newClient(t, 0xfffffff0)
	s.Inject(append(c.opening(), c.data(0, []byte("one,")), c.data(8, []byte("three,")), c.data(19, []byte("five"))))
	s.pass(30 * time.Millisecond)
	s.Inject([]Segment{c.data(14, []byte("four,"))})
	s.pass(2 * time.Second)
	s.Inject(append(c.stream(30, []byte(strings.Repeat("x", 5000)), 1000), c.packet(6000, []byte("end"), func(t *layers.TCP) { t.FIN = true })))
	s.pass(2 * time.Second)
	s.is(c, text("one,three,four,five"+strings.Repeat("x", 5000)+"end", nil))
	st := s.Stats()
	if missing := uint64(4 + 7 + 970); st.Spliced != 3 || st.SplicedBytes != missing {
		t.Errorf("%d holes of %d bytes, want 3 of %d", st.Spliced, st.SplicedBytes, missing)
	} else if st.Holes != 3 || st.MissingBytes != missing {
		t.Errorf("%d holes of %d bytes counted as missing, want 3 of %d", st.Holes, st.MissingBytes, missing)
	}
}

// What only gVisor's acknowledgement is missing of does not need looking after in
// steps of 10 ms; whatever has a limit of time does.
func TestHowSoonFlowsAreLookedAfter(t *testing.T) {
	s := newTimed(t, nil)
	c := newClient(t, 1000)
	var off int
	look := func(batch ...Segment) time.Duration {
		s.Stack.mu.Lock()
		defer s.Stack.mu.Unlock()
		s.now = s.cfg.Now()
		s.takeBatch(s.Stack.read(batch, nil))
		s.pumpDirty()
		told := s.alert
		next := s.nextLook()
		if next == tick && !told {
			t.Error("nobody wakes serve for it")
		}
		return next
	}
	data := func(skip int) Segment {
		off += skip + 10
		return c.data(off-10, []byte("0123456789"))
	}
	if got := look(); got != idleTick {
		t.Errorf("without a flow in %v", got)
	}
	look(c.opening()...)
	settled(t, s.Stack)
	waitFor(t, "serve to have looked at the silent flow", func() bool { return look() == idleTick })
	if got := look(data(0), data(0)); got != calmTick {
		t.Errorf("with data on its way to gVisor in %v", got)
	}
	off += 5
	if got := look(c.ack(off)); got != tick {
		t.Errorf("with bytes missing at its end in %v", got)
	}
	look(c.data(off-5, []byte("56789")))
	settled(t, s.Stack)
	if got := look(data(0), data(5)); got != tick {
		t.Errorf("with a hole behind data on its way to gVisor in %v", got)
	}
	look(c.data(off-15, []byte("01234")))
	settled(t, s.Stack)
	last := data(0)
	if got := look(last, c.fin(off)); got != calmTick {
		t.Errorf("with data and the client's FIN on their way in %v", got)
	}
}
