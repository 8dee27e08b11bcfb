package stack

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/gopacket/layers"

	"netmirror/outcome"
)

// A client opens its next connection on the same ports where the end of the one before still
// waits behind a stream that its target has ended. The bytes of two connections never come in
// one stream.
func TestNextConnectionBesideTheRestOfTheOneBefore(t *testing.T) {
	const n, old = len(get1), "the end of the one before"
	for _, ahead := range []uint32{0, 3} { // of the next SYN's number
		for _, twoWay := range []bool{true, false} {
			t.Run(fmt.Sprintf("%d ahead, two-way %v", ahead, twoWay), func(t *testing.T) {
				clk := new(clock)
				s := newTestStack(t, func(c *Config) {
					c.Now, c.Services = clk.now, []Service{{Midstream: MidstreamAny}}
				})
				c := newClient(t, 1000)
				d := c.next(1000 + ahead)
				handshake := func(c *client) []Segment {
					if twoWay {
						return []Segment{c.syn(), c.server(999, 0, "S"), c.ack(0)}
					}
					return c.opening()
				}
				s.Inject(append(handshake(c), c.ask(0, get1, 1)))
				conn := accept(t, s)
				readExactly(t, conn, n)
				settled(t, s)
				conn.CloseWith(outcome.EndTargetSlow)
				at := n + int(ahead) // behind get3, in the next one's numbers
				s.Inject([]Segment{c.ask(at, old, 1), c.fin(at + len(old))})
				r := readEverything(s)
				clk.pass(t, s, 10*time.Millisecond)
				s.Inject(append(handshake(d), d.ask(0, get3, 1)))
				clk.pass(t, s, 2*time.Second)
				s.Shutdown()
				clk.pass(t, s, time.Second)
				r.wg.Wait()
				for _, st := range r.streams[c.src.String()] {
					if strings.Contains(string(st.bytes), old) && strings.Contains(string(st.bytes), get3) {
						t.Errorf("a stream of two connections: %q", st.bytes)
					}
				}
			})
		}
	}
}

// endsBetween has c's target end the stream with how behind the first request, and c end its
// connection behind a second one. Then d is the next connection, whose bytes begin a stream only
// behind their SYN. Both come, whole, although nobody reads for a while.
func endsBetween(t *testing.T, s *Stack, clk *clock, c, d *client, how outcome.End) {
	t.Helper()
	const n, next = len(get1), "no HTTP"
	conn := accept(t, s)
	readExactly(t, conn, n)
	settled(t, s)
	conn.CloseWith(how)
	s.Inject([]Segment{c.ask(n, get2, 2), c.fin(2 * n)})
	clk.pass(t, s, 200*time.Millisecond)
	s.Inject(d.get(next))
	clk.pass(t, s, 200*time.Millisecond)
	r := readEverything(s)
	clk.pass(t, s, time.Second)
	s.Shutdown()
	clk.pass(t, s, time.Second)
	r.wg.Wait()
	got := r.streams[c.src.String()]
	if len(got) != 2 || string(got[0].bytes)+string(got[1].bytes) != get2+next && string(got[0].bytes)+string(got[1].bytes) != next+get2 {
		t.Errorf("streams %q, want the second request and the next connection's", describe(got))
	}
}

// The next connection is followed in the same way where the stream of the one before is one that
// was picked up behind a target's end, and nobody has read it yet.
func TestNextConnectionBehindATargetsEnd(t *testing.T) {
	for _, mode := range []Midstream{MidstreamHTTP, MidstreamAny} {
		for _, how := range []outcome.End{outcome.EndTargetClosed, outcome.EndTargetSlow} {
			for _, ahead := range []uint32{0, 5, 1<<32 - 1000} { // of the next SYN's number: the last is behind
				t.Run(fmt.Sprintf("%d, %v, %d ahead", mode, how, ahead), func(t *testing.T) {
					clk := new(clock)
					s := newTestStack(t, func(c *Config) { c.Now, c.Services = clk.now, []Service{{Midstream: mode}} })
					c := newClient(t, 1000)
					d := c.next(1000 + ahead)
					s.Inject(append(c.opening(), c.ask(0, get1, 1)))
					endsBetween(t, s, clk, c, d, how)
				})
			}
		}
	}
}

