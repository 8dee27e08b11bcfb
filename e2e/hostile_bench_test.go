package e2e

import (
	"fmt"
	"os"
	"testing"
	"time"

	"netmirror/e2e/lab"
)

// hostileTime is how long the hostile mix lasts; NETMIRROR_HOSTILE=10s shortens it.
const hostileTime = time.Minute

// BenchmarkHostileMemory measures the most memory that netmirror takes of a mix
// of all that could cost some: a SYN flood, streams to a target that
// never reads, and streams full of holes.
func BenchmarkHostileMemory(b *testing.B) {
	length := hostileTime
	if text := os.Getenv("NETMIRROR_HOSTILE"); text != "" {
		var err error
		if length, err = time.ParseDuration(text); err != nil {
			b.Fatal(err)
		}
	}
	for range b.N {
		measureHostile(b, length)
	}
}

func measureHostile(b *testing.B, length time.Duration) {
	const totalMiB, ringMiB = 256, 64
	s := set(b, lab.Options{}, func(c *lab.Conn, done <-chan struct{}) {
		_ = c.SetReadBuffer(4 << 10) // or the kernel would hold it all
		lab.NeverRead(c, done)
	}, "--shutdown-timeout", "1s", "--total-mib", fmt.Sprint(totalMiB), "--ring-mib", fmt.Sprint(ringMiB))
	m := newMix(b, s)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(length); time.Now().Before(end); <-tick.C {
		m.round()
	}
	peak := s.netmirror.peakMemory(b)
	s.netmirror.stop(b)
	figures := s.netmirror.final(b)
	b.Logf("%v", figures)
	b.ReportMetric(float64(peak>>20), "peak-MiB")
	b.ReportMetric(totalMiB+ringMiB, "budget-MiB")
	b.ReportMetric(float64(peak>>20)/(totalMiB+ringMiB), "peak/budget")
	b.ReportMetric(float64(figures["packets_received"])/length.Seconds(), "packets/s")
	b.ReportMetric(float64(figures["kernel_drops"])/length.Seconds(), "drops/s")
}

// mix is a hostile mix of crafted packets.
type mix struct {
	syn    func(n uint32) // opens nothing
	next   uint32
	flows  []*crafted
	packet []byte
}

// newMix makes the clients of many streams, every other one with holes.
func newMix(b *testing.B, s *scene) *mix {
	const flows, size = 1000, 1300
	conn := s.dialTap(b)
	m := &mix{
		next: flows,
		syn:  func(n uint32) { craftOn(b, conn, s.Origin(servicePort), n).syn() },
		// A whole request, so that a stream with a hole is taken up again at once.
		packet: append([]byte(lab.PostHeader(1, size)), body(1, size)...),
	}
	for n := range uint32(flows) {
		m.flows = append(m.flows, craftOn(b, conn, s.Origin(servicePort), n))
	}
	return m
}

// round sends some packets of each kind.
func (m *mix) round() {
	const each = 100
	for range each {
		m.syn(m.next)
		m.next++
	}
	for range 2 * each {
		c := m.flows[0]
		m.flows = append(m.flows[1:], c)
		if c.sent == 0 {
			c.open()
		}
		if c.sent%3 == 2 && c.src.Port()%2 == 0 {
			c.seq += uint32(len(m.packet)) // a hole
		}
		c.send(m.packet, rightSum)
		c.ack += uint32(len(lab.Answer))
	}
}
