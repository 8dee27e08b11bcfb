package stack

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/gopacket/layers"

	"netmirror/outcome"
)

// from is the n-th client of a host.
func from(t testing.TB, host byte, n int) *client {
	c := newClient(t, 1000)
	c.src = netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, host}), uint16(1024+n))
	return c
}

// fresh is a client that has a host of its own.
func fresh(t testing.TB, n int) *client {
	c := newClient(t, 1000)
	c.src = netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 1, byte(n >> 8), byte(n)}), 1024)
	return c
}

// strayed is a request of a connection of which nothing else is seen.
func (s *timed) strayed(c *client) {
	s.Inject([]Segment{c.ask(0, get1, 1)})
	s.pass(10 * time.Millisecond)
}

// begun is a handshake and one byte.
func (s *timed) begun(c *client) {
	s.Inject(append(c.opening(), c.data(0, []byte("G"))))
	s.pass(10 * time.Millisecond)
}

// lasting is a connection whose client was answered.
func (s *timed) lasting(c *client) {
	s.Inject(append(c.opening(), c.ask(0, get1, 1), c.ask(len(get1), get2, 2)))
	s.pass(10 * time.Millisecond)
}

// stays checks which clients have a flow.
func (s *timed) stays(want bool, who string, clients ...*client) {
	s.t.Helper()
	all := flowsOf(s.t, s.Stack)
	for i, c := range clients {
		if _, ok := all[c.src]; ok != want {
			s.t.Errorf("%s %d: followed is %t, want %t", who, i, ok, want)
		}
	}
}

// several makes n of something.
func several(n int, play func(c *client), client func(i int) *client) (all []*client) {
	for i := range n {
		c := client(i)
		play(c)
		all = append(all, c)
	}
	return all
}

// tableOf16 has room for 16 flows: 8 unproven ones, and 4 strays, 2 of which are safe from
// those that come with a SYN.
func tableOf16(t *testing.T) *timed {
	s := newTimed(t, func(c *Config) { c.MaxFlows = 16 })
	t.Cleanup(func() {
		s.Shutdown()
		s.pass(time.Second)
		s.wg.Wait()
	})
	return s
}

func TestWhoGivesWay(t *testing.T) {
	hosts := func(first int) func(i int) *client {
		return func(i int) *client { return fresh(t, first+i) }
	}
	host := func(h byte) func(i int) *client { return func(i int) *client { return from(t, h, i) } }
	t.Run("strays fill a quarter, and the oldest goes", func(t *testing.T) {
		s := tableOf16(t)
		strays := several(20, s.strayed, hosts(0))
		s.stays(false, "old stray", strays[:16]...)
		s.stays(true, "new stray", strays[16:]...)
		if st := s.Stats(); st.Dropped[outcome.DropUnproven] == 0 || st.Dropped[outcome.DropFlowLimit] > 0 {
			t.Errorf("%d dropped as unproven, %d for the limit", st.Dropped[outcome.DropUnproven], st.Dropped[outcome.DropFlowLimit])
		}
	})
	t.Run("handshakes fill a half, and the oldest goes", func(t *testing.T) {
		s := tableOf16(t)
		all := several(30, s.begun, hosts(0))
		s.stays(false, "old", all[:22]...)
		s.stays(true, "new", all[22:]...)
	})
	t.Run("strays push out nobody else", func(t *testing.T) {
		s := tableOf16(t)
		opened := several(4, s.begun, hosts(100))
		lasting := several(8, s.lasting, hosts(200))
		several(50, s.strayed, hosts(0))
		s.stays(true, "opened", opened...)
		s.stays(true, "lasting", lasting...)
	})
	t.Run("handshakes leave strays their share", func(t *testing.T) {
		s := tableOf16(t)
		strays := several(4, s.strayed, hosts(0))
		s.pass(100 * time.Millisecond)
		lasting := several(8, s.lasting, hosts(200))
		several(50, s.begun, hosts(100))
		s.stays(false, "old stray", strays[:2]...)
		s.stays(true, "new stray", strays[2:]...)
		s.stays(true, "lasting", lasting...)
	})
	t.Run("a full table has room for strays by their share only", func(t *testing.T) {
		s := tableOf16(t)
		several(10, s.lasting, hosts(200))
		opened := several(6, s.begun, hosts(100))
		several(30, s.strayed, hosts(0))
		s.stays(false, "opened", opened[:2]...)
		s.stays(true, "opened later", opened[2:]...)
	})
	t.Run("who has most of them pushes out himself", func(t *testing.T) {
		s := tableOf16(t)
		other := fresh(t, 0)
		s.strayed(other)
		several(50, s.strayed, host(7))
		s.stays(true, "other", other)
	})
}