// A mirror that shows a whole connection again, right behind its end, begins no second stream with
// the same bytes, also where the target has ended the first one in between.
func TestCopyOfAConnectionBehindATargetsEnd(t *testing.T) {
	const n = len(get1)
	for _, mode := range []Midstream{MidstreamHTTP, MidstreamAny, MidstreamOff} {
		for _, how := range []outcome.End{outcome.EndTargetClosed, outcome.EndTargetSlow} {
			for name, last := range map[string]func(c *client, off int) Segment{"FIN": (*client).fin, "RST": (*client).rst} {
				t.Run(fmt.Sprintf("%d, %v, %s", mode, how, name), func(t *testing.T) {
					clk := new(clock)
					s := newTestStack(t, func(c *Config) { c.Now, c.Services = clk.now, []Service{{Midstream: mode}} })
					c := newClient(t, 1000)
					all := append(c.opening(), c.ask(0, get1, 1))
					s.Inject(all)
					conn := accept(t, s)
					readExactly(t, conn, n)
					settled(t, s)
					conn.CloseWith(how)
					clk.pass(t, s, time.Second)
					s.Inject([]Segment{last(c, n)})
					clk.pass(t, s, 20*time.Millisecond)
					r := readEverything(s)
					s.Inject(append(all, last(c, n)))
					clk.pass(t, s, 2*time.Second)
					s.Shutdown()
					clk.pass(t, s, time.Second)
					r.wg.Wait()
					if got := r.streams[c.src.String()]; len(got) > 0 {
						t.Errorf("read again: %q", describe(got))
					}
				})
			}
		}
	}
}

// A mirror that shows a whole connection again, right behind its end, begins no second stream with
// the bytes in front of one that was picked up behind a target's end, and that nobody has read yet.
func TestCopyOfAConnectionThatWasPickedUp(t *testing.T) {
	const n = len(get1)
	for _, mode := range []Midstream{MidstreamHTTP, MidstreamAny} {
		for _, how := range []outcome.End{outcome.EndTargetClosed, outcome.EndTargetSlow} {
			for _, twoWay := range []bool{true, false} {
				t.Run(fmt.Sprintf("%d, %v, two-way %v", mode, how, twoWay), func(t *testing.T) {
					clk := new(clock)
					s := newTestStack(t, func(c *Config) { c.Now, c.Services = clk.now, []Service{{Midstream: mode}} })
					c := newClient(t, 1000)
					first, second, last := append(c.opening(), c.ask(0, get1, 1)), []Segment{c.ask(n, get2, 2)}, []Segment{c.fin(2 * n)}
					if twoWay {
						first = []Segment{c.syn(), c.server(999, 0, "S"), c.ack(0), c.ask(0, get1, 1), c.server(1000, n, "")}
						second = append(second, c.server(2000, 2*n, ""))
					}
					s.Inject(first)
					conn := accept(t, s)
					readExactly(t, conn, n)
					settled(t, s)
					conn.CloseWith(how)
					s.Inject(second)
					clk.pass(t, s, 200*time.Millisecond)
					s.Inject(last)
					clk.pass(t, s, 2*time.Millisecond)
					s.Inject(slices.Concat(first, second, last))
					clk.pass(t, s, 200*time.Millisecond)
					r := readEverything(s)
					clk.pass(t, s, 2*time.Second)
					s.Shutdown()
					clk.pass(t, s, time.Second)
					r.wg.Wait()
					if got := r.streams[c.src.String()]; len(got) != 1 || string(got[0].bytes) != get2 {
						t.Errorf("streams %q, want the second request alone", describe(got))
					}
				})
			}
		}
	}
}

