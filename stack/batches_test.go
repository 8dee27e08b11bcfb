package stack

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"netmirror/e2e/corpus"
)

// Where this process is kept from running, many packets come in one batch, and gVisor
// has taken none of them when the next batch comes. That decides nothing.
func TestBatchesDecideNothing(t *testing.T) {
	const kind = "what looks like a request is none" // behind a tunnel, or another protocol
	for _, capture := range corpus.All() {
		if !strings.Contains(capture.Name, kind) || capture.Frames[0].Bytes[14] != 0x45 {
			continue
		}
		for range 20 {
			t.Run(capture.Name, func(t *testing.T) { playInBatches(t, capture) })
		}
	}
}

// playInBatches plays a capture of one connection over IPv4 in batches of any size.
func playInBatches(t *testing.T, capture corpus.Capture) {
	s := newTimed(t, nil)
	var batch []Segment
	var at time.Duration
	var cut []int
	for i, f := range capture.Frames {
		if len(batch) > 0 && rand.IntN(2) == 0 {
			cut = append(cut, i)
			s.Inject(batch)
			batch = nil
			if rand.IntN(2) == 0 {
				s.pass(f.At - at) // gVisor has its turn
			} else {
				s.clk.elapsed.Add(int64(f.At - at))
			}
			at = f.At
		}
		batch = append(batch, Segment{VNI: testVNI, IP: f.Bytes[14:], TCP: 20, FromServer: f.Server})
	}
	s.Inject(batch)
	s.pass(2 * time.Second)
	s.Shutdown()
	s.pass(time.Second)
	s.wg.Wait()
	for client, got := range s.streams {
		if len(got) != 1 || len(capture.Want) != 1 || string(got[0].bytes) != string(capture.Want[0].Bytes) {
			t.Errorf("cut at %v: %s has %q, want %q", cut, client, describe(got), capture.Want)
		}
	}
}
