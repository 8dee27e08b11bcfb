package stack

import (
	"testing"
	"time"

	"github.com/google/gopacket/layers"

	"netmirror/outcome"
)

// A client whose timestamps count microseconds, as Linux can (tcp_usec_ts), is silent for
// so long that they come half around. What it sends then is not old.
func TestAFineClockComesAroundInSilence(t *testing.T) {
	const n = len(get1)
	s := newTimed(t, func(c *Config) { c.IdleTimeout = 2 * time.Hour })
	c := newClient(t, 1000)
	at := func(d time.Duration) *client { return c.stamped(uint32(5_000_000_000 + d.Microseconds())) }
	s.Inject([]Segment{at(0).packet(-1, nil, func(t *layers.TCP) { t.SYN, t.ACK = true, false }), at(0).ack(0), at(0).data(0, []byte(get1))})
	s.pass(100 * time.Millisecond)
	s.Inject([]Segment{at(100*time.Millisecond).ask(n, get2, 2)})
	s.pass(40 * time.Minute)
	s.Inject([]Segment{at(40*time.Minute).ask(2*n, get3, 3)})
	s.pass(100 * time.Millisecond)
	s.Inject([]Segment{at(40*time.Minute + 100*time.Millisecond).fin(3 * n)})
	s.is(c, text(get1+get2+get3, nil))
}

// A forged segment has a timestamp of the future. The first of the client's behind it looks
// old and is dropped; the next ones show where its clock is.
func TestATimestampOfTheFutureSilencesNobody(t *testing.T) {
	const n = len(get1)
	for _, pause := range []time.Duration{100 * time.Millisecond, 30 * time.Second} {
		s := newTimed(t, func(c *Config) { c.GapTimeout = time.Hour })
		c := newClient(t, 1000)
		ms := uint32(7)
		next := func(d time.Duration) *client {
			s.pass(d)
			ms += uint32(d.Milliseconds())
			return c.stamped(ms)
		}
		s.Inject([]Segment{c.stamped(ms).packet(-1, nil, func(t *layers.TCP) { t.SYN, t.ACK = true, false }), c.stamped(ms).ack(0)})
		s.Inject([]Segment{next(pause).data(0, []byte(get1)), c.stamped(ms + 1<<31 - 1).ack(n)})
		for _, again := range []string{get2, get2, get2} {
			s.Inject([]Segment{next(pause).data(n, []byte(again))})
		}
		s.Inject([]Segment{next(pause).data(2*n, []byte(get3)), next(pause).fin(3 * n)})
		s.pass(100 * time.Millisecond)
		s.is(c, text(get1+get2+get3, nil))
		if d := s.Stats().Dropped[outcome.DropRejected]; d != 1 {
			t.Errorf("%d segments rejected, want the first behind the forged one", d)
		}
		s.Close()
	}
}

// How fast a clock is does not look different when its timestamps have come around.
func TestAFineClockStaysFine(t *testing.T) {
	const late = 1_000_000 // ticks: a second
	var ev evidence
	for now := time.Duration(0); now < 3*time.Hour; now += time.Minute {
		stamp := uint32(4_000_000_000 + now.Microseconds())
		ev.takes(&segment{stamp: stamp, stamped: true}, now)
		if now > 0 && ev.outdated(stamp-late) {
			t.Fatalf("after %v, what comes a second late is too old", now)
		}
	}
	for range 2 { // the same segment, shown twice
		if !ev.outdated(uint32(4_000_000_000 + (2*time.Hour + 50*time.Minute).Microseconds())) {
			t.Error("what is nine minutes old is not")
		}
	}
}