// A loss is given up when the next connection on the same ports has come and ended. What a mirror
// shows again of that one is still known for what it is.
func TestCopyBehindALossInTheConnectionBefore(t *testing.T) {
	const n = len(get1)
	for _, mode := range []Midstream{MidstreamHTTP, MidstreamAny, MidstreamOff} {
		for what, behind := range map[string]string{"nothing": "", "a request": get1, "no request": "??"} {
			for name, last := range map[string]func(c *client, off int) Segment{"FIN": (*client).fin, "RST": (*client).rst} {
				t.Run(fmt.Sprintf("%d, %s behind it, %s", mode, what, name), func(t *testing.T) {
					clk := new(clock)
					s := newTestStack(t, func(c *Config) { c.Now, c.Services = clk.now, []Service{{Midstream: mode}} })
					r := readEverything(s)
					c := newClient(t, 1000)
					d := c.next(1 << 20)
					s.Inject(c.opening()) // and n bytes are lost
					if behind != "" {
						s.Inject([]Segment{c.ask(n, behind, 2)})
					}
					s.Inject([]Segment{c.fin(n + len(behind))})
					clk.pass(t, s, 200*time.Millisecond)
					next := []Segment{d.ask(0, get2, 1), last(d, n)}
					s.Inject(append(d.opening(), next...))
					for range 20 {
						clk.pass(t, s, 10*time.Millisecond)
						s.Inject(next)
					}
					clk.pass(t, s, 2*time.Second)
					s.Shutdown()
					clk.pass(t, s, time.Second)
					r.wg.Wait()
					came := ""
					for _, st := range r.streams[c.src.String()] {
						came += string(st.bytes)
					}
					if strings.Count(came, get2) != 1 {
						t.Errorf("the next connection's request came %d times: %q", strings.Count(came, get2), describe(r.streams[c.src.String()]))
					}
				})
			}
		}
	}
}

// What a mirror shows again of a connection while the next one's rest, behind a target's end,
// waits for its reader, is not of the one after that.
func TestCopyBesideTheRestOfTheNextConnection(t *testing.T) {
	const n = len(get1)
	for _, mode := range []Midstream{MidstreamHTTP, MidstreamAny} {
		t.Run(fmt.Sprint(mode), func(t *testing.T) {
			clk := new(clock)
			s := newTestStack(t, func(c *Config) { c.Now, c.Services = clk.now, []Service{{Midstream: mode}} })
			c := newClient(t, 1000)
			d := c.next(1 << 20)
			s.Inject(c.get(get1))
			readAll(t, accept(t, s))
			clk.pass(t, s, 100*time.Millisecond)
			s.Inject(append(d.opening(), d.ask(0, get2, 1), d.ask(n+5, get3, 2), d.fin(2*n+5)))
			conn := accept(t, s)
			readExactly(t, conn, n)
			settled(t, s)
			conn.CloseWith(outcome.EndTargetClosed)
			s.Inject([]Segment{d.ask(n, "?????", 2)})
			clk.pass(t, s, 200*time.Millisecond)
			s.Inject([]Segment{c.ask(0, get1, 1), c.fin(n)})
			clk.pass(t, s, 2*time.Second)
			r := readEverything(s)
			s.Shutdown()
			clk.pass(t, s, time.Second)
			r.wg.Wait()
			for _, st := range r.streams[c.src.String()] {
				if string(st.bytes) == get1 {
					t.Errorf("read again: %q", describe(r.streams[c.src.String()]))
				}
			}
		})
	}
}

