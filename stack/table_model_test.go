package stack

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"netmirror/outcome"
)

// plainTable is what table does, with nothing but a slice for each rank.
type plainTable [numRanks][]*flow

func (p *plainTable) take(f *flow) {
	for r := range p {
		p[r] = slices.DeleteFunc(p[r], func(g *flow) bool { return g == f })
	}
}

func (p *plainTable) all() []*flow { return slices.Concat(p[:]...) }

// of is how many flows each address has.
func (p *plainTable) of() map[hostKey]int {
	n := make(map[hostKey]int)
	for _, f := range p.all() {
		n[hostOf(&f.key)]++
	}
	return n
}

// members are a list's flows from the first to the last, and must be the same from the
// last to the first.
func members(t *rapid.T, l *flowList) (all []*flow) {
	for f := l.first; f != nil; f = f.standing.in[l.kind].next {
		all = append(all, f)
	}
	var back []*flow
	for f := l.last; f != nil; f = f.standing.in[l.kind].prev {
		back = append(back, f)
	}
	slices.Reverse(back)
	if !slices.Equal(all, back) || len(all) != l.n {
		t.Fatalf("a list of %d flows has %d, and %d from its end", l.n, len(all), len(back))
	}
	return all
}

// same checks a table against a plain one.
func (p *plainTable) same(t *rapid.T, tb *table) {
	most := 0
	of := p.of()
	for key, n := range of {
		most = max(most, n)
		if h := tb.hosts.all[key]; h == nil || h.n != n {
			t.Fatalf("an address with %d flows: %+v", n, h)
		}
	}
	if top := tb.hosts.top(); len(tb.hosts.all) != len(of) || (top == nil) != (most == 0) || top != nil && top.n != most {
		t.Fatalf("%d addresses, want %d; the top one is %+v, want %d flows", len(tb.hosts.all), len(of), top, most)
	}
	for r := range p {
		if got := members(t, &tb.ranks[r]); !slices.Equal(got, p[r]) {
			t.Fatalf("rank %d has %d flows, want %d, or in another order", r, len(got), len(p[r]))
		}
		held := 0
		for _, f := range p[r] {
			held += f.cost
		}
		if tb.held[r] != held {
			t.Fatalf("rank %d holds %d, want %d", r, tb.held[r], held)
		}
		for _, h := range tb.hosts.all {
			want := slices.DeleteFunc(slices.Clone(p[r]), func(f *flow) bool { return hostOf(&f.key) != h.key })
			if got := members(t, &h.flows[r]); !slices.Equal(got, want) {
				t.Fatalf("an address has %d flows of rank %d, want %d, or in another order", len(got), r, len(want))
			}
		}
	}
}

func TestTableAgainstPlainTable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var tb table
		tb.init()
		var plain plainTable
		now := clockStart
		pick := func() *flow { return rapid.SampledFrom(plain.all()).Draw(t, "flow") }
		for range rapid.IntRange(1, 100).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 2).Draw(t, "pause")) * silence)
			op := rapid.IntRange(0, 5).Draw(t, "what")
			if op < 3 || len(plain.all()) == 0 {
				f := &flow{cost: rapid.IntRange(0, 9).Draw(t, "cost")}
				f.key.src[15] = byte(rapid.IntRange(1, 4).Draw(t, "host"))
				f.standing.rank = rank(rapid.IntRange(0, 2).Draw(t, "rank"))
				tb.enter(f, now)
				plain[f.standing.rank] = append(plain[f.standing.rank], f)
			} else {
				f := pick()
				was := f.standing
				switch op {
				case 3:
					tb.leave(f)
					plain.take(f)
				case 4:
					to := rank(rapid.IntRange(int(was.rank), 2).Draw(t, "to"))
					tb.raise(f, to, now)
					plain.take(f)
					plain[to] = append(plain[to], f)
				case 5:
					tb.refresh(f, now)
					if was.rank == proven && now.Sub(was.since) >= silence {
						plain.take(f)
						plain[proven] = append(plain[proven], f)
					}
				}
			}
			plain.same(t, &tb)
		}
	})
}

// An IPv6 host has 64 bits of addresses to itself.
func TestHostOf(t *testing.T) {
	key := func(addr string, network uint32) *flowKey {
		k := &flowKey{src: netip.MustParseAddr(addr).As16(), net: network}
		if k.ipv6() {
			return k
		}
		a := netip.MustParseAddr(addr).As4()
		k.src = [16]byte{}
		copy(k.src[12:], a[:])
		return k
	}
	for _, tc := range []struct {
		name string
		a, b *flowKey
		same bool
	}{
		{"an IPv6 network of 64 bits", key("2001:db8::1", keyIPv6), key("2001:db8::ffff:1", keyIPv6), true},
		{"two of them", key("2001:db8::1", keyIPv6), key("2001:db8:0:1::1", keyIPv6), false},
		{"two IPv4 hosts", key("192.0.2.1", 0), key("192.0.2.2", 0), false},
		{"one address in two networks", key("192.0.2.1", 0), key("192.0.2.1", 1), false},
	} {
		if same := hostOf(tc.a) == hostOf(tc.b); same != tc.same {
			t.Errorf("%s: the same is %t", tc.name, same)
		}
	}
}

