package stack

import (
	"encoding/binary"
	"fmt"
	"io"
	"net/netip"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/refs"

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

// BenchmarkConnections is clients that connect, send a request of 400 bytes and close,
// 40 in a batch, whose streams one goroutine reads as the bridge does. b.N counts
// connections.
func BenchmarkConnections(b *testing.B) {
	refs.SetLeakMode(refs.NoLeakChecking)
	defer refs.SetLeakMode(refs.LeaksPanic)
	s, err := New(Config{Checksums: ChecksumsNever})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	const each = 40
	var batch []Segment
	for c := newClient(b, 0); len(batch) < 4*each; {
		batch = append(batch, append(c.opening(), c.data(0, pattern(400)), c.fin(400))...)
	}
	r := newBenchReader(s)
	b.ReportAllocs()
	b.ResetTimer()
	before := cpuTime(b)
	for n := 0; n < b.N; n += each {
		ports := batch[:4*min(each, b.N-n)]
		for i := range ports {
			setClient(&ports[i], n+i/4)
		}
		s.Inject(ports)
		r.read(len(ports) / 4)
	}
	b.ReportMetric(float64(cpuTime(b)-before)/float64(b.N), "cpu-ns/op")
	b.ReportMetric(float64(s.ns.Counts().Segments)/float64(b.N), "segments/op")
	if st := s.Stats(); st.BytesRead != uint64(b.N*400) {
		b.Errorf("%d of %d bytes came: %+v", st.BytesRead, b.N*400, st)
	}
}

// setClient makes a segment the n-th client's. Its checksum is then wrong.
func setClient(m *Segment, n int) {
	binary.BigEndian.PutUint32(m.IP[12:], 0xc6120000+uint32(n/50_000)) // for benchmarks (RFC 2544)
	binary.BigEndian.PutUint16(m.IP[20:], uint16(1024+n%50_000))
}

func cpuTime(b *testing.B) int64 {
	var used unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return used.Utime.Nano() + used.Stime.Nano()
}

// benchReader reads streams to their end, each when it may have something.
type benchReader struct {
	s     *Stack
	ready chan *Conn // nil: a stream to accept
	buf   [4096]byte
}

func newBenchReader(s *Stack) *benchReader {
	r := &benchReader{s: s, ready: make(chan *Conn, 1<<16)}
	s.OnStream(func() { r.ready <- nil })
	return r
}

// read returns when so many streams have ended.
func (r *benchReader) read(streams int) {
	for streams > 0 {
		c := <-r.ready
		if c == nil {
			for in, _ := r.s.TryAccept(); in != nil; in, _ = r.s.TryAccept() {
				in.OnReadable(func() { r.ready <- in.(*Conn) })
				r.ready <- in.(*Conn)
			}
			continue
		}
		n, err := c.TryRead(r.buf[:])
		for n > 0 {
			n, err = c.TryRead(r.buf[:])
		}
		if err == io.EOF {
			c.CloseWith(outcome.EndComplete)
			streams--
		}
	}
}
