package e2e

import (
	"testing"
	"time"

	"netmirror/e2e/lab"
)

// sendSYNs sends crafted SYNs straight to the mirror's receiver, at a pace that
// the capture can follow: a SYN that the kernel dropped would prove nothing.
func sendSYNs(t *testing.T, s *scene, n uint32) {
	t.Helper()
	conn := s.dialTap(t)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for i := range n {
		craftOn(t, conn, s.Origin(servicePort), i).syn()
		if i%500 == 499 {
			<-tick.C
		}
	}
}

func TestSYNFloodCostsNothing(t *testing.T) {
	const syns, bound = 200_000, 64 << 20 // bytes
	s := set(t, lab.Options{}, nil, "--stats-interval", "100ms")
	// Warm: the ring and the runtime have the memory that traffic takes.
	if err := mixed(s.ctx, s.client); err != nil {
		t.Fatal(err)
	}
	if err := s.awaitForwarded(mixedConnections); err != nil {
		t.Fatal(err)
	}
	before := s.netmirror.memory(t)
	received := s.netmirror.stat(t, "packets_received")
	sendSYNs(t, s, syns)
	if err := s.netmirror.awaitStat(s.ctx, "packets_received", func(n int64) bool {
		return n >= received+syns
	}); err != nil {
		t.Fatal(err)
	}
	after := s.netmirror.memory(t)
	t.Logf("resident memory: %d MiB before, %d MiB after", before>>20, after>>20)
	if after-before > bound {
		t.Errorf("%d SYNs took %d MiB", syns, (after-before)>>20)
	}
	if n := len(s.forwarded()); n != mixedConnections {
		t.Errorf("the SYNs opened %d connections", n-mixedConnections)
	}
	// And real clients are still served.
	s.run(t, connections(50, 4, 1, 8<<10))
}
