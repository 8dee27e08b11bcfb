package stack

import (
	"net/netip"
	"testing"

	"netmirror/budget"
)

// shared is two stacks with one budget, and a client of the first that has sent bytes
// which nobody reads.
func shared(t *testing.T, total, bytes int) (one, two *Stack) {
	t.Helper()
	all := budget.New(total, 20_000)
	set := func(c *Config) { c.Budget, c.TotalBytes, c.FlowBytes = all, total/2, total }
	one, two = newTestStack(t, set), newTestStack(t, set)
	t.Cleanup(func() { two.Close(); one.Close() }) // before gVisor's references are counted
	fat := newClient(t, 1)
	one.Inject(fat.opening())
	for off := 0; off < bytes; off += 14600 {
		one.Inject(fat.stream(off, pattern(14600), 1460))
		settled(t, one)
	}
	return one, two
}

// nth is the n-th of many clients.
func nth(t *testing.T, n int) *client {
	c := newClient(t, 1)
	c.src = netip.AddrPortFrom(c.src.Addr(), uint16(1000+n))
	return c
}

func shedOf(s *Stack) uint64 { return s.Stats().FlowsEnded["shed"] }

func TestAStackUsesWhatTheOtherLeaves(t *testing.T) {
	const total = 4 << 20
	one, two := shared(t, total, total*3/4)
	if st := one.Stats(); st.FlowsEnded["shed"] != 0 || st.BytesHeld < total*3/4 {
		t.Fatalf("%d streams shed, %d bytes held; want none, and %d", st.FlowsEnded["shed"], st.BytesHeld, total*3/4)
	}
	thin := nth(t, 0)
	two.Inject(append(thin.opening(), thin.data(0, []byte("hello"))))
	settled(t, two)
	if shedOf(one)+shedOf(two) != 0 {
		t.Error("a stream was shed though there is room")
	}
}

// Where there is no room, the heaviest flow goes, whichever stack meets the limit.
func TestTheHeaviestOfAllStacksGivesWay(t *testing.T) {
	const total = 4 << 20
	one, two := shared(t, total, total*3/4)
	idle := nth(t, 100)
	held := 0
	for n := 0; shedOf(one) == 0; n++ {
		thin := nth(t, n)
		two.Inject(append(thin.opening(), thin.stream(0, pattern(14600), 1460)...))
		settled(t, two)
		if held += 14600; held > total {
			t.Fatal("the heaviest does not give way")
		}
		one.Inject([]Segment{idle.syn()})
		settled(t, one)
	}
	if n := shedOf(two); n != 0 {
		t.Errorf("%d of the thin streams were shed", n)
	}
	if st := one.Stats(); st.BytesHeld != 0 || held < total/32 {
		t.Errorf("%d bytes of the fat one are held, after %d of the thin ones", st.BytesHeld, held)
	}
}

// A stack has more flows than its share while the other has less, which gets its own
// as soon as it wants it.
func TestStacksShareFlows(t *testing.T) {
	const share = 100
	all := budget.New(256<<20, 2*share)
	set := func(c *Config) { c.Budget, c.MaxFlows = all, share }
	one, two := newTestStack(t, set), newTestStack(t, set)
	t.Cleanup(func() { two.Close(); one.Close() })
	open := func(s *Stack, from, n int) int {
		t.Helper()
		for i := range n {
			c := nth(t, from+i)
			s.Inject(append(c.opening(), c.data(0, []byte(get1))))
			s.Inject([]Segment{c.ask(len(get1), get2, 2)}) // proven
			settled(t, s)
		}
		return s.Stats().Flows
	}
	if n := open(one, 0, 150); n != 150 {
		t.Errorf("%d flows beside an empty stack, want 150", n)
	}
	if n := open(two, 1000, 120); n != share {
		t.Errorf("%d flows of the other stack, want its share of %d", n, share)
	}
	if n := open(one, 500, 1); n != share {
		t.Errorf("%d flows then, want %d", n, share)
	}
}
