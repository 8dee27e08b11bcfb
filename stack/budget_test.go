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
	all := budget.New(total)
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
	if st := one.Stats(); st.BytesHeld != 0 || held < total/16 {
		t.Errorf("%d bytes of the fat one are held, after %d of the thin ones", st.BytesHeld, held)
	}
}
