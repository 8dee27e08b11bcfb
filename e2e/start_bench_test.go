package e2e

import (
	"slices"
	"testing"
	"time"

	"github.com/google/gopacket/layers"

	"netmirror/e2e/lab"
)

// BenchmarkStart measures how long it takes from the start of the process to
// the first byte that the target gets, where a client connects and sends a
// request each millisecond.
func BenchmarkStart(b *testing.B) {
	const starts = 11
	for range b.N {
		var all []time.Duration
		for range starts {
			all = append(all, measureStart(b))
		}
		slices.Sort(all)
		b.ReportMetric(all[starts/2].Seconds()*1e3, "median-ms")
		b.ReportMetric(all[starts-1].Seconds()*1e3, "max-ms")
	}
}

func measureStart(b *testing.B) time.Duration {
	s := stage(b, lab.Options{}, lab.Swallow)
	first := make(chan time.Time, 1)
	s.serveShadow(b, func(c *lab.Conn, _ <-chan struct{}) {
		if n, _ := c.Read(make([]byte, 1)); n > 0 {
			select {
			case first <- time.Now():
			default:
			}
		}
	})
	conn := s.dialTap(b)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	begin := time.Now()
	s.startNetmirror(b)
	for n := uint32(0); ; n++ {
		c := craftOn(b, conn, s.Origin(servicePort), n)
		syn := c.packet(layers.TCP{SYN: true}, nil, rightSum)
		c.seq++
		data := c.packet(layers.TCP{ACK: true, PSH: true}, []byte(lab.GetHeader(0)), rightSum)
		// Until netmirror holds the port, the kernel says that there is no such.
		_, _ = conn.Write(syn)
		_, _ = conn.Write(data)
		select {
		case at := <-first:
			s.netmirror.stop(b)
			return at.Sub(begin)
		case <-s.ctx.Done():
			b.Fatal("nothing was forwarded")
		case <-tick.C:
		}
	}
}
