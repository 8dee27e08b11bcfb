package e2e

import (
	"bytes"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"netmirror/e2e/lab"
)

// requests are all of one length, at an even pace and in turn on some
// connections. Request n is in turn n modulo conns.
type requests struct {
	form
	*journey
	conns, perSecond, count int
	each                    int // requests after which a connection is replaced; 0: it stays

	whole atomic.Int64 // requests that came
	wrong atomic.Int64 // pieces of a stream that are another's
}

func newRequests(conns, perSecond, count int, f form) *requests {
	return &requests{form: f, journey: newJourney(count), conns: conns, perSecond: perSecond, count: count}
}

// answer is the origin: it answers each request, those that came together in one go.
func (q *requests) answer(c *lab.Conn, _ <-chan struct{}) {
	q.serve(c, func([]byte, time.Time) bool { return true })
}

// check is the shadow service: it answers, and knows what each request must be.
// Only the first of a connection may be any.
func (q *requests) check(c *lab.Conn, _ <-chan struct{}) {
	want, next := slices.Clone(q.text), -1
	q.serve(c, func(r []byte, now time.Time) bool {
		if next < 0 {
			next = q.number(r, q.count)
		}
		if next < 0 || next >= q.count {
			q.wrong.Add(1)
			return false
		}
		q.mark(want, next)
		if !bytes.Equal(r, want) || !q.note(next, now) {
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
	size := len(q.text)
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
	k := &clients{b: b, s: s}
	for range q.conns {
		k.open = append(k.open, k.dial())
	}
	defer k.close()
	r := slices.Clone(q.text)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	begin := time.Now()
	want := int64(q.count * len(lab.Answer))
	for n, ticks := 0, 0; n < q.count; ticks++ {
		<-tick.C
		due := min(q.count, int(time.Since(begin).Seconds()*float64(q.perSecond)))
		for ; n < due; n++ {
			at := n % q.conns
			if turn := n / q.conns; q.each > 0 && turn > 0 && turn%q.each == 0 {
				k.replace(at)
			}
			q.mark(r, n)
			q.begun[n] = time.Now()
			if _, err := k.open[at].Write(r); err != nil {
				b.Fatal(err)
			}
		}
		if ticks%10 == 0 {
			k.answered()
		}
	}
	if !settled(func() bool { return k.answered() == want }, k.answered) {
		b.Fatalf("lab: %d of %d bytes of answers came", k.answered(), want)
	}
}

// BenchmarkRequests measures what netmirror uses of the processor, how long a
// request takes from the client's write, which the mirror copies, to the target, and
// how much memory there is beside the ring. Beside it stands what a second worker
// makes of it, for which there is no need.
func BenchmarkRequests(b *testing.B) {
	two, udp := netmirrorWith("2 workers", twoWorkers...), netmirrorWith("udp", overUDP...)
	for _, bb := range []struct {
		name string
		more []subject
		make func() *requests
	}{
		{"20000 GETs a second", []subject{two, udp}, func() *requests { return newRequests(16, 20_000, 50_000, newForm("GET", 0)) }},
		{"1000 POSTs a second", []subject{two, udp}, func() *requests { return newRequests(16, 1000, 5000, newForm("POST", 2<<10)) }},
		{"1000 POSTs a second, 5 a connection", nil, func() *requests {
			q := newRequests(16, 1000, 5000, newForm("POST", 2<<10))
			q.each = 5
			return q
		}},
		{"100 GETs a second", nil, func() *requests { return newRequests(16, 100, 400, newForm("GET", 0)) }},
	} {
		b.Run(bb.name, func(b *testing.B) {
			besideFloor(b, func(b *testing.B, p subject) { measureRequests(b, bb.make(), p) }, bb.more...)
		})
	}
}

func measureRequests(b *testing.B, q *requests, p subject) {
	s := stage(b, lab.Options{}, q.answer)
	s.play(b, q.check, p)
	before := s.netmirror.cpu(b)
	q.send(b, s)
	settled(func() bool { return q.whole.Load() == int64(q.count) }, q.whole.Load)
	used, resident := s.netmirror.cpu(b)-before, s.netmirror.memory(b)
	lost := q.count - int(q.whole.Load())
	figures := s.end(b, p, lost)
	if n := q.wrong.Load(); n > 0 && !p.stranger {
		b.Errorf("%d streams were altered: %v", n, figures)
	}
	l := q.latencies()
	if len(l) == 0 {
		b.Fatalf("no request came: %v", figures)
	}
	b.ReportMetric(used.Seconds()*1e6/float64(q.count), "cpu-us/req")
	b.ReportMetric(l[len(l)/2].Seconds()*1e3, "p50-ms")
	b.ReportMetric(l[len(l)*99/100].Seconds()*1e3, "p99-ms")
	b.ReportMetric(float64(lost), "lost")
	if !p.stranger {
		b.ReportMetric(float64(figures["kernel_drops"]), "drops")
	}
	if p.name == "netmirror" {
		b.ReportMetric(float64(resident-ringBytes)/(1<<20), "rss-MiB")
	}
}

const ringBytes = 64 << 20 // netmirror's ring by default, all of which is resident
