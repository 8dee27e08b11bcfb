package tap

import "time"

const (
	// fastest is more than comes in during a pause, in bytes a second: 20 Gbit/s. A
	// ring has to have room for that, and not to run out of blocks.
	fastest  = 2_500_000_000
	minPaced = 16 // blocks
	longest  = 20 * time.Millisecond
)

// paced is how long the pauses are where each ring is as the configuration says: three block
// timeouts, or two if the ring has no room for more; 0: there are none.
func (c Config) paced() time.Duration {
	for _, blocks := range []time.Duration{3, 2} {
		pauses := blocks * c.BlockTimeout
		if c.BusyPoll == 0 && pauses <= longest && c.RingBytes/c.BlockBytes >= minPaced &&
			float64(c.RingBytes) >= fastest*pauses.Seconds() {
			return pauses
		}
	}
	return 0
}
