package e2e

import (
	"testing"
	"time"

	"netmirror/e2e/lab"
)

func TestFinishedConnectionsLeaveNothing(t *testing.T) {
	s := set(t, lab.Options{}, nil, "--stats-interval", "100ms")
	// The first connection makes what the runtime keeps.
	if err := connections(1, 1, 1, 1<<10)(s.ctx, s.client); err != nil {
		t.Fatal(err)
	}
	idle := func() {
		t.Helper()
		if err := s.awaitForwarded(len(s.origin.Records())); err != nil {
			t.Fatal(err)
		}
		if err := s.netmirror.awaitStat(s.ctx, "flows_open", func(n int64) bool { return n == 0 }); err != nil {
			t.Fatal(err)
		}
	}
	idle()
	before := s.netmirror.descriptors(t)

	for range 3 {
		if err := mixed(s.ctx, s.client); err != nil {
			t.Fatal(err)
		}
	}
	for id := range uint64(50) {
		if err := s.client.With(s.ctx, func(c *lab.Stream) error {
			if err := c.Send(id, 10_000); err != nil {
				return err
			}
			return c.SetLinger(0)
		}); err != nil {
			t.Fatal(err)
		}
	}
	idle()
	after := s.netmirror.descriptors(t)
	for end := time.Now().Add(5 * time.Second); after > before && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond) // a closed descriptor has no event
		after = s.netmirror.descriptors(t)
	}
	if after > before {
		t.Errorf("%d descriptors before %d connections, %d after", before, len(s.origin.Records()), after)
	}
	s.netmirror.stop(t)
}
