package e2e

import (
	"bytes"
	"fmt"
	"net"
	"slices"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"netmirror/e2e/lab"
)

// requests are keep-alive requests, all of one length, at an even pace and in
// turn on some connections. Request n is on connection n modulo conns.
type requests struct {
	conns, perSecond, count int
	form                    []byte // a request; its number is written to at
	at                      int

	begun []time.Time    // of each request, when the client wrote it
	came  []atomic.Int64 // of each, when it came to the shadow service, as time since start; 0: not yet
	start time.Time
	whole atomic.Int64 // requests that came
	wrong atomic.Int64 // pieces of a stream that are another's
}

const idDigits = 16

func newRequests(conns, perSecond, count int, method string, body int) *requests {
	q := &requests{
		conns: conns, perSecond: perSecond, count: count,
		begun: make([]time.Time, count), came: make([]atomic.Int64, count), start: time.Now(),
	}
	header := fmt.Sprintf("%s /%0*d HTTP/1.1\r\nHost: lab\r\n", method, idDigits, 0)
	if body > 0 {
		header += fmt.Sprintf("Content-Length: %d\r\n", body)
	}
	q.at = len(method) + len(" /")
	q.form = append([]byte(header), "\r\n"...)
	content := make([]byte, body)
	lab.Body(0).Read(content)
	q.form = append(q.form, content...)
	return q
}

// mark makes r, a copy of the form, request n.
func (q *requests) mark(r []byte, n int) {
	id := r[q.at : q.at+idDigits]
	for i := range id {
		id[len(id)-1-i] = byte('0' + n%10)
		n /= 10
	}
}

// number is undone mark. It is negative where there is no number.
func (q *requests) number(r []byte) int {
	n, err := strconv.Atoi(string(r[q.at : q.at+idDigits]))
	if err != nil || n >= q.count {
		return -1
	}
	return n
}

// answer is the origin: it answers each request, those that came together in one go.
func (q *requests) answer(c *lab.Conn, _ <-chan struct{}) {
	q.serve(c, func([]byte, time.Time) bool { return true })
}

// check is the shadow service: it answers, and knows what each request must be.
// Only the first of a connection may be any.
func (q *requests) check(c *lab.Conn, _ <-chan struct{}) {
	want, next := slices.Clone(q.form), -1
	q.serve(c, func(r []byte, now time.Time) bool {
		if next < 0 {
			next = q.number(r)
		}
		if next < 0 || next >= q.count {
			q.wrong.Add(1)
			return false
		}
		q.mark(want, next)
		if !bytes.Equal(r, want) || !q.came[next].CompareAndSwap(0, int64(now.Sub(q.start))) {
			q.wrong.Add(1)
			return false
		}
		q.whole.Add(1)
		next += q.conns
		return true
	})
}

// serve answers requests until one is not taken.
func (q *requests) serve(c *lab.Conn, take func(r []byte, now time.Time) bool) {
	size := len(q.form)
	buf := make([]byte, 64<<10)
	answers := bytes.Repeat([]byte(lab.Answer), len(buf)/size+1)
	for have := 0; ; {
		n, err := c.TCPConn.Read(buf[have:])
		if err != nil {
			return
		}
		now, done := time.Now(), 0
		for have += n; have-done >= size; done += size {
			if !take(buf[done:done+size], now) {
				return
			}
		}
		if done > 0 {
			// Where this fails, the bytes before the reset are still there to be read.
			_, _ = c.TCPConn.Write(answers[:done/size*len(lab.Answer)])
			have = copy(buf, buf[done:have])
		}
	}
}

// send makes the requests and returns when the origin has answered all.
func (q *requests) send(b testing.TB, s *scene) {
	b.Helper()
	conns := make([]*net.TCPConn, q.conns)
	for i := range conns {
		c, err := s.Cli.Dial(s.ctx, s.Origin(servicePort))
		if err != nil {
			b.Fatal(err)
		}
		defer c.Close()
		conns[i] = c
	}
	answered := discardAnswers(b, conns)
	r := slices.Clone(q.form)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	begin := time.Now()
	want := int64(q.count * len(lab.Answer))
	for n, ticks := 0, 0; n < q.count; ticks++ {
		<-tick.C
		due := min(q.count, int(time.Since(begin).Seconds()*float64(q.perSecond)))
		for ; n < due; n++ {
			q.mark(r, n)
			q.begun[n] = time.Now()
			if _, err := conns[n%q.conns].Write(r); err != nil {
				b.Fatal(err)
			}
		}
		if ticks%10 == 0 {
			answered()
		}
	}
	if !settled(func() bool { return answered() == want }, answered) {
		b.Fatalf("lab: %d of %d bytes of answers came", answered(), want)
	}
}

