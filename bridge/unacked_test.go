package bridge

import (
	"io"
	"testing"
	"time"
)

// What a target did not acknowledge has not reached it, whatever the kernel took for it.
func TestUnacknowledgedBytes(t *testing.T) {
	for name, end := range map[string]string{"the target reads nothing": "target-slow", "the target reads all": "complete"} {
		t.Run(name, func(t *testing.T) {
			g := newTarget(t)
			g.narrow(t)
			h := serve(t, Config{Target: g.addr(), WriteTimeout: 200 * time.Millisecond})
			s := h.open(t, random(4<<20))
			s.end(io.EOF)
			c := g.accept(t)
			got := int64(0)
			if end == "complete" {
				got, _ = io.Copy(io.Discard, c)
				c.Close()
			}
			want(t, "outcome", s.outcome(t), end)
			eventually(t, "rest", func() bool { return h.Stats().Open == 0 })
			if end != "complete" {
				got, _ = io.Copy(io.Discard, c) // what its kernel has acknowledged
			}
			st := h.Stats()
			want(t, "bytes that the target has", uint64(got), st.BytesWritten-st.BytesUnacked)
		})
	}
}