// All of the table is proven.
func TestWhoGivesWayAmongTheProven(t *testing.T) {
	hosts := func(first int) func(i int) *client {
		return func(i int) *client { return fresh(t, first+i) }
	}
	host := func(h byte) func(i int) *client { return func(i int) *client { return from(t, h, i) } }
	slowly := func(s *timed) func(c *client) {
		return func(c *client) {
			s.lasting(c)
			s.pass(2 * silence)
		}
	}
	t.Run("the address that has more than its share", func(t *testing.T) {
		s := tableOf16(t)
		few := several(4, slowly(s), hosts(0))
		many := several(12, slowly(s), host(7))
		s.Inject([]Segment{many[0].ask(len(get1+get2), get3, 3)}) // now the second is the longest silent
		s.pass(10 * time.Millisecond)
		newcomer := fresh(t, 99)
		s.strayed(newcomer)
		s.stays(false, "longest silent", many[1])
		s.stays(true, "few", few...)
		s.stays(true, "others and newcomer", append(many[2:], many[0], newcomer)...)
		if st := s.Stats(); st.FlowsEnded[outcome.EndShed] != 1 {
			t.Errorf("%d streams shed, want 1", st.FlowsEnded[outcome.EndShed])
		}
	})
	t.Run("his own, where he has more than his share", func(t *testing.T) {
		s := tableOf16(t)
		few := several(4, slowly(s), hosts(0))
		many := several(12, slowly(s), host(7))
		newcomer := from(t, 7, 99)
		s.begun(newcomer)
		s.stays(false, "longest silent of his", many[0])
		s.stays(true, "few and newcomer", append(few, newcomer)...)
		stray := from(t, 7, 98)
		s.Inject([]Segment{newcomer.ask(1, "ET", 2)})
		s.strayed(stray)
		s.stays(false, "stray of his", stray)
		if st := s.Stats(); st.Dropped[outcome.DropFlowLimit] != 1 {
			t.Errorf("%d dropped for the limit, want the stray", st.Dropped[outcome.DropFlowLimit])
		}
	})
	t.Run("the longest silent of all, for one with a SYN", func(t *testing.T) {
		s := tableOf16(t)
		all := several(16, slowly(s), hosts(0))
		stray, newcomer := fresh(t, 98), fresh(t, 99)
		s.strayed(stray)
		s.stays(false, "stray", stray)
		s.begun(newcomer)
		s.stays(false, "longest silent", all[0])
		s.stays(true, "others and newcomer", append(all[1:], newcomer)...)
	})
}

