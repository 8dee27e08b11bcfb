package stack

import (
	"testing"
	"time"

	"github.com/google/gopacket/layers"

	"netmirror/outcome"
)

// A client opens its next connection on the same ports with data in the SYN (RFC 7413).
// The server takes them, or the client sends them again.
func TestFastOpenOnPortsInUse(t *testing.T) {
	const n = len(get1)
	for _, tc := range []struct {
		name string
		ends bool   // the end of the connection before was seen
		late bool   // but only behind the SYN
		isn  uint32 // of the next, less that of the one before
		took bool
	}{
		{"the end was lost", false, false, 1 << 28, true},
		{"the end was lost, and the number is lower", false, false, 1<<32 - 1<<29, true},
		{"the end was lost, and the data are refused", false, false, 1 << 28, false},
		{"the number is just below", true, false, 1<<32 - 5000, true},
		{"the end was late", true, true, 1 << 28, true},
		{"the end was late, and the data are refused", true, true, 1 << 28, false},
		{"the end was late, and the number is just below", true, true, 1<<32 - 5000, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newTimed(t, nil)
			c := newClient(t, 1<<30)
			s.Inject(append(c.opening(), c.data(0, []byte(get1))))
			want := []stream{text(get1, outcome.EndReplaced)}
			end := []Segment{c.fin(n)}
			if tc.ends {
				want = []stream{text(get1, nil)}
			}
			if tc.ends && !tc.late {
				s.Inject(end)
			}
			s.pass(300 * time.Millisecond)
			c.isn += tc.isn
			s.Inject([]Segment{c.packet(-1, []byte(get2), func(t *layers.TCP) { t.SYN, t.ACK, t.Ack = true, false, 0 })})
			if tc.late {
				s.Inject(end)
				waitFor(t, "the end of the connection before", func() bool { return s.Stats().Flows == 0 })
			}
			s.pass(time.Millisecond)
			if tc.took {
				s.Inject([]Segment{c.ack(n)})
			} else {
				s.Inject([]Segment{c.ack(0), c.data(0, []byte(get2))})
			}
			s.pass(100 * time.Millisecond)
			s.Inject([]Segment{c.ask(n, get3, 2), c.packet(2*n, nil, func(t *layers.TCP) { t.FIN, t.Ack = true, 3000 })})
			s.pass(2 * time.Second)
			s.is(c, append(want, text(get2+get3, nil))...)
		})
	}
}
