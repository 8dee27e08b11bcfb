package status

import (
	"fmt"
	"time"
)

// rates is what the live line says of the time between two snapshots.
func rates(before, now *Snapshot) string {
	seconds := max(now.Time.Sub(before.Time), time.Millisecond).Seconds()
	rate := func(a, b uint64) float64 { return float64(b-a) / seconds }
	packets, streams := now.Lost()
	return fmt.Sprintf("reached the target %s  %s  in %s  out %s  flows %d  to target %d  held %s  lost %d packets, %d streams",
		now.Minute.BytesText(),
		short(rate(before.Frames, now.Frames), "packets/s"),
		short(8*rate(before.Stack.Bytes, now.Stack.Bytes), "bit/s"), short(8*rate(before.Bridge.BytesWritten, now.Bridge.BytesWritten), "bit/s"),
		now.Stack.Flows, now.Bridge.Open, short(float64(now.Stack.BytesHeld), "B"), packets, streams)
}

// short is an amount with three digits or so and a decimal prefix.
func short(n float64, unit string) string {
	prefixes := []string{"", "k", "M", "G", "T"}
	i := 0
	for ; n >= 999.5 && i < len(prefixes)-1; i++ {
		n /= 1000
	}
	digits := 0
	if i > 0 && n < 99.5 {
		digits = 1
	}
	return fmt.Sprintf("%.*f %s%s", digits, n, prefixes[i], unit)
}
