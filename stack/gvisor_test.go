package stack

import (
	"net/netip"
	"testing"
)

// TestMoreFlowsThanAnyBacklog opens more connections in one batch than a
// listener of gVisor's has room for by default: with SYN cookies, the window
// scale, and with it the flow, would be lost.
func TestMoreFlowsThanAnyBacklog(t *testing.T) {
	const flows = 6000
	s := newTestStack(t, nil)
	c := newClient(t, 1)
	var segs []Segment
	for i := range uint16(flows) {
		c.src = netip.AddrPortFrom(c.src.Addr(), 1000+i)
		segs = append(segs, c.syn(), c.ack(0), c.data(0, []byte("x")), c.fin(1))
	}
	s.Inject(segs)
	for range flows {
		if got, err := readAll(t, accept(t, s)); string(got) != "x" || err != nil {
			t.Fatalf("a stream reads %q, %v", got, err)
		}
	}
	if n := s.ns.Counts().SYNCookies; n != 0 {
		t.Errorf("%d SYN cookies sent", n)
	}
}

// TestEndpointsAreGone is about the memory of ended connections: a close in
// good order would leave each of them waiting for an ACK that never comes.
func TestEndpointsAreGone(t *testing.T) {
	s := newTestStack(t, nil)
	c := newClient(t, 1)
	for i := range uint16(50) {
		c.src = netip.AddrPortFrom(c.src.Addr(), 1000+i)
		segs := append(c.opening(), c.data(0, []byte("x")))
		switch i % 3 {
		case 0:
			segs = append(segs, c.fin(1))
		case 1:
			segs = append(segs, c.rst(1))
		}
		s.Inject(segs)
		conn := accept(t, s)
		if i%3 == 2 {
			conn.Close()
		} else if _, err := readAll(t, conn); i%3 == 0 && err != nil {
			t.Error(err)
		}
	}
	s.mu.Lock()
	s.dropSpares()
	s.mu.Unlock()
	waitFor(t, "the last endpoint to go", func() bool { return s.ns.Counts().Connected == 0 })
	if n := s.ns.Counts().Registered; n != 1 {
		t.Errorf("%d endpoints are registered, want the listener", n)
	}
	if n := s.ns.Counts().Closing; n != 0 {
		t.Errorf("%d endpoints wait to be cleaned up", n)
	}
	if st := s.Stats(); st.Flows != 0 || len(s.active) != 0 || s.eager.Load() != 0 || s.held != 0 {
		t.Errorf("%d flows, %d active, %d eager, %d bytes held after all ended", st.Flows, len(s.active), s.eager.Load(), s.held)
	}
}
