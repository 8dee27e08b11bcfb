package e2e

import (
	"slices"
	"sync"
	"testing"
	"time"

	"netmirror/e2e/lab"
)

// arrivals are the times at which requests came.
type arrivals struct {
	mu sync.Mutex // guards at
	at map[uint64]time.Time
}

func (a *arrivals) note(id uint64) {
	now := time.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.at[id] = now
}

// latencies returns how long each request took from the client's write, which
// the mirror copies, to the target, in ascending order.
func (a *arrivals) latencies(b *testing.B, log requestLog) (all []time.Duration) {
	b.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, q := range log.all() {
		at, ok := a.at[q.id]
		if !ok {
			b.Errorf("request %d/%d did not arrive", q.id>>32, uint32(q.id))
			continue
		}
		all = append(all, at.Sub(q.begun))
	}
	slices.Sort(all)
	return all
}

// BenchmarkSlowNeighbors measures how long the requests of one connection, 500 a
// second, take to a target that reads them at once, alone and beside many
// connections that it does not read. An iteration takes some 11 seconds.
func BenchmarkSlowNeighbors(b *testing.B) {
	for _, bb := range []struct {
		name  string
		serve lab.Handler
	}{
		{"never read", lab.NeverRead},
		{"read at 10 KB/s", lab.ReadSlowly(10_000)},
	} {
		b.Run(bb.name, func(b *testing.B) {
			for range b.N {
				measureNeighbors(b, bb.serve)
			}
		})
	}
}

func measureNeighbors(b *testing.B, slow lab.Handler) {
	const size, seconds, neighbors = 4 << 10, 5, 100
	w := newWard(size, slow)
	came := arrivals{at: make(map[uint64]time.Time)}
	w.arrived = came.note
	s := set(b, lab.Options{}, w.serve)
	measure := func(conn uint64) (p50, p99 time.Duration) {
		b.Helper()
		log, err := busy{conns: 1, perSecond: 500, first: conn, size: size}.forSeconds(s.ctx, s.client, seconds)
		if err != nil {
			b.Fatalf("lab: %v", err)
		}
		last := log.all()[seconds*500-1].id
		if err := w.await(s.ctx, func(came map[uint64]int) bool { return came[last] > 0 }); err != nil {
			b.Fatal(err)
		}
		l := came.latencies(b, log)
		return l[len(l)/2], l[len(l)*99/100]
	}
	alone50, alone99 := measure(0)
	stop := startBusy(b, s, busy{conns: neighbors, perSecond: 20 * neighbors, first: sickFirst, size: size})
	if err := s.shadow.WaitAccepted(s.ctx, 1+1+neighbors); err != nil {
		b.Fatal(err)
	}
	beside50, beside99 := measure(1)
	stop()
	for _, m := range []struct {
		value float64
		unit  string
	}{
		{alone50.Seconds() * 1e3, "alone-p50-ms"}, {alone99.Seconds() * 1e3, "alone-p99-ms"},
		{beside50.Seconds() * 1e3, "beside-p50-ms"}, {beside99.Seconds() * 1e3, "beside-p99-ms"},
		{beside50.Seconds() / alone50.Seconds(), "p50-ratio"}, {beside99.Seconds() / alone99.Seconds(), "p99-ratio"},
	} {
		b.ReportMetric(m.value, m.unit)
	}
	w.cure()
	s.shadow.Close()
}