// A target is slow, so that gVisor has not taken all of a connection that has ended.
func TestNextConnectionBehindASlowTarget(t *testing.T) {
	long := strings.Repeat("x", 100000) // more than gVisor takes
	for _, mode := range []Midstream{MidstreamHTTP, MidstreamAny, MidstreamOff} {
		for _, how := range []outcome.End{outcome.EndTargetSlow, outcome.EndShed} {
			t.Run(fmt.Sprintf("%d, %v", mode, how), func(t *testing.T) {
				clk := new(clock)
				s := newTestStack(t, func(c *Config) {
					c.Now, c.ReceiveBuffer, c.Services = clk.now, 16<<10, []Service{{Midstream: mode}}
				})
				c := newClient(t, 1000)
				s.Inject(append(append(c.opening(), c.stream(0, []byte(long), 1400)...), c.fin(len(long))))
				conn := accept(t, s)
				settled(t, s)
				if how == outcome.EndShed {
					s.mu.Lock()
					s.end(conn.flow, how, outcome.DropTotalBudget)
					s.mu.Unlock()
					conn.Close()
				} else {
					conn.CloseWith(how)
				}
				clk.pass(t, s, 100*time.Millisecond)
				s.Inject(c.get("no HTTP"))
				r := readEverything(s)
				clk.pass(t, s, 2*time.Second)
				s.Shutdown()
				clk.pass(t, s, time.Second)
				r.wg.Wait()
				if got := r.streams[c.src.String()]; len(got) != 1 || string(got[0].bytes) != "no HTTP" || got[0].err != nil {
					t.Errorf("the next connection's streams: %q", describe(got))
				}
			})
		}
	}
}

// The end of a connection still waits, without a stream, behind a target's end, when the client's
// next one on the same ports begins, with a number in front of all that had come or behind it, directly or not. It
// gets a stream of its own, which does not end as the one before did.
func TestNextConnectionBesideWhatWaits(t *testing.T) {
	const n, old = len(get1), "the end of the one before"
	next := "POST /2 HTTP/1.1\r\nContent-Length: 2000\r\n\r\n" + strings.Repeat("x", 2000)
	for _, mode := range []Midstream{MidstreamHTTP, MidstreamAny} {
		for _, how := range []string{"FIN", "RST", "the server's RST"} {
			for _, ahead := range []int{-50000, -100, n + len(old), 5000, 100_000} { // of the next SYN's number
				for _, twoWay := range []bool{true, false} {
					if how == "the server's RST" && !twoWay {
						continue
					}
					t.Run(fmt.Sprintf("%d, %s, %d ahead, two-way %v", mode, how, ahead, twoWay), func(t *testing.T) {
						clk := new(clock)
						s := newTestStack(t, func(c *Config) { c.Now, c.Services = clk.now, []Service{{Midstream: mode}} })
						c := newClient(t, 1_000_000)
						d := c.next(uint32(1_000_000 + ahead))
						handshake := func(c *client) []Segment {
							if twoWay {
								return []Segment{c.syn(), c.server(999, 0, "S"), c.ack(0)}
							}
							return c.opening()
						}
						s.Inject(append(handshake(c), c.ask(0, get1, 1)))
						conn := accept(t, s)
						readExactly(t, conn, n)
						settled(t, s)
						if twoWay {
							s.Inject([]Segment{c.answer(1000, n, strings.Repeat("a", 1000), nil)})
						}
						conn.CloseWith(outcome.EndTargetClosed)
						s.Inject([]Segment{c.ask(n, old, 2)})
						switch at := n + len(old); how {
						case "FIN":
							s.Inject([]Segment{c.fin(at)})
						case "RST":
							s.Inject([]Segment{c.rst(at)})
						default:
							s.Inject([]Segment{c.server(2000, at, ""), c.server(2000, at, "R")})
						}
						clk.pass(t, s, 20*time.Millisecond)
						r := readEverything(s)
						s.Inject(append(handshake(d), d.ask(0, next[:1000], 1), d.ask(1000, next[1000:], 1), d.fin(len(next))))
						clk.pass(t, s, 3*time.Second)
						s.Shutdown()
						clk.pass(t, s, time.Second)
						r.wg.Wait()
						whole := 0
						for _, st := range r.streams[c.src.String()] {
							if string(st.bytes) == next && st.err == nil {
								whole++
							} else if strings.Contains(string(st.bytes), next[:20]) {
								t.Errorf("another stream of the next connection: %q", st.bytes)
							}
						}
						if whole != 1 {
							t.Errorf("streams %q, want one of the next connection", describe(r.streams[c.src.String()]))
						}
					})
				}
			}
		}
	}
}

