package stack

import (
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/google/gopacket/layers"

	"netmirror/outcome"
)

// says is a segment of the client's that acknowledges what comes before ack.
func (c *client) says(off int, text string, ack int) Segment {
	return c.packet(off, []byte(text), func(t *layers.TCP) { t.Ack, t.PSH = uint32(ack), text != "" })
}

// passSlowly lets time go by in fine steps.
func (s *timed) passSlowly(d time.Duration) {
	for ; d > 0; d -= 100 * time.Millisecond {
		s.pass(min(d, 100*time.Millisecond))
	}
}

// adds checks all bytes of the client: those of its streams, how many are missing, and how many
// were dropped for each reason.
func (s *timed) adds(c *client, want string, missing uint64, lost map[outcome.Drop]uint64) {
	s.t.Helper()
	got, err := s.all(c)
	of := s.Services()[0]
	all := map[outcome.Drop]uint64{}
	for d, n := range of.Lost {
		if n > 0 {
			all[outcome.Drop(d)] = n
		}
	}
	if got != want || of.MissingBytes != missing || !maps.Equal(all, lost) {
		s.t.Errorf("%d streams hold %d bytes %.200q (%v), want %d %.200q; %d missing, want %d; lost %v, want %v", s.Stats().FlowsOpened, len(got), got, err, len(want), want, of.MissingBytes, missing, all, lost)
	}
}

// The mirror shows the last answer late: all that the client has sent behind it is right.
func TestABurstWhoseACKNumberIsShownLate(t *testing.T) {
	for _, slow := range []time.Duration{300, 700, 3000} {
		for _, parts := range [][]string{{get2, get3}, {"POST / HTTP/1.1\r\nContent-Length: 20\r\n\r\n", "0123456789", "0123456789"}} {
			t.Run(fmt.Sprint(slow, len(parts)), func(t *testing.T) {
				s, c := newTimed(t, nil), newClient(t, 100)
				s.Inject([]Segment{c.syn(), c.accepts(65535, 7), c.ack(0), c.says(0, get1, 1000)})
				s.pass(100 * time.Millisecond)
				off, want := len(get1), get1
				for _, p := range parts {
					s.Inject([]Segment{c.says(off, p, 1027)})
					off, want = off+len(p), want+p
				}
				s.pass(10 * time.Millisecond)
				s.Inject([]Segment{c.answer(1000, len(get1), noContent, nil)})
				s.pass(slow * time.Millisecond)
				s.Inject([]Segment{c.answer(1027, off, noContent, nil), c.says(off, "", 1054)})
				s.pass(2 * time.Second)
				s.adds(c, want, 0, nil)
			})
		}
	}
}

// A bare ACK comes behind the request that followed it, while both wait for the mirror to show
// the answer.
func TestABareACKBehindItsRequest(t *testing.T) {
	for _, slow := range []time.Duration{300, 700, 3000} {
		s, c := newTimed(t, nil), newClient(t, 100)
		s.Inject([]Segment{c.syn(), c.accepts(65535, 7), c.ack(0), c.says(0, get1, 1000)})
		s.pass(100 * time.Millisecond)
		s.Inject([]Segment{c.says(len(get1), get2, 1027)})
		s.pass(5 * time.Millisecond)
		s.Inject([]Segment{c.answer(1000, len(get1), noContent, nil)})
		s.pass(5 * time.Millisecond)
		s.Inject([]Segment{c.says(len(get1), "", 1027)}) // the server's ACK of get2 is lost
		s.pass(slow * time.Millisecond)
		s.Inject([]Segment{c.answer(1027, 2*len(get1), noContent, nil), c.says(2*len(get1), "", 1054)})
		s.pass(2 * time.Second)
		s.adds(c, get1+get2, 0, nil)
	}
}

