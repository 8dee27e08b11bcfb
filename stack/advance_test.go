package stack

import (
	"runtime"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// played is segments that come some time after those before.
type played struct {
	after time.Duration
	segs  []Segment
}

// A capture file is judged as its connections were while they were captured, however
// fast it is read.
func TestAFileIsJudgedByItsOwnTime(t *testing.T) {
	const ms, n = time.Millisecond, len(get1)
	for _, tc := range []struct {
		name string
		play func(c *client) []played
		want []stream
	}{
		{"a packet that is late", func(c *client) []played {
			return []played{{0, append(c.opening(), c.data(n, []byte(get2)))}, {40 * ms, []Segment{c.server(1000, 2*n, ""), c.data(0, []byte(get1))}}, {ms, []Segment{c.fin(2 * n)}}}
		}, []stream{text(get1+get2, nil)}},
		{"a packet that is later than the grace, which the server has", func(c *client) []played {
			return []played{{0, append(c.opening(), c.ask(n, get2, 2), c.server(1000, 2*n, ""))}, {200 * ms, []Segment{c.data(0, []byte(get1))}}, {ms, []Segment{c.fin(2 * n)}}}
		}, []stream{text("", EndGap), text(get2, nil)}},
		{"a packet that nobody else has shown, within the patience", func(c *client) []played {
			return []played{{0, append(c.opening(), c.data(n, []byte(get2)))}, {900 * ms, []Segment{c.data(0, []byte(get1))}}, {ms, []Segment{c.fin(2 * n)}}}
		}, []stream{text(get1+get2, nil)}},
		{"beyond it", func(c *client) []played {
			return []played{{0, append(c.opening(), c.data(0, []byte(get1)), c.ask(2*n, get3, 3))}, {1100 * ms, nil}, {time.Hour, nil}}
		}, []stream{text(get1, EndGap), text(get3, EndIdle)}},
		{"a connection that is silent for less than is idle", func(c *client) []played {
			return []played{{0, append(c.opening(), c.data(0, []byte(get1)))}, {9 * time.Minute, []Segment{c.data(n, []byte(get2))}}, {ms, []Segment{c.fin(2 * n)}}}
		}, []stream{text(get1+get2, nil)}},
		{"for longer", func(c *client) []played {
			return []played{{0, append(c.opening(), c.data(0, []byte(get1)))}, {11 * time.Minute, []Segment{c.ask(n, get2, 1)}}, {400 * 24 * time.Hour, nil}}
		}, []stream{text(get1, EndIdle), text(get2, EndIdle)}},
		{"one that is older than the file", func(c *client) []played {
			return []played{{0, []Segment{c.ask(10, get1, 1)}}, {300 * ms, []Segment{c.ask(10+n, get2, 2)}}, {ms, []Segment{c.fin(10 + 2*n)}}}
		}, []stream{text(get1+get2, nil)}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := newClient(t, 1000)
			var live, file Stats
			t.Run("live", func(t *testing.T) {
				s := newTimed(t, nil)
				for _, p := range tc.play(c) {
					s.pass(min(p.after, time.Hour)) // more takes the test's clock too long
					s.Inject(p.segs)
				}
				s.pass(time.Millisecond)
				s.is(c, tc.want...)
				live = s.Stats()
			})
			t.Run("file", func(t *testing.T) {
				s := newTimed(t, nil)
				at := time.Date(2015, 3, 1, 12, 0, 0, 0, time.UTC)
				s.Advance(at)
				for _, p := range tc.play(c) {
					at = at.Add(p.after)
					s.Advance(at)
					s.InjectAt(p.segs, at)
				}
				s.Advance(at.Add(time.Millisecond))
				s.is(c, tc.want...)
				file = s.Stats()
			})
			for _, st := range []*Stats{&live, &file} {
				// Whether the reader has come to the end before Shutdown; the streams
				// are the same.
				st.FlowsComplete, st.FlowsEnded = 0, nil
			}
			if diff := cmp.Diff(live, file); diff != "" {
				t.Errorf("live (-) and of a file (+): %s", diff)
			}
		})
	}
}

// However long the file's reader takes for a batch, no time passes in the file.
func TestRealTimeDecidesNothingOfAFile(t *testing.T) {
	s := newTestStack(t, func(c *Config) { c.Grace, c.GapTimeout, c.IdleTimeout = 1, time.Millisecond, time.Millisecond })
	at := clockStart
	s.Advance(at)
	c := newClient(t, 1000)
	s.InjectAt(append(c.opening(), c.data(10, []byte("behind")), c.server(1000, 16, "")), at)
	for end := time.Now().Add(50 * time.Millisecond); time.Now().Before(end); runtime.Gosched() {
		s.signal()
	}
	if st := s.Stats(); st.Flows != 1 || st.Holes != 0 {
		t.Fatalf("%d flows, %d holes given up; want 1, 0", st.Flows, st.Holes)
	}
	s.Advance(at.Add(-time.Hour))
	s.Advance(at.Add(time.Second))
	if st := s.Stats(); st.Holes != 1 {
		t.Errorf("%d holes given up a second later, want 1", st.Holes)
	}
}

// At the end time passes by itself: what waits for it is not left behind.
func TestAFileThatEndsInAHole(t *testing.T) {
	s := newTestStack(t, nil)
	all := readEverything(s)
	s.Advance(clockStart)
	c := newClient(t, 1000)
	s.InjectAt(append(c.opening(), c.data(0, []byte("some")), c.data(10, []byte("behind"))), clockStart)
	s.Shutdown()
	all.wg.Wait()
	if got := all.streams[c.src.String()]; len(got) != 1 || string(got[0].bytes) != "some" || got[0].err != EndGap {
		t.Errorf("streams %q", describe(got))
	}
}
