package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"netmirror/e2e/lab"
)

// visits are connections of one request each, begun at an even pace.
type visits struct {
	perSecond, count int
	form             []byte // the request, all the same
	whole            atomic.Int64
	wrong            atomic.Int64
}

func newVisits(perSecond, count, size int) *visits {
	head := "POST /visit HTTP/1.1\r\nHost: lab\r\nContent-Length: %d\r\n\r\n"
	body := size - len(fmt.Sprintf(head, size))
	form := fmt.Sprintf(head, body) + strings.Repeat("x", body)
	return &visits{perSecond: perSecond, count: count, form: []byte(form)}
}

// answer is the origin: it answers the request and waits for the client's end.
func (v *visits) answer(c *lab.Conn, _ <-chan struct{}) {
	v.serve(c)
}

// check is the shadow service: it answers, and counts what came right.
func (v *visits) check(c *lab.Conn, _ <-chan struct{}) {
	if v.serve(c) {
		v.whole.Add(1)
	} else {
		v.wrong.Add(1)
	}
}

func (v *visits) serve(c *lab.Conn) bool {
	buf := make([]byte, len(v.form)+1)
	if _, err := io.ReadFull(c.TCPConn, buf[:len(v.form)]); err != nil || !bytes.HasPrefix(buf, v.form) {
		return false
	}
	if _, err := c.TCPConn.Write([]byte(lab.Answer)); err != nil {
		return false
	}
	n, err := c.TCPConn.Read(buf)
	return n == 0 && errors.Is(err, io.EOF)
}

// pay makes the connections and returns when the origin has answered all.
func (v *visits) pay(b *testing.B, s *scene) {
	b.Helper()
	work := make(chan struct{}, v.count)
	var clients sync.WaitGroup
	var failed atomic.Int64
	for range 32 {
		clients.Go(func() {
			answer := make([]byte, len(lab.Answer))
			for range work {
				if err := v.once(s, answer); err != nil {
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
			work <- struct{}{}
		}
	}
	close(work)
	clients.Wait()
	if n := failed.Load(); n > 0 {
		b.Fatalf("lab: %d connections failed", n)
	}
}

func (v *visits) once(s *scene, answer []byte) error {
	c, err := s.Cli.Dial(s.ctx, s.Origin(servicePort))
	if err != nil {
		return err
	}
	defer func(c *net.TCPConn) { c.Close() }(c)
	if _, err := c.Write(v.form); err != nil {
		return err
	}
	_, err = io.ReadFull(c, answer)
	return err
}

// BenchmarkVisits measures what netmirror uses of the processor for each of
// 2000 new connections a second, with one request of 400 bytes.
func BenchmarkVisits(b *testing.B) {
	for range b.N {
		v := newVisits(2000, 10_000, 400)
		s := stage(b, lab.Options{}, v.answer)
		s.play(b, v.check, "--workers", "1")
		before := s.netmirror.cpu(b)
		v.pay(b, s)
		settled(func() bool { return v.whole.Load() == int64(v.count) }, v.whole.Load)
		used := s.netmirror.cpu(b) - before
		s.netmirror.stop(b)
		lost := v.count - int(v.whole.Load())
		figures := s.excused(b, lost)
		if n := v.wrong.Load(); n > 0 && lost == 0 {
			b.Errorf("%d streams were altered: %v", n, figures)
		}
		b.ReportMetric(used.Seconds()/float64(v.count)*1e6, "cpu-us/conn")
		b.ReportMetric(float64(lost), "lost")
		b.ReportMetric(float64(figures["kernel_drops"]), "drops")
	}
}
