package e2e

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"netmirror/e2e/lab"
)

// The services and clients of the lab check more than they measure: at tens of
// thousands of requests a second, or gigabits, they would take what they are to
// leave to netmirror. These do little for each request or byte, and still know
// whether it came right.

// stage makes a scene without a shadow service and without anything that captures.
func stage(b testing.TB, opts lab.Options, origin lab.Handler) *scene {
	b.Helper()
	s := &scene{Lab: buildLab(b, opts), ctx: deadline(b)}
	s.client = s.ClientOf(servicePort)
	var err error
	if s.origin, err = s.Srv.Serve(s.Origin(servicePort), origin); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(s.origin.Close)
	return s
}

// cpu is the processor time that the process has used, all threads and the
// kernel's work for them included: what proc_pid_stat(5) shows in its coarser
// unit.
func (p *process) cpu(b *testing.B) time.Duration {
	b.Helper()
	const sched = 2 // CPUCLOCK_SCHED of the kernel's include/linux/posix-timers_types.h
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^p.cmd.Process.Pid<<3|sched), &t); err != nil {
		b.Fatal(err)
	}
	return time.Duration(t.Nano())
}

// settled waits until done, and gives up where progress, for some seconds, makes none.
func settled(done func() bool, progress func() int64) bool {
	const patience = 3 * time.Second
	last, since := progress(), time.Now()
	for !done() {
		time.Sleep(time.Millisecond)
		if n := progress(); n != last {
			last, since = n, time.Now()
		} else if time.Since(since) > patience {
			return false
		}
	}
	return true
}

// excused checks the books of a netmirror that has ended. Where something was
// lost, they must say why.
func (s *scene) excused(b *testing.B, lost int) books {
	b.Helper()
	figures := s.netmirror.final(b)
	figures.check(b)
	why := figures["kernel_drops"] + figures.sum("end_", "end_complete") +
		figures.sum("drop_", "drop_no_payload", "drop_duplicate", "drop_inner_", "drop_outer_")
	if lost > 0 && why == 0 {
		b.Errorf("%d are lost, and nothing says why: %v", lost, figures)
	}
	if lost > 0 {
		b.Logf("lost %d: %v", lost, figures)
	}
	return figures
}