// discardAnswers returns a function that throws away what has come on conns and
// returns how many bytes that were in all. The connections do not wake
// anybody.
func discardAnswers(b testing.TB, conns []*net.TCPConn) func() int64 {
	b.Helper()
	raws := make([]syscall.RawConn, len(conns))
	for i, c := range conns {
		raw, err := c.SyscallConn()
		if err == nil {
			err = raw.Control(func(fd uintptr) {
				_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVLOWAT, 64<<10)
			})
		}
		if err != nil {
			b.Fatal(err)
		}
		raws[i] = raw
	}
	var total int64
	var scratch [64 << 10]byte
	take := func(fd uintptr) {
		if n, _, err := unix.Recvfrom(int(fd), scratch[:], unix.MSG_TRUNC|unix.MSG_DONTWAIT); err == nil {
			total += int64(n)
		}
	}
	return func() int64 {
		for _, raw := range raws {
			_ = raw.Control(take)
		}
		return total
	}
}

// latencies are how long each request that came took from the client's write,
// in ascending order.
func (q *requests) latencies() (all []time.Duration) {
	for i := range q.came {
		if at := q.came[i].Load(); at != 0 {
			all = append(all, q.start.Add(time.Duration(at)).Sub(q.begun[i]))
		}
	}
	slices.Sort(all)
	return all
}

// BenchmarkRequests measures what netmirror uses of the processor, and how long
// a request takes from the client's write, which the mirror copies, to the
// target. Beside it stands what a process uses that only counts the frames, and
// what a second worker makes of it, for which there is no need.
func BenchmarkRequests(b *testing.B) {
	for _, bb := range []struct {
		name string
		make func() *requests
	}{
		{"20000 GETs a second", func() *requests { return newRequests(16, 20_000, 100_000, "GET", 0) }},
		{"1000 POSTs a second", func() *requests { return newRequests(16, 1000, 5000, "POST", 2<<10) }},
		{"100 GETs a second", func() *requests { return newRequests(16, 100, 400, "GET", 0) }},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.Run("netmirror", func(b *testing.B) {
				for range b.N {
					measureRequests(b, bb.make(), "--workers", "1")
				}
			})
			b.Run("2 workers", func(b *testing.B) {
				for range b.N {
					measureRequests(b, bb.make(), "--workers", "2")
				}
			})
			b.Run("udp", func(b *testing.B) {
				for range b.N {
					measureRequests(b, bb.make(), "--workers", "1", "--capture", "udp")
				}
			})
			b.Run("reader", func(b *testing.B) {
				for range b.N {
					readRequests(b, bb.make())
				}
			})
		})
	}
}

func measureRequests(b *testing.B, q *requests, flags ...string) {
	s := stage(b, lab.Options{}, q.answer)
	s.play(b, q.check, flags...)
	before := s.netmirror.cpu(b)
	q.send(b, s)
	settled(func() bool { return q.whole.Load() == int64(q.count) }, q.whole.Load)
	used := s.netmirror.cpu(b) - before
	s.netmirror.stop(b)
	lost := q.count - int(q.whole.Load())
	figures := s.excused(b, lost)
	if n := q.wrong.Load(); n > 0 {
		b.Errorf("%d streams were altered: %v", n, figures)
	}
	l := q.latencies()
	if len(l) == 0 {
		b.Fatalf("no request came: %v", figures)
	}
	b.ReportMetric(used.Seconds(), "cpu-s")
	b.ReportMetric(l[len(l)/2].Seconds()*1e3, "p50-ms")
	b.ReportMetric(l[len(l)*99/100].Seconds()*1e3, "p99-ms")
	b.ReportMetric(float64(lost), "lost")
	b.ReportMetric(float64(figures["kernel_drops"]), "drops")
}

func readRequests(b *testing.B, q *requests) {
	s := stage(b, lab.Options{}, q.answer)
	s.readOnly(b)
	before := s.netmirror.cpu(b)
	q.send(b, s)
	b.ReportMetric((s.netmirror.cpu(b) - before).Seconds(), "cpu-s")
	s.readAll(b, q.count)
}
