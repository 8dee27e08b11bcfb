package e2e

import (
	"fmt"
	"net"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"netmirror/e2e/lab"
)

// BenchmarkIdleFlows measures what connections cost that are open and silent:
// how much netmirror's resident set has grown by them, and the processor time
// that it uses, in percent of a core.
func BenchmarkIdleFlows(b *testing.B) {
	const flows = 15_000
	allowFiles(b, flows+1000)
	for range b.N {
		s := stage(b, lab.Options{}, lab.Swallow)
		accepted := s.hoard(b)
		s.startNetmirror(b)
		s.netmirror.capturing(s.ctx)
		s.awaitAccepted(b, accepted, 1) // netmirror's try
		before := s.netmirror.memory(b)
		s.openFlows(b, flows)
		s.awaitAccepted(b, accepted, 1+flows)
		time.Sleep(2 * time.Second)
		const silence = 5 * time.Second
		grown, used := s.netmirror.memory(b)-before, s.netmirror.cpu(b)
		time.Sleep(silence)
		used = s.netmirror.cpu(b) - used
		s.netmirror.stop(b)
		if f := s.netmirror.final(b); f["flows_opened"] != flows || f["kernel_drops"] != 0 {
			b.Errorf("of %d flows: %v", flows, f)
		}
		b.ReportMetric(float64(grown)/flows, "rss-B/flow")
		b.ReportMetric(used.Seconds()/silence.Seconds()*100, "idle-cpu-%")
	}
}

// allowFiles lets this process and those that it starts have n files open.
func allowFiles(b *testing.B, n uint64) {
	b.Helper()
	var limit syscall.Rlimit
	err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit)
	if err == nil && limit.Cur < n {
		limit.Cur, limit.Max = n, max(n, limit.Max)
		err = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit)
	}
	if err != nil {
		b.Skip(fmt.Errorf("%d open files: %w", n, err))
	}
}

// hoard is a shadow service that accepts connections, and leaves them alone until
// the benchmark ends. It returns how many there are.
func (s *scene) hoard(b *testing.B) *atomic.Int64 {
	b.Helper()
	ln, err := s.Dst.Listen(s.Shadow(shadowPort))
	if err != nil {
		b.Fatal(err)
	}
	var n atomic.Int64
	done := make(chan struct{})
	go func() {
		defer close(done)
		var all []net.Conn
		for {
			c, err := ln.Accept()
			if err != nil {
				break
			}
			all = append(all, c)
			n.Add(1)
		}
		for _, c := range all {
			c.Close()
		}
	}()
	b.Cleanup(func() {
		ln.Close()
		<-done
	})
	return &n
}

func (s *scene) awaitAccepted(b *testing.B, accepted *atomic.Int64, n int64) {
	b.Helper()
	if !settled(func() bool { return accepted.Load() == n }, accepted.Load) {
		b.Fatalf("the target has %d connections, and not %d", accepted.Load(), n)
	}
}

// openFlows opens crafted connections with a request on each.
func (s *scene) openFlows(b *testing.B, n uint32) {
	b.Helper()
	conn := s.dialTap(b)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for i := range n {
		c := craftOn(b, conn, s.Origin(servicePort), i)
		c.open()
		c.send([]byte(lab.GetHeader(uint64(i))), rightSum)
		if i%25 == 24 {
			<-tick.C
		}
	}
}
