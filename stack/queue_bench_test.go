package stack

import (
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
	"time"

	"gvisor.dev/gvisor/pkg/refs"
)

// outOfOrder are orders in which n segments come that lie behind a hole.
var outOfOrder = []struct {
	name  string
	order func(n int) []int
}{
	{"random", rand.New(rand.NewPCG(1, 2)).Perm},
	{"reverse", func(n int) []int {
		order := make([]int, n)
		for i := range order {
			order[i] = n - 1 - i
		}
		return order
	}},
}

// BenchmarkOutOfOrder is for what one-byte segments cost while up to so many of
// them wait behind a hole: the cost of each must not depend on how many.
func BenchmarkOutOfOrder(b *testing.B) {
	for _, o := range outOfOrder {
		for _, n := range []int{1000, 10_000, 100_000} {
			order := o.order(n)
			b.Run(fmt.Sprintf("queue/%s/%d", o.name, n), func(b *testing.B) { benchmarkQueue(b, order) })
			b.Run(fmt.Sprintf("inject/%s/%d", o.name, n), func(b *testing.B) { benchmarkInject(b, order) })
		}
	}
}

// benchmarkQueue stores every segment twice.
func benchmarkQueue(b *testing.B, order []int) {
	var q sendQueue
	b.ReportAllocs()
	for i := 0; i < b.N; i++ {
		if i%len(order) == 0 {
			b.StopTimer()
			q.drop(q.len())
			b.StartTimer()
		}
		seq := uint32(order[i%len(order)])
		for range 2 {
			if before, from, to, ok := q.lacks(seq, seq+1); ok {
				q.insert(before, entry{seq: from, n: to - from})
			}
		}
	}
}

func benchmarkInject(b *testing.B, order []int) {
	c := newClient(b, 0)
	m := offloaded(c.data(0, []byte{'x'}))[0]
	batch := make([]Segment, 64)
	for i := range batch {
		batch[i] = m
		batch[i].IP = append([]byte(nil), m.IP...)
	}
	refs.SetLeakMode(refs.NoLeakChecking) // its book of all objects is slow
	defer refs.SetLeakMode(refs.LeaksPanic)
	b.ReportAllocs()
	b.StopTimer()
	for done := 0; done < b.N; {
		s := benchmarkHole(b, c)
		todo := order[:min(len(order), b.N-done)]
		done += len(todo)
		b.StartTimer()
		for len(todo) > 0 {
			n := min(len(batch), len(todo))
			for i, off := range todo[:n] {
				binary.BigEndian.PutUint32(batch[i].IP[24:], 2+uint32(off))
			}
			s.Inject(batch[:n])
			todo = todo[n:]
		}
		b.StopTimer()
		if st := s.Stats(); st.Held == 0 || st.Flows != 1 {
			b.Fatalf("%+v", st)
		}
		s.Close()
	}
}

// benchmarkHole is a stack with one connection, which is never given up, and
// whose first byte is missing.
func benchmarkHole(b *testing.B, c *client) *Stack {
	s, err := New(Config{
		FlowBytes: 1 << 30, TotalBytes: 4 << 30,
		MaxPending: 1 << 30, Grace: time.Hour, GapTimeout: time.Hour,
	})
	if err != nil {
		b.Fatal(err)
	}
	s.Inject(offloaded(c.opening()...))
	conn, err := s.Accept()
	if err != nil {
		b.Fatal(err)
	}
	go io.Copy(io.Discard, onlyReader{conn.(*Conn)})
	return s
}
