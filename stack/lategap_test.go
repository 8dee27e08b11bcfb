package stack

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"netmirror/outcome"
)

// waitInVain takes the segments of a new flow, and lets the time pass in which a hole of it is
// waited for. gVisor opens its connection, and does not hand the stream out yet. The stack's lock
// is held.
func (s *timed) waitInVain(segs []Segment) {
	s.t.Helper()
	s.dial(segs)
	s.answers(1)
	for range 12 {
		for _, f := range s.flows {
			s.settle(f)
			s.age(f)
		}
		s.clk.elapsed.Add(int64(100 * time.Millisecond))
		s.now = s.cfg.Now()
	}
}

// gVisor is late with a stream, whose hole is given up meanwhile. The rest of a body, which looks
// like a request, begins no stream.
func TestHoleIsGivenUpBeforeTheStreamIsSeen(t *testing.T) {
	const n, put, body = len(get1), "PUT / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 58\r\n\r\n", "01234567890123456789"
	for name, late := range map[string]bool{"gVisor is in time": false, "gVisor is late": true} {
		t.Run(name, func(t *testing.T) {
			s := newTimed(t, nil)
			c := newClient(t, 1000)
			at := len(put) // which is lost
			segs := append(c.opening(), c.ask(at, body[:10], 2), c.ask(at+10, body[10:], 2))
			if !late {
				s.Inject(segs)
				s.pass(1200 * time.Millisecond)
			} else {
				s.Stack.mu.Lock()
				s.waitInVain(segs)
				for _, f := range s.flows {
					if !f.ending || f.virtual.conn != nil {
						t.Error("the hole is not given up, or the stream is there")
					}
				}
				s.Stack.mu.Unlock()
				s.signal()
				s.pass(100 * time.Millisecond)
			}
			at += len(body)
			s.Inject([]Segment{c.ask(at, get2, 2)})
			s.pass(100 * time.Millisecond)
			s.Inject([]Segment{c.ask(at+n, get2, 2)})
			s.pass(100 * time.Millisecond)
			s.Inject([]Segment{c.ask(at+2*n, get3, 3), c.fin(at + 3*n)})
			s.pass(time.Second)
			s.is(c, text("", outcome.EndGap), text(get3, nil))
		})
	}
}

// More of the body comes until gVisor hands the stream out, and further behind the hole than a
// single segment is believed. It is of the same body, and no hole.
func TestMoreComesBehindAHoleBeforeTheStreamIsSeen(t *testing.T) {
	const n, put = len(get1), "PUT / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 200000\r\n\r\n"
	for _, size := range []int{20, 150_000} {
		for name, late := range map[string]bool{"gVisor is in time": false, "gVisor is late": true} {
			t.Run(fmt.Sprintf("%d bytes, %s", size, name), func(t *testing.T) {
				s := newTimed(t, nil)
				c := newClient(t, 1000)
				at := len(put) // which is lost
				segs := c.opening()
				for end := at + size; at < end; at += size / 10 {
					segs = append(segs, c.ask(at, strings.Repeat("x", size/10), 2))
				}
				more := []Segment{c.ask(at, get2, 2)}
				if !late {
					s.Inject(segs)
					s.pass(1200 * time.Millisecond)
					s.Inject(more)
				} else {
					s.Stack.mu.Lock()
					s.waitInVain(segs)
					s.captured = s.now
					s.takeBatch(s.Stack.read(more, nil))
					s.Stack.mu.Unlock()
					s.signal()
				}
				s.pass(1200 * time.Millisecond)
				s.Inject([]Segment{c.ask(at+n, get2, 2)})
				s.pass(100 * time.Millisecond)
				s.Inject([]Segment{c.ask(at+2*n, get3, 3), c.fin(at + 3*n)})
				s.pass(time.Second)
				s.is(c, text("", outcome.EndGap), text(get3, nil))
				if st := s.Stats(); st.Holes != 1 || st.MissingBytes != uint64(len(put)) {
					t.Errorf("%d holes of %d bytes in all, want 1 of %d", st.Holes, st.MissingBytes, len(put))
				}
			})
		}
	}
}

// A request that acknowledges an answer which the mirror has lost is beside the stream, behind
// several holes. Each of them is waited for; the request is not held back anew by each.
func TestDoubtDoesNotBeginAnewWithEachHole(t *testing.T) {
	const n, holes = len(get1), 10
	s := newTimed(t, func(c *Config) { c.Services = []Service{{Midstream: MidstreamAny}} })
	c := newClient(t, 1000)
	segs := []Segment{c.syn(), c.accepts(502, 7), c.ack(0), c.data(0, []byte(get1))}
	for i := range holes {
		at := 2*n*i + n // what is there is lost
		segs = append(segs, c.data(at+n, []byte(get1)), c.answer(1000, at+2*n, "", nil))
	}
	last := n + 2*n*holes
	s.Inject(append(segs, c.ask(last, get2, 2)))
	s.pass((holes + 3) * 200 * time.Millisecond)
	s.Shutdown()
	s.pass(100 * time.Millisecond)
	var want []stream
	for range holes {
		want = append(want, text(get1, outcome.EndGap))
	}
	s.is(c, append(want, text(get1+get2, outcome.EndShutdown))...)
}
