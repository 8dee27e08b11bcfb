package stack

import (
	"encoding/binary"
	"fmt"
	"io"
	"net/netip"
	"runtime"
	"testing"

	"netmirror/outcome"
)

// benchmarkBulk injects 1460-byte segments of n flows in turn, in batches of
// 64, while every stream is read. b.N counts segments.
func benchmarkBulk(b *testing.B, flows int) {
	s, err := New(Config{FlowBytes: 64 << 20})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	c := newClient(b, 0)
	payload := pattern(1460)
	segs := make([]Segment, flows)
	for i := range segs {
		c.src = netip.AddrPortFrom(c.src.Addr(), uint16(1000+i))
		s.Inject(offloaded(c.opening()...))
		conn, err := s.Accept()
		if err != nil {
			b.Fatal(err)
		}
		go io.Copy(io.Discard, onlyReader{conn.(*Conn)})
		segs[i] = offloaded(c.data(0, payload))[0]
	}
	seqs := make([]uint32, flows)
	batch := make([]Segment, 0, 64)
	b.SetBytes(int64(len(payload)))
	b.ReportAllocs()
	b.ResetTimer()
	for sent := 0; sent < b.N; {
		batch = batch[:0]
		for len(batch) < min(64, b.N-sent) {
			i := (sent + len(batch)) % flows
			m := segs[i]
			m.IP = append([]byte(nil), m.IP...)
			binary.BigEndian.PutUint32(m.IP[24:], 1+seqs[i])
			seqs[i] += uint32(len(payload))
			batch = append(batch, m)
		}
		for s.heldBytes() > 2<<20 {
			runtime.Gosched()
		}
		s.Inject(batch)
		sent += len(batch)
	}
	for s.bytesRead.Load() < uint64(b.N*len(payload)) {
		runtime.Gosched()
		if st := s.Stats(); st.Flows < flows || st.Dropped[outcome.DropBadChecksum] > 0 {
			b.Fatalf("%+v", st)
		}
	}
}

// heldBytes is what the budget for all flows is charged with.
func (s *Stack) heldBytes() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.held
}

type onlyReader struct{ io.Reader }

func BenchmarkBulk(b *testing.B) {
	for _, flows := range []int{1, 8, 100} {
		b.Run(fmt.Sprintf("flows=%d", flows), func(b *testing.B) { benchmarkBulk(b, flows) })
	}
}
