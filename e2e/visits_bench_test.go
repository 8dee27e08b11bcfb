package e2e

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"netmirror/e2e/lab"
)

// visits are connections of one request each, begun at an even pace.
type visits struct {
	form
	*journey
	perSecond, count int
	whole            atomic.Int64
	wrong            atomic.Int64
}

// newVisits has requests of so many bytes, a few hundred.
func newVisits(perSecond, count, size int) *visits {
	const some = 100 // of three digits, as the body is
	body := some + size - len(newForm("POST", some).text)
	return &visits{form: newForm("POST", body), journey: newJourney(count), perSecond: perSecond, count: count}
}

// answer is the origin: it answers the request and waits for the client's end.
func (v *visits) answer(c *lab.Conn, _ <-chan struct{}) {
	v.serve(c)
}

// check is the shadow service: it answers, and counts what came right.
func (v *visits) check(c *lab.Conn, _ <-chan struct{}) {
	n, at, ok := v.serve(c)
	if ok && v.note(n, at) {
		v.whole.Add(1)
	} else {
		v.wrong.Add(1)
	}
}

// serve says which visit a connection was, when it had come, and whether it was
// whole and ended in order.
func (v *visits) serve(c *lab.Conn) (n int, at time.Time, ok bool) {
	buf := make([]byte, len(v.text))
	if _, err := io.ReadFull(c.TCPConn, buf); err != nil {
		return 0, at, false
	}
	at = time.Now()
	if n = v.number(buf, v.count); n < 0 {
		return n, at, false
	}
	want := slices.Clone(v.text)
	if v.mark(want, n); !bytes.Equal(buf, want) {
		return n, at, false
	}
	if _, err := c.TCPConn.Write([]byte(lab.Answer)); err != nil {
		return n, at, false
	}
	more, err := c.TCPConn.Read(buf)
	return n, at, more == 0 && errors.Is(err, io.EOF)
}

// pay makes the connections and returns when the origin has answered all.
func (v *visits) pay(b *testing.B, s *scene) {
	b.Helper()
	work := make(chan int, v.count)
	var clients sync.WaitGroup
	var failed atomic.Int64
	for range 32 {
		clients.Go(func() {
			r, answer := slices.Clone(v.text), make([]byte, len(lab.Answer))
			for n := range work {
				if err := v.once(s, n, r, answer); err != nil {
					failed.Add(1)
				}
			}
		})
	}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	begin := time.Now()
	for n := 0; n < v.count; {
		<-tick.C
		for due := min(v.count, int(time.Since(begin).Seconds()*float64(v.perSecond))); n < due; n++ {
			work <- n
		}
	}
	close(work)
	clients.Wait()
	if n := failed.Load(); n > 0 {
		b.Fatalf("lab: %d connections failed", n)
	}
}

// once makes visit n. r and answer are scratch.
func (v *visits) once(s *scene, n int, r, answer []byte) error {
	c, err := s.Cli.Dial(s.ctx, s.Origin(servicePort))
	if err != nil {
		return err
	}
	defer c.Close()
	v.mark(r, n)
	v.begun[n] = time.Now()
	if _, err := c.Write(r); err != nil {
		return err
	}
	_, err = io.ReadFull(c, answer)
	return err
}

// BenchmarkVisits measures what is used of the processor for each of 2000 new
// connections a second, with one request of 400 bytes.
func BenchmarkVisits(b *testing.B) {
	b.Run("2000 a second", func(b *testing.B) {
		besideFloor(b, func(b *testing.B, p subject) {
			measureVisits(b, newVisits(2000, 10_000, 400), p, func() {})
		})
	})
}

// measureVisits calls ready when p captures.
func measureVisits(b *testing.B, v *visits, p subject, ready func()) {
	s := stage(b, lab.Options{}, v.answer)
	s.play(b, v.check, p)
	ready()
	before := s.netmirror.cpu(b)
	v.pay(b, s)
	settled(func() bool { return v.whole.Load() == int64(v.count) }, v.whole.Load)
	used := s.netmirror.cpu(b) - before
	lost := v.count - int(v.whole.Load())
	figures := s.end(b, p, lost)
	if n := v.wrong.Load(); n > 0 && lost == 0 && !p.stranger {
		b.Errorf("%d streams were altered: %v", n, figures)
	}
	l := v.latencies()
	if len(l) == 0 {
		b.Fatalf("no request came: %v", figures)
	}
	b.ReportMetric(used.Seconds()/float64(v.count)*1e6, "cpu-us/conn")
	b.ReportMetric(float64(v.whole.Load())/float64(v.count)*100, "right-%")
	b.ReportMetric(l[len(l)*99/100].Seconds()*1e3, "p99-ms")
	if !p.stranger {
		b.ReportMetric(float64(figures["kernel_drops"]), "drops")
	}
}
