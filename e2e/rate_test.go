package e2e

import (
	"fmt"
	"regexp"
	"testing"
	"time"

	"netmirror/e2e/lab"
)

// overloaded makes so many connections a second, for about some seconds.
func (s *scene) overloaded(t *testing.T, perSecond, seconds int) requestLog {
	t.Helper()
	finish := startLoad(t, func(stop <-chan struct{}) (requestLog, error) {
		return brief{perSecond: perSecond, size: 2 << 10}.until(s.ctx, s.client, stop)
	})
	if err := s.origin.WaitReceived(s.ctx, int64(perSecond*seconds)*2<<10); err != nil {
		t.Fatal(err)
	}
	return finish()
}

// withinRate checks that as many were forwarded as a rate with a burst of one second
// lets through while the connections of the log began.
func withinRate(t *testing.T, log requestLog, forwarded, perSecond int) {
	t.Helper()
	first, last := log[0][0].begun, log[0][0].begun
	for _, q := range log.all() {
		if q.begun.Before(first) {
			first = q.begun
		}
		if q.begun.After(last) {
			last = q.begun
		}
	}
	const delay = 300 * time.Millisecond // of a handshake, where processors are busy
	took := last.Sub(first)
	most := perSecond + int((took+delay).Seconds()*float64(perSecond)) + 1
	least := perSecond + int((took-delay).Seconds()*float64(perSecond)) - 1
	if forwarded < least || forwarded > most {
		t.Errorf("%d of %d connections in %v were forwarded, want %d to %d", forwarded, len(log), took, least, most)
	}
	t.Logf("%d of %d connections in %v were forwarded", forwarded, len(log), took)
}

// Of a service with far more connections than --max-rate, that many are forwarded,
// whole, and the others are no loss.
func TestMaxRate(t *testing.T) {
	t.Parallel()
	const rate = 50
	for _, opts := range []lab.Options{{}, {BothDirections: true}} {
		v := verifier{size: 2 << 10}
		s, page := withStatus(t, opts, v.serve, "--max-rate", fmt.Sprint(rate), "--workers", "2")
		log := s.overloaded(t, 4*rate, 4)
		if err := s.origin.Wait(s.ctx, len(log)); err != nil {
			t.Fatal(err)
		}
		if err := s.shadow.Wait(s.ctx, rate); err != nil {
			t.Errorf("shadow: %v", err)
		}
		if _, text := page.get("/status.json"); regexp.MustCompile(`"severity": ?"loss"`).MatchString(text) {
			t.Errorf("the page tells of a loss: %s", text)
		}
		s.netmirror.stop(t)
		if err := s.shadow.Wait(s.ctx, 0); err != nil {
			t.Errorf("shadow, after netmirror's end: %v", err)
		}
		v.check(t, log.last())
		withinRate(t, log, len(v.came()), rate)
		b := s.netmirror.final(t)
		n := int64(len(v.came()))
		if b["conns_over_rate"] != int64(len(log))-n || b["end_complete"] != n || b["flows_opened"] != n || b["drop_over_rate"] == 0 {
			t.Errorf("of %d connections, of which %d were forwarded: %v", len(log), n, b)
		}
		s.checkBooks(t)
	}
}

// A capture file is played by its own clock, however fast.
func TestMaxRateOfAReplay(t *testing.T) {
	t.Parallel()
	const rate = 20
	v := verifier{size: 2 << 10}
	s := setOrigin(t, lab.Options{})
	s.serveShadow(t, v.serve)
	r := s.record(t, s.Srv, "-i", lab.ClientLink, "tcp port 8080")
	log := s.overloaded(t, 5*rate, 3)
	if err := s.origin.Wait(s.ctx, len(log)); err != nil {
		t.Fatal(err)
	}
	status, output := s.replay(t, "--speed", "max", "--max-rate", fmt.Sprint(rate), r.finish(t))
	if status != 0 {
		t.Errorf("exit status %d:\n%s", status, output)
	}
	if err := s.shadow.Wait(s.ctx, 0); err != nil {
		t.Error(err)
	}
	complain(t, v.problems)
	withinRate(t, log, len(v.came()), rate)
}
