package e2e

import (
	"testing"
	"time"

	"netmirror/e2e/lab"
)

// A shadow service that is restarted misses what was under way to it when it
// died and what was sent while it was down, and nothing else.
func TestShadowRestarts(t *testing.T) {
	const conns, perSecond, size = 8, 1000, 2 << 10
	before, after := verifier{size: size}, verifier{size: size}
	s := set(t, lab.Options{}, before.serve)
	requests := func(n int64) {
		t.Helper()
		if err := s.origin.WaitReceived(s.ctx, s.origin.Received()+n*size); err != nil {
			t.Fatal(err)
		}
	}
	stop := startBusy(t, s, busy{conns: conns, perSecond: perSecond, size: size})

	requests(perSecond)
	down := time.Now()
	s.shadow.Close()
	requests(perSecond / 2)
	s.serveShadow(t, after.serve)
	up := time.Now()
	requests(perSecond)
	log := stop()

	if err := s.shadow.Wait(s.ctx, conns); err != nil {
		t.Errorf("shadow: %v", err)
	}
	s.netmirror.stop(t)
	before.check(t, log.last())
	after.check(t, log.last())
	checkUnbroken(t, log, before.came(), down)
	checkArrived(t, log, after.came(), func(q request) bool { return q.begun.After(up) })
	b := s.netmirror.final(t)
	if n := b["end_target-closed"]; n < conns {
		t.Errorf("%d streams ended as the target did, want %d or more", n, conns)
	}
	if n := b["end_complete"]; n != conns {
		t.Errorf("%d streams were complete at last, want %d", n, conns)
	}
	s.checkBooks(t)
}

// checkUnbroken checks that what came of each connection is its beginning
// without a hole, and not much shorter than it was when the target died.
func checkUnbroken(t *testing.T, log requestLog, came map[uint64]int, died time.Time) {
	t.Helper()
	const underWay = time.Second // more than ever is
	for i, conn := range log {
		n := 0
		for n < len(conn) && came[conn[n].id] > 0 {
			n++
		}
		if n < len(conn) && conn[n].begun.Before(died.Add(-underWay)) {
			t.Errorf("connection %d: request %d did not arrive, long before the target died", i, n)
		}
		for _, q := range conn[n:] {
			if came[q.id] > 0 {
				t.Errorf("connection %d: request %d arrived, but not request %d", i, uint32(q.id), n)
			}
		}
	}
}