// checkTable checks that the table's lists have the flows that there are, and no more
// than they may.
func checkTable(t *rapid.T, s *Stack) {
	s.mu.Lock()
	defer s.mu.Unlock()
	listed, there := 0, 0
	for r := range s.table.ranks {
		for _, f := range members(t, &s.table.ranks[r]) {
			if f.removed || f.standing.rank != rank(r) {
				t.Fatalf("a flow of rank %d, removed %t, is in the list of rank %d", f.standing.rank, f.removed, r)
			}
			listed++
		}
	}
	for f := range s.allFlows() {
		if !f.removed {
			there++
		}
	}
	if listed != there || s.nflows != there {
		t.Fatalf("%d flows are listed, %d counted, %d there", listed, s.nflows, there)
	}
	if held := s.table.held; held[stray]+held[opened]+held[proven] != s.held {
		t.Fatalf("%v are held, want %d in all", held, s.held)
	}
}

// Packets of many clients meet in a small table.
func TestHostileCrowd(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var clk clock
		limit := rapid.IntRange(1, 20).Draw(rt, "limit")
		s, err := New(Config{
			Now: clk.now, FlowBytes: 20_000, MaxFlows: limit,
			TotalBytes: rapid.SampledFrom([]int{50_000, 1 << 20}).Draw(rt, "bytes"),
			Services:   []Service{{Midstream: rapid.SampledFrom([]Midstream{MidstreamHTTP, MidstreamAny}).Draw(rt, "midstream")}},
		})
		if err != nil {
			rt.Fatal(err)
		}
		ended := false
		defer func() {
			if ended || rt.Failed() {
				s.Close()
			}
		}()
		r := readMortally(s, rapid.SampledFrom([]int{0, 100}).Draw(rt, "death"), rapid.Uint64().Draw(rt, "dice"))
		for range rapid.IntRange(1, 60).Draw(rt, "segments") {
			c := newClient(t, 1000)
			c.src = netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(rapid.IntRange(1, 4).Draw(rt, "host"))}), uint16(rapid.IntRange(1, 6).Draw(rt, "port")))
			var segs []Segment
			switch rapid.IntRange(0, 6).Draw(rt, "kind") {
			case 0:
				segs = c.hello()
			case 1:
				segs = c.lone()
			case 2:
				segs = []Segment{c.ask(len(get1), get2, 2)}
			case 3:
				segs = []Segment{c.server(1, len(get1), rapid.SampledFrom([]string{"", "S", "R"}).Draw(rt, "server"))}
			case 4:
				segs = []Segment{c.fin(len(get1))}
			case 5:
				segs = []Segment{drawHostile(rt, c)}
			case 6: // the next connection on its addresses
				c.isn = 1 << 20
				segs = c.hello()
			}
			s.Inject(segs)
			clk.pass(t, s, rapid.SampledFrom([]time.Duration{0, time.Millisecond, 10 * time.Millisecond, 70 * time.Millisecond, 2 * time.Second}).Draw(rt, "pause"))
			checkTable(rt, s)
		}
		s.Shutdown()
		clk.pass(t, s, 20*time.Second)
		r.wg.Wait()
		ended = true
		balanced(rt, s)
		checkTable(rt, s)
	})
	noLeaks(t)
}

// BenchmarkNewcomers makes flows of strays that hold nothing to forward: a table with
// room for all, and a full one in which each takes another's place. b.N counts flows.
func BenchmarkNewcomers(b *testing.B) {
	for _, tc := range []struct {
		name string
		full bool
	}{{"room", false}, {"full", true}} {
		b.Run(tc.name, func(b *testing.B) {
			const limit = 20_000
			cfg := Config{MaxFlows: 4 * (b.N + limit)}
			if tc.full {
				cfg.MaxFlows = limit
			}
			s, err := New(cfg)
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			s.mu.Lock()
			defer s.mu.Unlock()
			seg := segment{flags: flagACK}
			now := clockStart
			newcomer := func(n int) {
				now = now.Add(time.Microsecond)
				s.now = now
				binary.BigEndian.PutUint32(seg.key.src[12:], uint32(n)*2654435761)
				if s.newFlow(&seg, stray) == nil {
					b.Fatal("turned away")
				}
				s.dirty = s.dirty[:0] // nothing to pump
			}
			for n := range limit {
				newcomer(n)
			}
			b.ReportAllocs()
			b.ResetTimer()
			for n := range b.N {
				newcomer(limit + n)
			}
			b.StopTimer()
			for r := range s.table.ranks {
				for s.table.ranks[r].first != nil {
					s.discard(s.table.ranks[r].first, outcome.DropUnproven, over)
				}
			}
		})
	}
}

// BenchmarkPlace gives a flow of an address that has none its place among 20 000 and
// takes it away again: what the order of the table costs a connection.
func BenchmarkPlace(b *testing.B) {
	var t table
	t.init()
	flows := make([]flow, 20_000)
	for i := range flows {
		binary.BigEndian.PutUint32(flows[i].key.src[12:], uint32(i)*2654435761)
		t.enter(&flows[i], clockStart)
	}
	b.ReportAllocs()
	b.ResetTimer()
	for n := range b.N {
		f := &flows[n%len(flows)]
		t.leave(f)
		f.standing.rank = stray
		t.enter(f, clockStart)
		t.raise(f, proven, clockStart)
	}
}
