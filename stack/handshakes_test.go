package stack

import (
	"net/netip"
	"runtime"
	"testing"
	"time"

	"netmirror/outcome"
)

// aStop is longer than a handshake may take.
const aStop = (maxLate + 1) * minReopen

// dial takes segments to new flows, whose handshakes then begin, and nothing else. The stack's
// lock is held.
func (s *timed) dial(segs []Segment) {
	s.now = s.cfg.Now()
	s.takeBatch(s.Stack.read(segs, nil))
	for f := range s.allFlows() {
		if f.mayConnect() {
			s.connect(f)
		}
	}
}

// answers takes gVisor's answers to so many handshakes. The stack's lock is held.
func (s *timed) answers(n int) {
	s.t.Helper()
	for end, last := time.Now().Add(10*time.Second), s.handshakes.begun; n > 0; runtime.Gosched() {
		answers := s.ns.Answers(nil)
		for i := range answers {
			s.answer(&answers[i])
		}
		n -= len(answers)
		if time.Now().After(end) {
			s.t.Fatalf("of %d handshakes, %d have no answer", last, n)
		}
	}
}

// stop is as if the process had been kept from running. The stack's lock is held.
func (s *timed) stop() {
	s.clk.elapsed.Add(int64(aStop))
	s.now = s.cfg.Now()
	for f := range s.allFlows() {
		s.age(f)
	}
}

// TestAStopWhileMuchIsOpened is about a process that is kept from running for longer than a
// handshake may take: gVisor could not go on, and some handshakes had not begun.
func TestAStopWhileMuchIsOpened(t *testing.T) {
	for _, tc := range []struct {
		name     string
		flows    int
		answered bool
	}{
		{"before gVisor has answered", maxHandshakes + 100, false},
		{"before the streams were handed out", maxHandshakes, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newTimed(t, nil)
			c := newClient(t, 1)
			var segs []Segment
			for i := range tc.flows {
				c.src = netip.AddrPortFrom(c.src.Addr(), uint16(1000+i))
				segs = append(segs, c.opening()...)
			}
			s.Stack.mu.Lock()
			s.dial(segs)
			if tc.answered {
				s.answers(tc.flows)
			}
			s.stop()
			s.Stack.mu.Unlock()
			s.signal()
			waitFor(t, "all streams, or the end of some", func() bool {
				st := s.Stats()
				return st.FlowsOpened == uint64(tc.flows) || st.Flows < tc.flows
			})
			if st := s.Stats(); st.FlowsOpened != uint64(tc.flows) {
				t.Errorf("%d of %d streams were handed out, and %d given up", st.FlowsOpened, tc.flows, st.FlowsEnded[outcome.EndNotOpened])
			}
		})
	}
}

// A connection that waits for the one before it on the same ports is not given up either.
func TestAStopBeforeTheNextOnTheSamePorts(t *testing.T) {
	s := newTimed(t, nil)
	c := newClient(t, 1)
	d := c.next(5 << 20)
	s.Stack.mu.Lock()
	s.dial(append(c.get(get1), d.get(get2)...))
	s.stop()
	s.Stack.mu.Unlock()
	s.signal()
	s.is(c, text(get1, nil), text(get2, nil))
}

// TestGVisorHandsAStreamNotOut: its place among the handshakes is free again.
func TestGVisorHandsAStreamNotOut(t *testing.T) {
	for name, more := range map[string]func(c *client) []Segment{
		"with data":    func(c *client) []Segment { return []Segment{c.ask(0, get1, 1)} },
		"without data": func(*client) []Segment { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			s := newTimed(t, nil)
			c := newClient(t, 1000)
			s.Stack.mu.Lock()
			defer s.Stack.mu.Unlock()
			s.dial(append(c.opening(), more(c)...))
			s.answers(1)
			for _, f := range s.flows {
				delete(s.clients, f.virtual.id) // gVisor is heard of no more
			}
			for range 100 {
				s.clk.elapsed.Add(int64(100 * time.Millisecond))
				s.now = s.cfg.Now()
				s.service()
			}
			if s.handshakes.begun != 0 || s.nflows != 0 || s.counters.ended[outcome.EndNotOpened] != 1 {
				t.Errorf("after 10 s %d places are taken, %d flows, %d not opened", s.handshakes.begun, s.nflows, s.counters.ended[outcome.EndNotOpened])
			}
		})
	}
}

// pumpAll pumps what is dirty, and takes no answers of gVisor's. The stack's lock is held.
func (s *timed) pumpAll() {
	s.t.Helper()
	for i := 0; i < len(s.dirty); i++ {
		if i == 100_000 {
			s.t.Fatal("pumping comes to no end")
		}
		s.dirty[i].dirty = false
		s.pump(s.dirty[i])
	}
	s.dirty = s.dirty[:0]
}

// Connections begin in the order in which they came, also where several places among the handshakes
// get free at a time.
func TestHandshakesBeginInTheirOrder(t *testing.T) {
	const free = 10
	s := newTimed(t, nil)
	c := newClient(t, 1)
	opening := func(from, n int) (segs []Segment) {
		for i := range n {
			c.src = netip.AddrPortFrom(c.src.Addr(), uint16(from+i))
			segs = append(segs, c.opening()...)
		}
		return segs
	}
	s.Stack.mu.Lock()
	defer s.Stack.mu.Unlock()
	s.now = s.cfg.Now()
	s.takeBatch(s.Stack.read(opening(1000, maxHandshakes+2*free), nil))
	s.pumpAll()
	freed := 0
	for _, f := range s.flows {
		if f.virtual.dial == dialing && freed < free {
			freed++
			s.setDial(f, notDialing) // as when gVisor has handed its stream out
		}
	}
	s.takeBatch(s.Stack.read(opening(2000, 2*free), nil))
	s.pumpAll()
	before, overtook := 0, 0
	for _, f := range s.flows {
		switch {
		case f.key.port >= 2000 && f.virtual.dial == dialing:
			overtook++
		case f.key.port < 2000 && f.virtual.dial == dialQueued:
			before++
		}
	}
	if before != free || overtook > 0 {
		t.Errorf("%d wait, and %d have begun that came behind them; want %d, 0", before, overtook, free)
	}
}

// A spare of another port is of no use to those that wait, and does not have them look for one
// over and over.
func TestHandshakesBesideASpareOfAnotherPort(t *testing.T) {
	s := newTimed(t, nil)
	c := newClient(t, 1)
	s.Stack.mu.Lock()
	defer s.Stack.mu.Unlock()
	s.now = s.cfg.Now()
	s.spares = []spare{{port: c.dst.Port() + 1}}
	defer func() { s.spares = nil }()
	var segs []Segment
	for i := range maxHandshakes + 2 {
		c.src = netip.AddrPortFrom(c.src.Addr(), uint16(1000+i))
		segs = append(segs, c.opening()...)
	}
	s.takeBatch(s.Stack.read(segs, nil))
	s.pumpAll()
	if s.handshakes.begun != maxHandshakes || s.nflows != maxHandshakes+2 {
		t.Errorf("of %d flows %d have begun their handshake, want %d", s.nflows, s.handshakes.begun, maxHandshakes)
	}
}
