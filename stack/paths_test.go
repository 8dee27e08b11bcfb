package stack

import (
	"testing"
	"time"
)

// All segments of a connection that speaks MPTCP go where its first one went, of either
// direction, with the option or without; those of others do not.
func TestPaths(t *testing.T) {
	p := NewPaths(2, time.Minute)
	m, other := newMulti(t, 1), newClient(t, 7)
	other.src = m.on(otherPath).src
	at := clockStart
	check := func(claim string, seg Segment, want bool) {
		t.Helper()
		if p.Multipath(&seg, at) != want {
			t.Errorf("%s: %v, want %v", claim, !want, want)
		}
	}
	check("a segment before any has the option", m.segment(0, get1, ""), false)
	check("the SYN", m.synCapable(), true)
	check("a segment without the option", m.segment(0, get1, ""), true)
	check("the server's", m.client.server(1, 0, ""), true)
	check("another client's", other.data(0, []byte(get1)), false)
	vni := m.segment(0, get1, "")
	vni.VNI++
	check("the same addresses in another network", vni, false)
	for i := range 100 {
		at = at.Add(time.Second)
		check("a new connection", m.on("203.0.113.1:"+string(rune('1'+i%9))).synCapable(), true)
		check("one that goes on beside many others", m.segment(0, get1, ""), true)
	}
	if n := len(p.now) + len(p.old); n > 4 {
		t.Errorf("%d connections remembered, want 4 at most", n)
	}
	at = at.Add(time.Hour)
	check("a new connection after an hour", other.packet(-1, nil, nil), false)
	check("a cut packet", Segment{VNI: testVNI, IP: make([]byte, 30), TCP: 20}, false)
}