// The SYN-ACK is late, and the mirror has lost the first answer: what the client acknowledged first
// proves the connection.
func TestTheFirstAnswerIsLost(t *testing.T) {
	s, c := newTimed(t, nil), newClient(t, 100)
	s.Inject([]Segment{at(t, 999).answer(1000, 0, "", nil)}) // the mirror shows servers
	s.Inject([]Segment{c.syn(), c.ack(0), c.says(0, get1, 1000), c.says(len(get1), "", 1027)})
	s.pass(20 * time.Millisecond)
	s.Inject([]Segment{c.accepts(65535, 7)})
	s.pass(2 * time.Second)
	s.Inject([]Segment{c.says(len(get1), get2, 1027), c.answer(1027, 2*len(get1), noContent, nil), c.says(2*len(get1), "", 1054)})
	s.pass(2 * time.Second)
	s.adds(c, get1+get2, 0, nil)
}

// A SYN-ACK that comes behind what the server has sent since is late.
func TestASYNACKBehindTheAnswers(t *testing.T) {
	s, c := newTimed(t, nil), newClient(t, 100)
	const h, p = "POST /1 HTTP/1.1\r\nContent-Length: 30\r\n\r\n", "0123456789"
	m := len(get1) + len(h)
	s.Inject([]Segment{c.ack(0), c.says(0, get1, 1000), c.answer(1000, len(get1), noContent, nil)})
	s.pass(2 * time.Millisecond)
	s.Inject([]Segment{c.says(len(get1), h, 1027), c.says(m+10, p, 1027), c.says(m+20, p, 1027), c.answer(1027, m+30, noContent, nil), c.says(m+30, "", 1054)})
	s.pass(10 * time.Millisecond)
	s.Inject([]Segment{c.accepts(65535, 7), c.says(m, p, 1027)})
	s.passSlowly(2 * time.Second)
	s.adds(c, get1+h+p+p+p, 0, nil)
}

// While a connection has no stream, a packet of another one begins none, and hides nothing.
func TestAStrayPacketAfterALoss(t *testing.T) {
	const put, old = "POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\n", "GET /old HTTP/1.1\r\n\r\n"
	for _, two := range []bool{false, true} {
		for _, off := range []int{0, 9 << 20, 500 << 20} {
			for _, ack := range []int{1027, 2_000_000_000} {
				if off == 0 && (ack == 1027 || !two) {
					continue
				}
				t.Run(fmt.Sprint(two, off, ack), func(t *testing.T) {
					s, c := newTimed(t, nil), newClient(t, 100)
					inj := func(m ...Segment) {
						for _, x := range m {
							if two || !x.FromServer {
								s.Inject([]Segment{x})
							}
						}
						s.pass(10 * time.Millisecond)
					}
					inj(c.syn(), c.accepts(65535, 7), c.ack(0))
					at, want := len(put)+5, put
					inj(c.says(0, put, 1000))
					inj(c.answer(1000, at, noContent, nil), c.says(at, "", 1027))
					s.pass(2 * time.Second)
					inj(c.says(at+off, old, ack), c.answer(1027, at, "", nil))
					s.pass(5 * time.Second)
					for i := range 20 {
						inj(c.says(at, get2, 1027+27*i), c.answer(1027+27*uint32(i), at+len(get1), noContent, nil), c.says(at+len(get1), "", 1054+27*i))
						at, want = at+len(get1), want+get2
						s.pass(time.Second)
					}
					why := outcome.DropOutOfWindow
					if off == 0 {
						why = outcome.DropRejected
					}
					s.adds(c, want, 5, map[outcome.Drop]uint64{why: uint64(len(old))})
				})
			}
		}
	}
}

// Nor does it make harmless what is lost where no stream can begin.
func TestAStrayPacketAfterALossInNoHTTP(t *testing.T) {
	const hello = "\x16\x03\x01hello"
	s, c := newTimed(t, nil), newClient(t, 100)
	n := len(hello)
	s.Inject(append(c.opening(), c.says(0, hello, 1000), c.says(n+10, "behind", 1000)))
	s.pass(2 * time.Second)
	s.Inject([]Segment{c.says(n+16+9<<20, "stray", 1000)})
	for i := range 100 {
		s.Inject([]Segment{c.says(n+16+10*i, "ten bytes.", 1000)})
		s.pass(10 * time.Millisecond)
	}
	s.adds(c, hello, 10, map[outcome.Drop]uint64{outcome.DropGap: 6 + 5 + 1000})
}

