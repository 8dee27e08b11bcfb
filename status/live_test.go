package status

import (
	"testing"
	"time"

	"netmirror/bridge"
)

func TestRates(t *testing.T) {
	begin := time.Unix(1000, 0)
	before := &Snapshot{Time: begin, Frames: 1000, Bridge: bridge.Stats{BytesWritten: 500}}
	now := &Snapshot{Time: begin.Add(2 * time.Second), Frames: 25_000,
		Bridge: bridge.Stats{BytesWritten: 25_000_500, Open: 7, Outcomes: map[string]uint64{"gap": 2, "complete": 9}}}
	now.Stack.Bytes, now.Stack.Flows, now.Stack.BytesHeld, now.Ring.Drops = 30_000_000, 8, 2_340_000, 5
	const want = "12.0 kpackets/s  in 120 Mbit/s  out 100 Mbit/s  flows 8  to target 7  waiting 2.3 MB  lost 5 packets, 2 streams"
	if got := rates(before, now); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
