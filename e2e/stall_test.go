package e2e

import (
	"syscall"
	"testing"
	"time"

	"netmirror/e2e/lab"
)

// A process that is kept from running for a while, by a hypervisor or by its neighbors,
// loses nothing: the ring has room for what comes meanwhile.
func TestStallLosesNothing(t *testing.T) {
	for _, tt := range []struct {
		name           string
		length         time.Duration
		perSecond, all int
		args           []string
	}{
		{"5 s at 500 requests a second", 5 * time.Second, 500, 3500, nil},
		{"1 s at 20000 requests a second", time.Second, 20_000, 50_000, nil},
		{"5 s at 500 requests a second, two workers", 5 * time.Second, 500, 3500, []string{"--workers", "2"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			q := newRequests(16, tt.perSecond, tt.all, newForm("GET", 0))
			s := stage(t, lab.Options{}, q.answer)
			s.play(t, q.check, netmirrorWith("netmirror", tt.args...))
			continued := make(chan error, 1)
			go func() { continued <- s.stall(q, tt.length) }()
			q.send(t, s)
			if err := <-continued; err != nil {
				t.Fatal(err)
			}
			settled(func() bool { return q.whole.Load() == int64(q.count) }, q.whole.Load)
			if n := q.whole.Load(); n != int64(q.count) || q.wrong.Load() != 0 {
				t.Errorf("%d of %d requests came, %d pieces were not what was sent", n, q.count, q.wrong.Load())
			}
			s.netmirror.stop(t)
			if n := s.netmirror.stat(t, "kernel_drops"); n != 0 {
				t.Errorf("the ring had no room for %d packets", n)
			}
		})
	}
}

// stall has netmirror stopped for a time once a tenth of the requests have come.
func (s *scene) stall(q *requests, length time.Duration) error {
	settled(func() bool { return q.whole.Load() >= int64(q.count/10) }, q.whole.Load)
	if err := s.netmirror.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	time.Sleep(length) // is what is asked for
	return s.netmirror.cmd.Process.Signal(syscall.SIGCONT)
}
