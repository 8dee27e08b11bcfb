package tap

import (
	"testing"
	"time"
)

// Nobody looks away from a ring that may fill meanwhile.
func TestPaced(t *testing.T) {
	const ms, kib, mib = time.Millisecond, 1 << 10, 1 << 20
	for name, tc := range map[string]struct {
		cfg  Config
		want time.Duration
	}{
		"netmirror's own":              {Config{RingBytes: 64 * mib, BlockBytes: 128 * kib, BlockTimeout: ms}, 3 * ms},
		"for six workers":              {Config{RingBytes: 8 * mib, BlockBytes: 128 * kib, BlockTimeout: ms}, 3 * ms},
		"for eight workers":            {Config{RingBytes: 6 * mib, BlockBytes: 128 * kib, BlockTimeout: ms}, 2 * ms},
		"the longest":                  {Config{RingBytes: 64 * mib, BlockBytes: 128 * kib, BlockTimeout: 10 * ms}, 20 * ms},
		"too long":                     {Config{RingBytes: 512 * mib, BlockBytes: 128 * kib, BlockTimeout: 11 * ms}, 0},
		"too long for the ring":        {Config{RingBytes: 8 * mib, BlockBytes: 128 * kib, BlockTimeout: 2 * ms}, 0},
		"a small ring":                 {Config{RingBytes: 4 * mib, BlockBytes: 128 * kib, BlockTimeout: ms}, 0},
		"a ring of two blocks":         {Config{RingBytes: 64 * mib, BlockBytes: 32 * mib, BlockTimeout: ms}, 0},
		"it is looked at all the time": {Config{RingBytes: 64 * mib, BlockBytes: 128 * kib, BlockTimeout: ms, BusyPoll: 1}, 0},
	} {
		if got := tc.cfg.paced(); got != tc.want {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
}
