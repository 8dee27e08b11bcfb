package e2e

import (
	"bytes"
	"testing"

	"netmirror/e2e/lab"
)

// joined is what a target must get of the clients' streams where holes are
// closed: all that was mirrored, in the order of the streams. A stream whose
// FIN is among the lost is cut off at netmirror's end.
func joined(t *testing.T, packets [][]byte) (streams []lab.Record, holes int) {
	t.Helper()
	for client, c := range lab.CoverageOf(packets, servicePort) {
		if !c.SYN {
			t.Fatalf("the SYN of %v was lost: this run proves nothing", client)
		}
		runs := c.Runs()
		holes += len(runs) - 1
		end := lab.EOF
		if !c.FIN {
			end = lab.Reset
		}
		streams = append(streams, lab.RecordOf(client, bytes.Join(runs, nil), end))
	}
	return streams, holes
}

// With --on-gap splice a stream goes on behind a hole: what arrives is what was
// mirrored, cut at the segments' ends and nowhere else.
func TestSpliceClosesTheHoles(t *testing.T) {
	const conns, size = 8, 2 << 10
	for _, tt := range []struct {
		name string
		opts lab.Options
	}{
		{"one direction", lab.Options{LossEvery: 97}},
		{"both directions", lab.Options{LossEvery: 97, BothDirections: true}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := set(t, tt.opts, lab.Swallow, "--on-gap", "splice")
			sniffer := s.sniff(t)
			if _, err := (busy{conns: conns, perSecond: 1000, size: size}).forSeconds(s.ctx, s.client, 1); err != nil {
				t.Fatalf("lab: %v", err)
			}
			if err := sniffer.Close(); err != nil {
				t.Errorf("lab: %v", err)
			}
			want, holes := joined(t, sniffer.Packets())
			s.endWith(t, want)
			b := s.netmirror.final(t)
			if n := b["end_gap"]; n != 0 {
				t.Errorf("%d streams ended for a gap", n)
			}
			if n := b["spliced_holes"]; holes == 0 || n < int64(holes) {
				t.Errorf("%d holes were spliced, and the mirror left %d between what came", n, holes)
			}
			if !tt.opts.BothDirections {
				return // what is lost at a stream's end is not known
			}
			// A FIN that was lost counts as one byte.
			lost := s.origin.Received() - b["bytes_forwarded"]
			if n := b["missing_bytes"]; n < lost || n > lost+conns {
				t.Errorf("%d bytes are missing, of which the service got %d more than the target", n, lost)
			}
			if n := b["server_bytes"]; n == 0 {
				t.Error("no byte of the service's answers was counted")
			}
		})
	}
}