// What the client would not take of a server ends no idle connection, and blinds none.
func TestStrayPacketsOfAServer(t *testing.T) {
	ask := func(s *timed, c *client, i int, lost bool) {
		s.Inject([]Segment{c.says(i*len(get1), get1, 1000+27*i)})
		if !lost {
			s.Inject([]Segment{c.answer(1000+27*uint32(i), (i+1)*len(get1), noContent, nil)})
		}
		s.Inject([]Segment{c.says((i+1)*len(get1), "", 1027+27*i)})
		s.pass(3 * time.Second)
	}
	for name, play := range map[string]func(s *timed, c *client){
		"RST in the window, with the client's challenge; one answer was lost": func(s *timed, c *client) {
			s.Inject([]Segment{c.syn(), c.accepts(65535, 7), c.ack(0)})
			ask(s, c, 0, true)
			s.Inject([]Segment{c.server(1027+5, len(get1), "R"), c.says(len(get1), "", 1027)})
		},
		"older: RST 9 MB ahead": func(s *timed, c *client) {
			ask(s, c, 0, false)
			s.Inject([]Segment{c.server(1027+9<<20, 5<<20, "R")})
		},
		"older: ACK 512 MB ahead": func(s *timed, c *client) {
			ask(s, c, 0, false)
			s.Inject([]Segment{c.answer(1027+512<<20, 512<<20, "", nil)})
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, c := newTimed(t, nil), newClient(t, 100)
			play(s, c)
			s.pass(3 * time.Second)
			ask(s, c, 1, false)
			ask(s, c, 2, false)
			s.adds(c, get1+get1+get1, 0, nil)
		})
	}
}

// Probes are not lost, and nothing is lost twice.
func TestWhatIsCountedAsLost(t *testing.T) {
	const put = "POST / HTTP/1.1\r\nContent-Length: 100\r\n\r\n"
	n := len(put)
	t.Run("keep-alive probes", func(t *testing.T) {
		s, c := newTimed(t, nil), newClient(t, 100)
		s.Inject(append(c.opening(), c.says(0, put, 1000)))
		s.pass(10 * time.Millisecond)
		s.Inject([]Segment{c.says(n+100, "", 1027)})
		s.pass(2 * time.Second)
		for range 100 {
			s.Inject([]Segment{c.packet(n+99, []byte{0}, func(t *layers.TCP) { t.Ack = 1027 })})
			s.pass(2 * time.Second)
		}
		s.adds(c, put, 100, map[outcome.Drop]uint64{outcome.DropProbe: 100})
	})
	t.Run("a segment that comes again", func(t *testing.T) {
		s, c := newTimed(t, nil), newClient(t, 100)
		s.Inject(append(c.opening(), c.says(0, put, 1000)))
		s.pass(10 * time.Millisecond)
		s.Inject([]Segment{c.says(n+50, string(pattern(50)), 1000)})
		s.pass(10 * time.Millisecond)
		s.Inject([]Segment{c.says(n+100, "", 1027)})
		s.pass(5 * time.Second)
		s.Inject([]Segment{c.says(n+50, string(pattern(50)), 1000), c.says(n+100, get2, 1027), c.fin(n + 100 + len(get1))})
		s.pass(time.Second)
		s.adds(c, put+get2, 50, map[outcome.Drop]uint64{outcome.DropGap: 50, outcome.DropDuplicate: 50})
	})
}

// One direction is mirrored. After a loss a client takes answers of any size by bare ACKs, and asks
// again.
func TestARequestBehindALargeAnswerAfterALoss(t *testing.T) {
	const put = "POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\n"
	for _, size := range []int{1 << 20, 50 << 20} {
		s, c := newTimed(t, nil), newClient(t, 100)
		s.Inject(append(c.opening(), c.says(0, put, 1000)))
		s.pass(10 * time.Millisecond)
		at, ack, want := len(put)+5, 1027, put
		s.Inject([]Segment{c.says(at, "", ack)}) // the body is lost
		s.passSlowly(3 * time.Second)
		for range 3 {
			for to := ack + size; ack < to; ack += 1 << 20 {
				s.Inject([]Segment{c.says(at, "", ack+1<<20)})
				s.pass(time.Millisecond)
			}
			s.Inject([]Segment{c.says(at, get2, ack)})
			at, want = at+len(get2), want+get2
			s.pass(time.Second)
		}
		s.adds(c, want, 5, nil)
	}
}

