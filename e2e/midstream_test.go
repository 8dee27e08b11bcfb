package e2e

import (
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	"netmirror/e2e/lab"
)

// busyBefore is a scene in which clients are busy on connections that netmirror
// has not seen the start of.
type busyBefore struct {
	*scene
	verifier  verifier
	capturing time.Time
	stop      func() requestLog // ends the clients and returns what they did
}

// midConns kept-alive connections make 500 requests a second together.
const midConns, midSize = 100, 3 << 10

func setBusyBefore(t *testing.T, opts lab.Options, args ...string) *busyBefore {
	t.Helper()
	s := &busyBefore{verifier: verifier{size: midSize, tries: 1}}
	s.scene = setOrigin(t, opts)
	s.serveShadow(t, s.verifier.serve) // netmirror's first try is not always the first to come
	s.stop = startBusy(t, s.scene, busy{conns: midConns, perSecond: 500, size: midSize})
	// Each connection has made some requests.
	if err := s.origin.WaitReceived(s.ctx, 3*midConns*midSize); err != nil {
		t.Fatal(err)
	}
	s.startNetmirror(t, args...)
	s.netmirror.capturing(s.ctx)
	s.capturing = time.Now()
	return s
}

// busyFor lets the clients go on until the origin has got so many requests more.
func (s *busyBefore) busyFor(t *testing.T, requests int64) {
	t.Helper()
	if err := s.origin.WaitReceived(s.ctx, s.origin.Received()+requests*midSize); err != nil {
		t.Fatal(err)
	}
}

func TestConnectionsOlderThanNetmirror(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		opts lab.Options
	}{
		{"one direction", lab.Options{}},
		{"both directions", lab.Options{BothDirections: true}},
		{"super-frames", lab.Options{Offloads: true}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := setBusyBefore(t, tt.opts)
			s.busyFor(t, 500)
			log := s.stop()
			if err := s.awaitForwarded(midConns); err != nil {
				t.Errorf("shadow: %v", err)
			}
			s.netmirror.stop(t)
			s.verifier.check(t, log.last())
			checkArrived(t, log, s.verifier.came(), func(q request) bool { return q.begun.After(s.capturing) })
			b := s.netmirror.final(t)
			if n := b["picked_up"]; n != midConns {
				t.Errorf("%d streams were picked up, want %d", n, midConns)
			}
			if n := b["end_complete"]; n != midConns {
				t.Errorf("%d streams are complete, want %d", n, midConns)
			}
			s.checkBooks(t)
		})
	}
}

// checkArrived checks that every request which must arrive has.
func checkArrived(t *testing.T, log requestLog, came map[uint64]int, must func(request) bool) {
	t.Helper()
	var missing []string
	for _, q := range log.all() {
		if must(q) && came[q.id] == 0 {
			missing = append(missing, fmt.Sprintf("request %d/%d did not arrive", q.id>>32, uint32(q.id)))
		}
	}
	t.Logf("of %d requests %d arrived", len(log.all()), len(came))
	complain(t, missing)
}

func TestMidstreamOffLeavesOlderConnectionsAlone(t *testing.T) {
	s := setBusyBefore(t, lab.Options{}, "--midstream", "off", "--stats-interval", "100ms")
	const fresh = 20
	log, err := separate(s.ctx, s.client, fresh, midSize)
	if err != nil {
		t.Fatalf("lab: %v", err)
	}
	// Their packets may be kept for a while: a SYN may come late.
	if err := s.netmirror.awaitStat(s.ctx, "drop_mid_stream", func(n int64) bool { return n > midConns }); err != nil {
		t.Error(err)
	}
	s.stop()
	if err := s.awaitForwarded(fresh); err != nil {
		t.Errorf("shadow: %v", err)
	}
	s.netmirror.stop(t)
	if n := len(s.shadow.Records()) - 1; n != fresh {
		t.Errorf("%d connections were forwarded, want the %d new ones", n, fresh)
	}
	s.verifier.check(t, log.last())
	s.checkBooks(t)
}

// With any, a stream that is no HTTP is taken up at the first segment that
// netmirror sees, and nothing behind that is missing.
func TestMidstreamAnyTakesUpWhateverComes(t *testing.T) {
	const conns, before, behind, chunk = 8, 10, 20, 1000 // chunks, and bytes of each
	s := setServices(t, lab.Options{}, lab.Swallow)
	streams, want := make([]*lab.Stream, conns), make([]lab.Record, conns)
	write := func(chunks int) {
		t.Helper()
		for i, c := range streams {
			b := make([]byte, chunks*chunk)
			lab.Body(uint64(i)<<32 | uint64(chunks)).Read(b)
			want[i] = lab.RecordOf(c.LocalAddr().(*net.TCPAddr).AddrPort(), b, lab.EOF)
			for ; len(b) > 0; b = b[chunk:] {
				// A chunk at a time, so that each is a segment.
				_, err := c.Write(b[:chunk])
				if err := errors.Join(err, c.Flushed(s.ctx)); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	for i := range streams {
		var err error
		if streams[i], err = s.client.Open(s.ctx); err != nil {
			t.Fatal(err)
		}
		defer streams[i].Close()
	}
	write(before)
	s.startNetmirror(t, "--midstream", "any")
	s.ready(t)
	write(behind)
	for _, c := range streams {
		c.Close()
	}
	s.compareWith(t, want)
	if n := s.netmirror.final(t)["picked_up"]; n != conns {
		t.Errorf("%d streams were picked up, want %d", n, conns)
	}
}
