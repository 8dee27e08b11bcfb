package udp

import (
	"testing"

	"netmirror/wire"
)

// BenchmarkNext is the reader's cost of a datagram that waits in the buffer. It adds up
// the bytes, as whoever reads the packets has them in the cache.
func BenchmarkNext(b *testing.B) {
	r := open(b, Config{}, 1)[0]
	c := sender(b, r, to4)
	data := payload(1450, 1)
	var sum byte
	b.SetBytes(int64(len(data)))
	b.ResetTimer()
	for done := 0; done < b.N; {
		b.StopTimer()
		n := min(2000, b.N-done)
		for range n {
			send(b, c, data)
		}
		b.StartTimer()
		for got := 0; got < n; {
			frames, err := r.Next()
			must(b, err)
			for _, f := range frames {
				for i := 0; i < len(f); i += 64 {
					sum += f[i]
				}
			}
			got += len(frames)
		}
		done += n
	}
}

func TestNextDoesNotAllocate(t *testing.T) {
	for _, ports := range [][]uint16{{freePort(t)}, {freePort(t), freePort(t)}} {
		r := open(t, Config{Mirror: wire.Mirror{Ports: ports}}, 1)[0]
		c := sender(t, r, to4)
		data := payload(100, 1)
		if n := testing.AllocsPerRun(200, func() {
			send(t, c, data)
			_, err := r.Next()
			must(t, err)
		}); n != 0 {
			t.Errorf("%d ports: %v allocations", len(ports), n)
		}
	}
}
