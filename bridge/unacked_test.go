package bridge

import (
	"io"
	"testing"
	"time"

	"netmirror/target"
)

// What a target did not acknowledge has not reached it, whatever the kernel took for it.
func TestUnacknowledgedBytes(t *testing.T) {
	for name, end := range map[string]string{
		"the target reads nothing": "target-slow", "the target reads all": "complete", "nothing behind a header": "target-slow",
	} {
		t.Run(name, func(t *testing.T) {
			g := newTarget(t)
			g.narrow(t)
			c := Config{Target: g.addr(), WriteTimeout: 200 * time.Millisecond}
			header := name == "nothing behind a header"
			if header {
				c.Options.Header = target.HeaderV1
			}
			h := serve(t, c)
			s := h.open(t, random(4<<20))
			s.end(io.EOF)
			conn := g.accept(t)
			got := int64(0)
			if end == "complete" {
				got, _ = io.Copy(io.Discard, conn)
				conn.Close()
			}
			want(t, "outcome", s.outcome(t), end)
			eventually(t, "rest", func() bool { return h.Stats().Open == 0 })
			if end != "complete" {
				got, _ = io.Copy(io.Discard, conn) // what its kernel has acknowledged
			}
			if header {
				got -= int64(len("PROXY TCP4 192.0.2.1 192.0.2.2 4321 80\r\n"))
			}
			st := h.Stats()
			want(t, "bytes that the target has", uint64(got), st.BytesWritten-st.BytesUnacked)
		})
	}
}
