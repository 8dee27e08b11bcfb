package stack

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/gopacket/layers"

	"netmirror/outcome"
	"netmirror/service"
)

// limited is a stack whose only service takes so many connections a second.
func limited(t *testing.T, perSecond int) *timed {
	return newTimed(t, func(c *Config) {
		rate, err := service.NewRate(perSecond)
		if err != nil {
			t.Fatal(err)
		}
		c.Services = []Service{{Rate: rate}}
	})
}

// at is a client with a port of its own.
func at(t testing.TB, port int) *client {
	c := newClient(t, 1000)
	c.src = netip.AddrPortFrom(c.src.Addr(), uint16(port))
	return c
}

// Connections beyond the rate are left out whole: neither their next requests nor their
// ends are taken for anything, and the next on the same ports is another one.
func TestRateLeavesConnectionsOutWhole(t *testing.T) {
	const n = len(get1)
	s := limited(t, 3)
	var all []*client
	for i := range 5 {
		c := at(t, 40000+i)
		all = append(all, c)
		s.Inject(append(c.opening(), c.ask(0, get1, 1)))
	}
	s.pass(5 * time.Second)
	for _, c := range all {
		s.Inject([]Segment{c.ask(n, get2, 2), c.server(3000, 2*n, "")})
	}
	s.pass(5 * time.Second)
	for _, c := range all {
		s.Inject([]Segment{c.fin(2 * n)})
	}
	s.pass(time.Second)
	st := s.Stats()
	if st.FlowsOpened != 3 || st.OverRate != 2 || s.Services()[0].OverRate != 2 {
		t.Errorf("%d streams, %d connections left out", st.FlowsOpened, st.OverRate)
	}
	// The acknowledgement of the handshake, two requests and the FIN of each.
	if st.Dropped[outcome.DropOverRate] != 2*4 || st.DroppedBytes[outcome.DropOverRate] != 2*2*uint64(n) {
		t.Errorf("%d packets and %d bytes left out", st.Dropped[outcome.DropOverRate], st.DroppedBytes[outcome.DropOverRate])
	}
	next := at(t, 40004)
	next.isn = 500_000
	s.Inject(append(next.opening(), next.ask(0, get3, 1), next.fin(n)))
	s.is(next, text(get3, nil))
	for i, c := range all[:4] {
		want := []stream{text(get1+get2, nil)}
		if i >= 3 {
			want = nil
		}
		s.is(c, want...)
	}
}

// Connections that are older than netmirror begin a stream each; one that was given up
// goes on, however many others begin.
func TestRateCountsConnectionsOnce(t *testing.T) {
	const n = len(get1)
	s := limited(t, 1)
	older, second := at(t, 40000), at(t, 40001)
	s.Inject([]Segment{older.ask(10, get1, 1)})
	s.pass(100 * time.Millisecond)
	s.Inject([]Segment{second.ask(10, get1, 1)})
	s.pass(100 * time.Millisecond)
	s.Inject([]Segment{older.ask(10+2*n, get3, 3)}) // the mirror lost what is in front of it
	s.pass(950 * time.Millisecond)
	third := at(t, 40002)
	s.Inject(third.opening())
	s.pass(150 * time.Millisecond)
	s.Inject([]Segment{older.fin(10 + 3*n), second.ask(10+n, get2, 2)})
	s.pass(time.Second)
	s.is(older, text(get1, outcome.EndGap), text(get3, nil))
	s.is(second)
	if st := s.Stats(); st.OverRate != 1 || st.PickedUp != 2 {
		t.Errorf("%d connections left out, %d picked up", st.OverRate, st.PickedUp)
	}
}

// A SYN with data, one of which the server has to say a word, and one that is late.
func TestRateWhicheverWayAConnectionBegins(t *testing.T) {
	const n = len(get1)
	for _, row := range []struct {
		name string
		segs func(c *client) []Segment
	}{
		{"data in the SYN", func(c *client) []Segment {
			syn := c.packet(-1, []byte(get1), func(t *layers.TCP) { t.SYN, t.ACK, t.Ack = true, false, 0 })
			return []Segment{syn, c.ack(n)}
		}},
		{"the SYN is late", func(c *client) []Segment { return []Segment{c.data(0, []byte(get1)), c.syn()} }},
		{"the server answers", func(c *client) []Segment {
			return []Segment{c.syn(), c.server(999, 0, "S"), c.ack(0), c.data(0, []byte(get1))}
		}},
		{"the mirror shows servers, and not this one's answer", func(c *client) []Segment {
			return []Segment{at(c.t, 30000).server(1, 1, ""), c.syn(), c.ack(0), c.data(0, []byte(get1))}
		}},
		{"it has ended before", func(c *client) []Segment { return []Segment{c.data(0, []byte(get1)), c.fin(n)} }},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := limited(t, 1)
			first, c := at(t, 40000), at(t, 40001)
			s.Inject(append(first.opening(), first.ask(0, get1, 1)))
			s.Inject(row.segs(c))
			s.pass(3 * time.Second)
			s.Inject([]Segment{c.ask(n, get2, 2), c.fin(2 * n)})
			s.pass(2 * time.Second)
			if st := s.Stats(); st.OverRate != 1 || st.FlowsOpened != 1 {
				t.Errorf("%d connections left out, %d streams", st.OverRate, st.FlowsOpened)
			}
			s.is(c)
		})
	}
}
