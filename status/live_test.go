package status

import (
	"testing"
	"time"

	"netmirror/bridge"
	"netmirror/outcome"
)

func TestRates(t *testing.T) {
	begin := time.Unix(1000, 0)
	before := &Snapshot{Time: begin, Frames: 1000, Bridge: bridge.Stats{BytesWritten: 500}}
	now := &Snapshot{Time: begin.Add(2 * time.Second), Frames: 25_000,
		Bridge: bridge.Stats{BytesWritten: 25_000_500, Open: 7, Outcomes: [outcome.NumStreamEnds]uint64{outcome.EndGap: 2, outcome.EndComplete: 9}}}
	now.Minute = Delivery{Sent: 30_000, Lost: [outcome.NumPlaces]uint64{outcome.PlaceBefore: 5}}
	now.Stack.Bytes, now.Stack.Flows, now.Stack.BytesHeld, now.Ring.Drops = 30_000_000, 8, 2_340_000, 5
	const want = "reached the target 99.98 %  12.0 kpackets/s  in 120 Mbit/s  out 100 Mbit/s  flows 8  to target 7  held 2.3 MB  lost 5 packets, 2 streams"
	if got := rates(before, now); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