// What shows that a flow is one of a connection keeps it through a flood.
func TestWhatProves(t *testing.T) {
	for _, tc := range []struct {
		name  string
		first func(c *client) []Segment
		then  func(c *client) []Segment
		want  bool
	}{
		{"a handshake and a request: nothing", (*client).hello, nil, false},
		{"the same segment again", (*client).hello, func(c *client) []Segment { return []Segment{c.data(0, []byte(get1))} }, false},
		{"the handshake again", (*client).hello, func(c *client) []Segment { return c.opening() }, false},
		{"the next segment", (*client).hello, func(c *client) []Segment { return []Segment{c.data(len(get1), []byte(get2))} }, true},
		{"an acknowledgement of what the server sent", (*client).hello, func(c *client) []Segment {
			return []Segment{c.packet(len(get1), nil, func(t *layers.TCP) { t.Ack = 2000 })}
		}, true},
		{"an acknowledgement of nothing new", (*client).hello, func(c *client) []Segment {
			return []Segment{c.ack(len(get1))}
		}, false},
		{"the server's word", (*client).hello, func(c *client) []Segment { return []Segment{c.server(1, len(get1), "")} }, true},
		{"a stray: nothing", (*client).lone, nil, false},
		{"a stray: the next request", (*client).lone, func(c *client) []Segment { return []Segment{c.ask(len(get1), get2, 2)} }, true},
		{"a stray: the server's word", (*client).lone, func(c *client) []Segment { return []Segment{c.server(1, len(get1), "")} }, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := tableOf16(t)
			c := from(t, 9, 1)
			s.Inject(tc.first(c))
			if tc.then != nil {
				s.pass(20 * time.Millisecond)
				s.Inject(tc.then(c))
			}
			s.pass(100 * time.Millisecond)
			for i := range 40 {
				s.begun(fresh(t, i))
				s.strayed(fresh(t, 100+i))
			}
			s.stays(tc.want, "client", c)
		})
	}
}

func (c *client) hello() []Segment { return append(c.opening(), c.data(0, []byte(get1))) }
func (c *client) lone() []Segment  { return []Segment{c.ask(0, get1, 1)} }

// What gVisor had of a flow that gives way is read, its end says what it was, and it is
// taken up again when it goes on.
func TestGivingWayEndsTheStream(t *testing.T) {
	s := newTimed(t, func(c *Config) { c.MaxFlows = 16 })
	c := from(t, 9, 1)
	s.Inject(c.hello())
	s.pass(10 * time.Millisecond)
	several(20, s.begun, func(i int) *client { return fresh(t, i) })
	s.stays(false, "client", c)
	s.Inject([]Segment{c.ask(0, get1, 1), c.ask(len(get1), get2, 2), c.ask(len(get1+get2), get3, 3), c.fin(len(get1 + get2 + get3))})
	s.pass(time.Second)
	s.is(c, text(get1, outcome.EndShed), text(get2+get3, nil))
}

// What gave way before its stream began is taken as it comes when it is seen again.
func TestGivingWayBeforeTheStream(t *testing.T) {
	for _, tc := range []struct {
		name        string
		first, then func(c *client) []Segment
		want        string
	}{
		{"a stray that the client sends again", (*client).lone, (*client).lone, get1},
		{"a handshake that waits for the server's word", (*client).opening, func(c *client) []Segment { return []Segment{c.data(0, []byte("binary"))} }, "binary"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newTimed(t, func(c *Config) { c.MaxFlows = 16 })
			s.Inject([]Segment{fresh(t, 500).server(1, 0, "S")}) // the mirror shows servers
			c := from(t, 9, 1)
			s.Inject(tc.first(c))
			for i := range 20 {
				s.pass(time.Millisecond)
				s.Inject(append(fresh(t, i).opening(), fresh(t, 100+i).lone()...))
			}
			s.stays(false, "client", c)
			s.Inject(tc.then(c))
			s.pass(2 * time.Second)
			s.Inject([]Segment{c.fin(len(tc.want))})
			s.pass(time.Second)
			s.is(c, text(tc.want, nil))
		})
	}
}

