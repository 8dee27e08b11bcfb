package e2e

import (
	"fmt"
	"testing"

	"netmirror/e2e/lab"
)

// mirroredWhole returns the requests of which every byte came over the mirror
// link, and how many came with their beginning at least.
func mirroredWhole(packets [][]byte, size int64) (whole map[uint64]bool, begun int) {
	whole = make(map[uint64]bool)
	for _, c := range lab.CoverageOf(packets, servicePort) {
		c.Starts(func(at int64, payload []byte) {
			var id uint64
			if _, err := fmt.Sscanf(string(payload[:min(64, len(payload))]), "POST /%d ", &id); err != nil {
				return
			}
			begun++
			if c.Whole(at, int64(len(lab.PostHeader(id, size)))+size) {
				whole[id] = true
			}
		})
	}
	return whole, begun
}

// lossyScene is a scene whose shadow service verifies, with a sniffer beside
// netmirror.
type lossyScene struct {
	*scene
	verifier verifier
	sniffer  *lab.Sniffer
}

func setLossy(t *testing.T, opts lab.Options, size int64, args ...string) *lossyScene {
	t.Helper()
	s := &lossyScene{verifier: verifier{size: size}}
	s.scene = set(t, opts, s.verifier.serve, args...)
	s.sniffer = s.sniff(t)
	return s
}

// sniff captures what netmirror can see until the test ends.
func (s *scene) sniff(t *testing.T) *lab.Sniffer {
	t.Helper()
	sniffer, err := s.Mon.Sniff(lab.MirrorLink, lab.Incoming)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sniffer.Close() })
	return sniffer
}

// finish ends the sniffer first: what it saw, netmirror has in its ring.
func (s *lossyScene) finish(t *testing.T) (packets [][]byte) {
	t.Helper()
	if err := s.sniffer.Close(); err != nil {
		t.Errorf("lab: %v", err)
	}
	s.netmirror.stop(t)
	if err := s.shadow.Wait(s.ctx, 0); err != nil {
		t.Errorf("shadow, after netmirror's end: %v", err)
	}
	s.checkBooks(t)
	return s.sniffer.Packets()
}

// What is lost on the mirror cannot be forwarded. Everything else must be: a
// request that came over the mirror link whole arrives, once and right, and
// what looks complete is complete.
func TestLossOnTheMirror(t *testing.T) {
	t.Parallel()
	const (
		size    = 2 << 10 // bytes of a kept-alive connection's request
		seconds = 5
	)
	onePercent, onePermille := 97, 997 // primes, to meet every kind of frame
	for _, tt := range []struct {
		name string
		opts lab.Options
	}{
		{"1 %", lab.Options{LossEvery: onePercent}},
		{"1 % of both directions", lab.Options{LossEvery: onePercent, BothDirections: true}},
		{"1 % and late frames", lab.Options{LossEvery: onePercent, LatePermille: 10}},
		{"1 ‰", lab.Options{LossEvery: onePermille}},
		{"1 ‰ of both directions", lab.Options{LossEvery: onePermille, BothDirections: true}},
		{"1 ‰ and late frames", lab.Options{LossEvery: onePermille, LatePermille: 10}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := setLossy(t, tt.opts, size)
			log, err := busy{conns: 8, perSecond: 1000, size: size}.forSeconds(s.ctx, s.client, seconds)
			if err != nil {
				t.Fatalf("lab: %v", err)
			}
			s.checkLoss(t, log)
		})
		t.Run(tt.name+", separate connections", func(t *testing.T) {
			s := setLossy(t, tt.opts, 8<<10)
			log, err := separate(s.ctx, s.client, 200, 8<<10)
			if err != nil {
				t.Fatalf("lab: %v", err)
			}
			s.checkLoss(t, log)
		})
	}
}

// checkLoss ends the scene and compares what arrived with what was mirrored.
func (s *lossyScene) checkLoss(t *testing.T, log requestLog) {
	t.Helper()
	size := s.verifier.size
	whole, begun := mirroredWhole(s.finish(t), size)
	s.verifier.check(t, log.last())
	came := s.verifier.came()
	var missing []string
	for id := range whole {
		if came[id] == 0 {
			missing = append(missing, fmt.Sprintf("request %d/%d was mirrored whole and did not arrive", id>>32, uint32(id)))
		}
	}
	complain(t, missing)
	sent := len(log.all())
	share := func(n int) float64 { return 100 * float64(n) / float64(sent) }
	t.Logf("of %d requests, %.2f %% arrived; %.2f %% were mirrored whole, %.2f %% with their beginning",
		sent, share(len(came)), share(len(whole)), share(begun))
}