// The same holds where netmirror has not seen the SYN of the connection before.
func TestNextConnectionBehindOneWithoutASYN(t *testing.T) {
	const n = len(get1)
	for _, mode := range []Midstream{MidstreamHTTP, MidstreamAny} {
		for _, ahead := range []uint32{0, 5, uint32(n)} { // of the next SYN's number
			t.Run(fmt.Sprintf("%d, %d ahead", mode, ahead), func(t *testing.T) {
				clk := new(clock)
				s := newTestStack(t, func(c *Config) { c.Now, c.Services = clk.now, []Service{{Midstream: mode}} })
				c := newClient(t, 1000)
				d := c.next(1000 + ahead)
				s.Inject([]Segment{c.ask(0, get1, 1)})
				clk.pass(t, s, 1100*time.Millisecond)
				endsBetween(t, s, clk, c, d, outcome.EndTargetClosed)
			})
		}
	}
}

// A mirror shows a packet of the next connection twice, while the end of the one before is late:
// it is where that one's next bytes may be. Nothing of it comes into the stream of that one.
func TestCopyBesideTheLateEndOfTheConnectionBefore(t *testing.T) {
	const n, ms = len(get1), time.Millisecond
	for _, mode := range []Midstream{MidstreamHTTP, MidstreamAny} {
		for _, third := range []bool{false, true} { // there is yet another connection
			t.Run(fmt.Sprintf("%d, a third one %v", mode, third), func(t *testing.T) {
				s := newTimed(t, func(c *Config) { c.Services = []Service{{Midstream: mode}} })
				c := newClient(t, 1000)
				d := c.next(c.isn + uint32(2*n) + 2) // behind c's FIN
				want := []stream{text(get1+get2, nil), text(get3, nil)}
				s.Inject(append(c.opening(), c.ask(0, get1, 1)))
				s.pass(10 * ms)
				s.Inject(append(d.opening(), d.ask(0, get3, 1)))
				s.pass(2 * ms)
				if third {
					s.Inject(append([]Segment{d.fin(n)}, c.next(5<<28).get(get1)...))
					want = append(want, text(get1, nil))
					s.pass(2 * ms)
				}
				s.Inject([]Segment{d.ask(0, get3, 1)})
				s.pass(2 * ms)
				s.Inject([]Segment{c.ask(n, get2, 2), c.fin(2 * n)})
				s.pass(10 * ms)
				if !third {
					s.Inject([]Segment{d.fin(n)})
				}
				s.pass(time.Second)
				s.is(c, want...)
			})
		}
	}
}

// Nothing but the end of a connection is seen, and the server's reset. It is not the end of the
// next one.
func TestNextConnectionBehindAReset(t *testing.T) {
	const n, ms = len(get1), time.Millisecond
	for _, ahead := range []int{5 << 28, 1000, -5 << 28} { // of the next SYN's number
		for _, end := range []string{"", "the end of a body"} {
			for lost, name := range []string{"nothing", "the SYN"} { // of the next one
				t.Run(fmt.Sprintf("%d ahead, %q, %s is lost", ahead, end, name), func(t *testing.T) {
					s := newTimed(t, nil)
					c := newClient(t, 1000)
					d := c.next(1000 + uint32(ahead))
					s.Inject([]Segment{c.packet(0, []byte(end), func(t *layers.TCP) { t.FIN = true })})
					s.Inject([]Segment{c.answer(1000, len(end)+1, "", func(t *layers.TCP) { t.RST = true })})
					s.pass(10 * ms)
					s.Inject([]Segment{d.syn(), d.accepts(65535, 7), d.ack(0), d.ask(0, get2, 1)}[lost:])
					s.pass(100 * ms)
					s.Inject([]Segment{d.ask(n, get3, 1), d.fin(2 * n)})
					s.pass(2 * time.Second)
					s.is(c, text(get2+get3, nil))
				})
			}
		}
	}
}