// A connection that is not known, or not proven yet, is never hidden by a stray packet
// on its addresses, and not by the flows around it either.
func TestStraysHideNoConnection(t *testing.T) {
	for _, tc := range []struct {
		name string
		wait time.Duration
	}{{"that has no stream yet", 0}, {"that has a stream", 200 * time.Millisecond}, {"that has given way", time.Minute}} {
		t.Run(tc.name, func(t *testing.T) {
			s := newTimed(t, func(c *Config) { c.MaxFlows = 16 })
			c := from(t, 9, 1)
			forged := *c
			forged.isn = 1 << 29
			s.Inject(forged.lone())
			s.pass(tc.wait % time.Minute)
			n := 3
			if tc.wait == time.Minute {
				n = 30
			}
			several(n, s.strayed, func(i int) *client { return fresh(t, i) })
			s.Inject(c.hello())
			s.pass(10 * time.Millisecond)
			several(3, s.strayed, func(i int) *client { return fresh(t, 100+i) })
			s.Inject([]Segment{c.ask(len(get1), get2, 2), c.fin(len(get1 + get2))})
			s.pass(time.Second)
			s.Shutdown()
			s.pass(time.Second)
			s.wg.Wait()
			whole := 0
			for _, st := range s.streams[c.src.String()] {
				if string(st.bytes) == get1+get2 && st.err == nil {
					whole++
				}
			}
			if whole != 1 {
				t.Errorf("the connection came whole %d times: %q", whole, describe(s.streams[c.src.String()]))
			}
		})
	}
}

// Under pressure strays begin at a limited rate; those that show more need not wait.
func TestStraysBeginByTurns(t *testing.T) {
	s := newTimed(t, func(c *Config) { c.MaxFlows = 400 }) // 100 strays, 50 of them in quiet times, 20 a second beyond
	t.Cleanup(func() {
		s.Shutdown()
		s.pass(time.Second)
		s.wg.Wait()
	})
	lone := func(c *client) { s.Inject(c.lone()) }
	quiet := several(50, lone, func(i int) *client { return fresh(t, i) })
	s.pass(100 * time.Millisecond)
	if st := s.Stats(); st.PickedUp != 50 {
		t.Fatalf("%d of %d began in quiet times", st.PickedUp, len(quiet))
	}
	strays := several(49, lone, func(i int) *client { return fresh(t, 1000+i) })
	s.pass(time.Second)
	if st := s.Stats(); st.PickedUp < 50+15 || st.PickedUp > 50+25 {
		t.Errorf("%d began within a second under pressure, want some 20", st.PickedUp-50)
	}
	before := s.Stats().PickedUp
	last := strays[len(strays)-1]
	for _, c := range []*client{strays[0], last} {
		s.Inject([]Segment{c.ask(len(get1), get2, 2)})
	}
	s.pass(20 * time.Millisecond)
	if st := s.Stats(); st.PickedUp == before {
		t.Error("none of those that went on began at once")
	}
	s.pass(time.Second)
	st := s.Stats()
	if st.Dropped[outcome.DropUnproven] == 0 || st.PickedUp+st.Dropped[outcome.DropUnproven] < 99 {
		t.Errorf("%d began and %d were dropped, of 99", st.PickedUp, st.Dropped[outcome.DropUnproven])
	}
}

// Strays that wait for a start hold a bounded part of the memory.
func TestStraysHoldLittle(t *testing.T) {
	const total = 1 << 20
	s := newTimed(t, func(c *Config) { c.TotalBytes = total })
	for i := range 500 {
		c := fresh(t, i)
		s.Inject([]Segment{c.data(0, pattern(1400))})
	}
	if st := s.Stats(); st.BytesHeld > total/8 || st.BytesHeld < total/32 || st.Dropped[outcome.DropUnproven] < 300 {
		t.Errorf("%d bytes held, %d packets dropped as unproven", st.BytesHeld, st.Dropped[outcome.DropUnproven])
	}
	big := fresh(t, 1000)
	s.Inject(big.stream(0, pattern(100_000), 1400))
	if st := s.Stats(); st.BytesHeld > total/8 {
		t.Errorf("%d bytes held with a big one", st.BytesHeld)
	}
	s.pass(3 * time.Second)
	if s.held != 0 || s.table.held != [numRanks]int{} {
		t.Errorf("%d bytes of cost are left, of the ranks %v", s.held, s.table.held)
	}
}
