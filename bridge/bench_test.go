package bridge

import (
	"context"
	"io"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"netmirror/outcome"
	"netmirror/target/targettest"
)

// zeros is an accepted stream that holds left bytes and then a FIN; a TryRead returns
// at most piece of them, if that is set.
type zeros struct {
	left, piece int
	done        chan outcome.End
}

func (z *zeros) TryRead(p []byte) (int, error) {
	if z.left == 0 {
		return 0, io.EOF
	}
	n := min(len(p), z.left)
	if z.piece > 0 {
		n = min(n, z.piece)
	}
	z.left -= n
	return n, nil
}

// reading is an io.Reader of zeros.
type reading struct{ *zeros }

func (r reading) Read(p []byte) (int, error) { return r.TryRead(p) }

func (z *zeros) OnReadable(func()) {}
func (z *zeros) TryPass(p []byte, _ outcome.Taker) (taken, n int, err error) {
	n, err = z.TryRead(p)
	return 0, n, err
}
func (z *zeros) Unread(p []byte)         { z.left += len(p) }
func (z *zeros) Split()                  {}
func (z *zeros) CloseWith(e outcome.End) { z.done <- e }
func (z *zeros) LocalAddr() net.Addr     { return &net.TCPAddr{} }
func (z *zeros) RemoteAddr() net.Addr    { return &net.TCPAddr{} }

// sink serves a listener that reads everything and holds no buffer while idle.
func sink(b *testing.B) net.Listener {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	targettest.Serve(b, ln, func(c net.Conn) { swallow(c.(*net.TCPConn)) })
	return ln
}

var buffers = sync.Pool{New: func() any { return new([bufferSize]byte) }}

func swallow(c *net.TCPConn) {
	raw, err := c.SyscallConn()
	for n := 1; err == nil && n > 0; {
		err = raw.Read(func(fd uintptr) bool {
			buf := buffers.Get().(*[bufferSize]byte)
			defer buffers.Put(buf)
			var rerr error
			n, rerr = unix.Read(int(fd), buf[:])
			return rerr != unix.EAGAIN
		})
	}
}

func serveBench(b *testing.B, c Config) (*Bridge, *queue) {
	br, err := New(c)
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ln, done := newQueue(), make(chan error, 1)
	go func() { done <- br.Serve(ctx, ln) }()
	b.Cleanup(func() { cancel(); <-done })
	return br, ln
}

const benchBytes = 64 << 20

// benchStreams plays long streams, one after the other.
func benchStreams(b *testing.B, c Config) {
	_, ln := serveBench(b, c)
	b.SetBytes(benchBytes)
	for b.Loop() {
		z := &zeros{left: benchBytes, done: make(chan outcome.End, 1)}
		ln.conns <- z
		if o := <-z.done; o != outcome.EndComplete {
			b.Fatal(o)
		}
	}
}

func BenchmarkOneStream(b *testing.B) {
	b.Run("bridge", func(b *testing.B) { benchStreams(b, Config{Target: sink(b).Addr().String()}) })
	b.Run("io.Copy", func(b *testing.B) {
		ln := sink(b)
		buf := make([]byte, bufferSize)
		b.SetBytes(benchBytes)
		for b.Loop() {
			c, err := net.Dial("tcp", ln.Addr().String())
			if err != nil {
				b.Fatal(err)
			}
			answered := make(chan error)
			go func() {
				_, err := io.Copy(io.Discard, c)
				answered <- err
			}()
			io.CopyBuffer(struct{ io.Writer }{c}, reading{&zeros{left: benchBytes}}, buf)
			c.(*net.TCPConn).CloseWrite()
			<-answered
			c.Close()
		}
	})
}

// BenchmarkSmallRequests reports the cost of one of many requests on a stream.
func BenchmarkSmallRequests(b *testing.B) {
	_, ln := serveBench(b, Config{Target: sink(b).Addr().String()})
	z := &zeros{left: 400 * max(b.N, 1), piece: 400, done: make(chan outcome.End, 1)}
	b.ReportAllocs()
	b.SetBytes(400)
	b.ResetTimer()
	ln.conns <- z
	if o := <-z.done; o != outcome.EndComplete {
		b.Fatal(o)
	}
}

func BenchmarkShortStreams(b *testing.B) {
	_, ln := serveBench(b, Config{Target: sink(b).Addr().String()})
	done := make(chan outcome.End, 1)
	b.ReportAllocs()
	for b.Loop() {
		ln.conns <- &zeros{left: 400, done: done}
		if o := <-done; o != outcome.EndComplete {
			b.Fatal(o)
		}
	}
}

// BenchmarkIdleStreams reports what an idle stream holds in this process, its
// half of the benchmark's own target included.
func BenchmarkIdleStreams(b *testing.B) {
	const n = 500
	br, ln := serveBench(b, Config{Target: sink(b).Addr().String()})
	for b.Loop() {
		before := memory()
		all := make([]*script, n)
		for i := range all {
			all[i] = newScript()
			all[i].send([]byte("hello"))
			ln.conns <- all[i]
		}
		for br.Stats().BytesWritten < br.Stats().Streams*5 {
			time.Sleep(time.Millisecond)
		}
		heap, stack := memory().sub(before)
		b.ReportMetric(float64(heap)/n, "heapB/stream")
		b.ReportMetric(float64(stack)/n, "stackB/stream")
		for _, s := range all {
			s.end(io.EOF)
			<-s.ended
		}
	}
}

type usage struct{ heap, stack int64 }

func memory() usage {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return usage{int64(m.HeapAlloc), int64(m.StackInuse)}
}

func (u usage) sub(v usage) (heap, stack int64) { return u.heap - v.heap, u.stack - v.stack }
