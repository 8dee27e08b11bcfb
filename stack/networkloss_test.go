package stack

import (
	"fmt"
	"testing"
	"time"
)

// The network, not the mirror, loses a packet. The server acknowledges at once what comes behind it,
// that is what it had (RFC 5681, section 4.2), and says nothing more until the client's timeout:
// 1 s before there is an RTT sample, and twice as long each time (RFC 6298, section 2 and 5.5).
// Nothing was lost to the mirror, whether the stream is open by then or not.
func TestServerHasTheSameHole(t *testing.T) {
	const post, body = "POST /p HTTP/1.1\r\nContent-Length: 20\r\n\r\n", "01234567890123456789"
	for _, rto := range []time.Duration{900 * time.Millisecond, 1200 * time.Millisecond, 3 * time.Second} {
		for _, atOnce := range []bool{true, false} { // all in one batch, or one after the other
			for _, in := range []struct {
				first  string // request
				synACK bool   // else the mirror lost it
			}{{"", true}, {get1, true}, {"", false}} {
				for _, again := range []bool{true, false} { // the client sends the last packet once more, as a probe for its loss (RFC 8985, section 7)
					t.Run(fmt.Sprintf("%v, at once %v, behind %+v, again %v", rto, atOnce, in, again), func(t *testing.T) {
						s := newTimed(t, nil)
						c := newClient(t, 7000)
						at, segs := len(in.first), []Segment{c.syn()}
						if in.synACK {
							segs = append(segs, c.accepts(60000, 0))
						} else { // it shows servers, and this one's answer is waited for
							other := nth(t, 1)
							s.Inject([]Segment{other.syn(), other.accepts(60000, 0)})
						}
						segs = append(segs, c.ack(0))
						if at > 0 {
							segs = append(segs, c.says(0, in.first, 1000), c.answer(1000, at, "", nil))
						}
						segs = append(segs, c.says(at+len(post), body, 1000), c.answer(1000, at, "", nil))
						if atOnce {
							s.Inject(segs)
						} else {
							for _, m := range segs {
								s.pass(time.Millisecond)
								s.Inject([]Segment{m})
							}
						}
						if again {
							s.pass(200 * time.Millisecond)
							s.Inject([]Segment{c.says(at+len(post), body, 1000), c.answer(1000, at, "", nil)})
						}
						s.passSlowly(rto)
						s.Inject([]Segment{c.says(at, post, 1000)})
						s.pass(time.Millisecond)
						s.Inject([]Segment{c.answer(1000, at+len(post)+len(body), noContent, nil), c.fin(at + len(post) + len(body))})
						s.pass(time.Second)
						s.is(c, text(in.first+post+body, nil))
					})
				}
			}
		}
	}
}

// A stray packet within the window that comes again and again, to which the server says each time
// that it has what it had before, ends nothing as long as it may be one.
func TestAStrayPacketThatTheServerDeniesAgainAndAgain(t *testing.T) {
	const n = len(get1)
	for _, apart := range []time.Duration{300 * time.Millisecond, 1200 * time.Millisecond} {
		t.Run(apart.String(), func(t *testing.T) {
			s := newTimed(t, nil)
			c := newClient(t, 7000)
			s.Inject([]Segment{c.syn(), c.accepts(60000, 0), c.ack(0), c.says(0, get1, 1000), c.answer(1000, n, noContent, nil)})
			for range 4 {
				s.pass(apart)
				s.Inject([]Segment{c.says(n+5000, "stale", 1027)})
				s.pass(time.Millisecond)
				s.Inject([]Segment{c.answer(1027, n, "", nil)})
			}
			s.pass(300 * time.Millisecond)
			s.Inject([]Segment{c.says(n, get2, 1027), c.answer(1027, 2*n, noContent, nil), c.says(2*n, "", 1054)})
			s.pass(300 * time.Millisecond)
			s.Inject([]Segment{c.says(2*n, get3, 1054), c.answer(1054, 3*n, noContent, nil), c.fin(3 * n)})
			s.pass(time.Second)
			s.is(c, text(get1+get2+get3, nil))
		})
	}
}