// A mirror shows packets of a connection again that has gone, beside the next one on its ports.
// They are not of that one, whether its handshake was seen or not.
func TestCopiesBesideTheNextConnection(t *testing.T) {
	const n, ms = len(get1), time.Millisecond
	for _, ahead := range []int{1000, 1 << 20, 5 << 28, -1 << 20, -5 << 28} { // of the next SYN's number
		for lost, name := range []string{"nothing", "the SYN", "the handshake"} { // of the next one
			t.Run(fmt.Sprintf("%d ahead, %s is lost", ahead, name), func(t *testing.T) {
				s := newTimed(t, nil)
				c := newClient(t, 1<<30)
				d := c.next(c.isn + uint32(ahead))
				all := []Segment{c.ask(0, get1, 1), c.ask(n, get2, 2), c.fin(2 * n)}
				s.Inject(append(c.opening(), all...))
				s.pass(60 * ms)
				s.Inject(append(d.opening(), d.ask(0, get3, 1))[lost:])
				s.pass(ms)
				s.Inject(all)
				s.pass(2 * time.Second)
				s.Inject([]Segment{d.ask(n, get1, 2), d.fin(2 * n)})
				s.pass(time.Second)
				s.is(c, text(get1+get2, nil), text(get3+get1, nil))
			})
		}
	}
}

// The same behind the next connection's SYN alone, which nothing has proved yet.
func TestCopyBehindTheNextSYN(t *testing.T) {
	const ms = time.Millisecond
	for _, ahead := range []int{1000, 1 << 20, 5 << 28, -1000, -5 << 28} { // of the next SYN's number
		for name, quick := range map[string]bool{"read": true, "not read": false} {
			t.Run(fmt.Sprintf("%d ahead, %s", ahead, name), func(t *testing.T) {
				s := unread(t, nil)
				if quick {
					s.readers = readEverything(s.Stack)
				}
				c := newClient(t, 1<<30)
				s.Inject(c.get(get1))
				s.pass(5 * ms)
				s.Inject([]Segment{c.next(c.isn + uint32(ahead)).syn()})
				s.pass(ms)
				if !quick {
					s.readers = readEverything(s.Stack)
					s.pass(ms)
				}
				s.Inject([]Segment{c.ask(0, get1, 1)})
				s.pass(2 * time.Second)
				s.is(c, text(get1, nil))
			})
		}
	}
}

// The next connection's SYN is late, behind what it is the SYN of, while the one before waits for a
// packet.
func TestNextSYNIsLateBesideAHole(t *testing.T) {
	const n, ms = len(get1), time.Millisecond
	s := newTimed(t, nil)
	c := newClient(t, 1000)
	d := c.next(5 << 20)
	s.Inject(append(c.opening(), c.ask(0, get1, 1), c.fin(2*n)))
	s.pass(10 * ms)
	s.Inject([]Segment{d.ask(n, get1, 2), d.ask(0, get3, 1), d.fin(2 * n)}) // two of them the wrong way round
	s.pass(10 * ms)
	s.Inject([]Segment{d.syn()})
	s.pass(10 * ms)
	s.Inject([]Segment{c.ask(n, get2, 2)})
	s.pass(time.Second)
	s.is(c, text(get1+get2, nil), text(get3+get1, nil))
}
