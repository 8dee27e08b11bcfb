package stack

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"gvisor.dev/gvisor/pkg/refs"
)

// behind is how many segments follow each hole.
const behind = 4

// manyHoles opens a connection that loses a request, and then one of behind+1 in turn,
// till there are so many holes. It returns all that comes and all that was lost.
func manyHoles(c *client, holes int) (came, lost []Segment) {
	n := len(get1)
	for i := range holes * (behind + 1) {
		m := c.ask((i+1)*n, get1, uint32(i+2))
		if i%(behind+1) == 0 {
			lost = append(lost, m)
		} else {
			came = append(came, m)
		}
	}
	return append([]Segment{c.syn(), c.ask(0, "", 1), c.ask(0, get1, 1)}, came...), lost
}

// unreadBytes is what gVisor has received and nobody has read yet.
func (s *Stack) unreadBytes() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.unread()
}

// playHoles has all holes of a flow filled late, or given up, while everything is
// read. It returns how many segments gVisor was given, and how long it took.
func playHoles(tb testing.TB, holes int, late bool) (injected uint64, took time.Duration) {
	var clk clock
	s, err := New(Config{Now: clk.now, FlowBytes: 64 << 20})
	if err != nil {
		tb.Fatal(err)
	}
	defer s.Close()
	r := readEverything(s)
	c := newClient(tb, 1000)
	came, lost := manyHoles(c, holes)
	begin := time.Now()
	for len(came) > 0 {
		n := min(64, len(came))
		s.Inject(came[:n])
		came = came[n:]
	}
	settled(tb, s)
	for late && len(lost) > 0 {
		n := min(8, len(lost))
		s.Inject(lost[:n])
		lost = lost[n:]
		for settled(tb, s); s.unreadBytes() > 0; runtime.Gosched() {
			// Of small segments that wait for a reader gVisor has room for some hundred.
		}
	}
	for end := clk.now().Add(time.Minute); s.Stats().BytesHeld > 0; clk.pass(tb, s, tick) {
		for s.unreadBytes() > 0 { // the readers have their time from elsewhere
			runtime.Gosched()
		}
		if clk.now().After(end) {
			tb.Fatalf("it does not end: %+v", s.Stats())
		}
	}
	took = time.Since(begin)
	st := s.Stats()
	if want := uint64(holes); late && st.Holes != 0 || !late && st.Holes != want {
		tb.Fatalf("%d holes, want %d: %+v", st.Holes, want, st)
	}
	injected = s.ns.Counts().Segments
	s.Shutdown()
	clk.pass(tb, s, 10*tick)
	r.wg.Wait()
	return injected, took
}

// Many holes in one flow make gVisor take no segment again for each of them.
func TestManyHolesAreNotInjectedAgain(t *testing.T) {
	for _, late := range []bool{true, false} {
		const holes = 200
		segments := uint64(holes * (behind + 1))
		if n, _ := playHoles(t, holes, late); n > 3*segments {
			t.Errorf("filled late: %v; gVisor was given %d segments for %d", late, n, segments)
		}
	}
}

// BenchmarkHoles is for what a segment costs while so many holes are in front of it: it
// must not depend on how many.
func BenchmarkHoles(b *testing.B) {
	refs.SetLeakMode(refs.NoLeakChecking) // its book of all objects is slow
	defer refs.SetLeakMode(refs.LeaksPanic)
	for _, late := range []bool{true, false} {
		for _, holes := range []int{10, 100, 1000} {
			b.Run(fmt.Sprintf("late=%v/%d", late, holes), func(b *testing.B) {
				injected, took := uint64(0), time.Duration(0)
				for b.Loop() {
					n, d := playHoles(b, holes, late)
					injected, took = injected+n, took+d
				}
				segments := float64(b.N) * float64(holes*(behind+1))
				b.ReportMetric(float64(took.Nanoseconds())/segments, "ns/segment")
				b.ReportMetric(float64(injected)/segments, "injected/segment")
			})
		}
	}
}
