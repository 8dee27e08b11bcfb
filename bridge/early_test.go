package bridge

import (
	"io"
	"testing"
	"time"

	"netmirror/outcome"
)

// A target that wants another protocol ends a connection at the client's first bytes. One
// whose keep-alive limit is short ends it later, and one whose client has ended is done.
func TestTargetThatEndsAStreamAtOnceIsCounted(t *testing.T) {
	for _, row := range []struct {
		name   string
		after  time.Duration // the target's end, after the client's first bytes
		reset  bool
		goesOn bool // the client
		want   uint64
	}{
		{"with a FIN", 0, false, true, 1},
		{"with a reset", 0, true, true, 1},
		{"later", atOnce + 100*time.Millisecond, false, true, 0},
		{"with the client", 0, false, false, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			g := newTarget(t)
			h := serve(t, Config{Target: g.addr()})
			s, c := h.served(t, g)
			<-time.After(row.after) // the limit itself
			if row.reset {
				c.SetLinger(0)
			}
			c.Close()
			how := outcome.EndTargetClosed
			if !row.reset {
				h.closedFirst(t, 1)
				if row.goesOn {
					s.send([]byte("second"))
				} else {
					s.end(io.EOF)
					how = outcome.EndComplete
				}
			}
			want(t, "outcome", s.outcome(t), how.String())
			want(t, "ClosedAtOnce", h.Stats().ClosedAtOnce, row.want)
		})
	}
}