// Behind a long outage of a connection in which no stream can begin, holes count as before it.
func TestHolesBehindALongOutageInNoHTTP(t *testing.T) {
	const hello = "\x16\x03\x01hello"
	s, c := newTimed(t, nil), newClient(t, 100)
	n := len(hello)
	s.Inject(append(c.opening(), c.says(0, hello, 1000), c.says(n+10, "behind", 1000)))
	s.pass(2 * time.Second)
	for i := range 11 { // each behind a hole of ten bytes, the first behind 100 KB
		s.Inject([]Segment{c.says(n+100_000+20*i, "ten bytes.", 1000)})
		s.pass(10 * time.Millisecond)
	}
	// The first of them alone says nothing of what is in front, nor does the second.
	s.adds(c, hello, 10+90, map[outcome.Drop]uint64{outcome.DropGap: 6 + 110})
}

// Two requests wait for a server whose packets the mirror has lost. When the first is believed
// after all, the client is not seen there now: the second, behind a loss, is believed as well.
func TestTwoRequestsWaitForALostServer(t *testing.T) {
	const n = len(get1)
	s, c := newTimed(t, nil), newClient(t, 100)
	s.Inject([]Segment{c.syn(), c.accepts(65535, 7), c.ack(0), c.says(0, get1, 1000), c.says(n, get2, 1027)})
	s.pass(time.Millisecond)
	s.Inject([]Segment{c.answer(1000, n, noContent, nil)})
	s.pass(time.Millisecond)
	s.Inject([]Segment{c.says(2*n+500, get3, 36_000)})
	s.passSlowly(5 * time.Second)
	s.adds(c, get1+get2+get3, 500, nil)
}

// A client that has closed answers each packet of the server with a RST at the place that the
// packet acknowledges. Those in front of what the client has sent since count no more than at
// the server; the last one does.
func TestRSTsUpToTheClientsEnd(t *testing.T) {
	const n = len(get1)
	for name, places := range map[string][]int{
		"one in front":   {n, 2 * n},
		"several":        {0, n, n, 2 * n, 2 * n},
		"in front again": {n, 2 * n, n},
	} {
		t.Run(name, func(t *testing.T) {
			s := newTestStack(t, nil)
			c := newClient(t, 100)
			segs := append(c.opening(), c.ask(0, get1, 1), c.ask(n, get2, 1))
			for _, at := range places {
				segs = append(segs, c.rst(at))
			}
			s.Inject(segs)
			if got, err := readAll(t, accept(t, s)); string(got) != get1+get2 || err != outcome.EndClientReset {
				t.Errorf("read %q, %v; want both requests and the client's reset", got, err)
			}
		})
	}
}

// The mirror loses an answer, and the client's acknowledgement of it is of something that the server
// was not seen to send. It is an acknowledgement all the same, with which nothing is lost.
func TestAcknowledgementOfALostAnswer(t *testing.T) {
	const n = len(get1)
	s := newTimed(t, nil)
	c := newClient(t, 100)
	s.Inject([]Segment{c.syn(), c.accepts(60000, 0), c.ack(0), c.says(0, get1, 1000), c.answer(1000, n, "", nil)})
	s.pass(100 * time.Millisecond)
	s.Inject([]Segment{c.says(n, "", 1000+len(noContent))})
	s.pass(100 * time.Millisecond)
	s.Inject([]Segment{c.fin(n)})
	s.pass(2 * time.Second)
	if dropped := s.Stats().Dropped; dropped[outcome.DropOutOfWindow] != 0 || dropped[outcome.DropNoPayload] == 0 {
		t.Errorf("dropped %v, want acknowledgements alone", dropped)
	}
}
