package stack

import (
	"bytes"
	"math/rand/v2"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/gopacket/layers"
)

// mangled is a connection as a bad mirror shows it: cut at random places, some
// segments again with other boundaries, some twice, some late, and, where
// lossy, some not at all.
func mangled(r *rand.Rand, c *client, b []byte, lossy bool) (segs []Segment, lost bool) {
	segs = c.opening()
	for off := 0; off < len(b); {
		n := min(1+r.IntN(3000), len(b)-off)
		segs = append(segs, c.data(off, b[off:off+n]))
		if r.IntN(10) == 0 {
			from := max(0, off-r.IntN(4000))
			segs = append(segs, c.data(from, b[from:min(len(b), from+1+r.IntN(5000))]))
		}
		off += n
	}
	if r.IntN(2) == 0 {
		segs = append(segs, c.fin(len(b)))
	} else {
		from := len(b) - min(len(b), r.IntN(1000))
		segs = append(segs, c.packet(from, b[from:], func(t *layers.TCP) { t.FIN = true }))
	}
	for i := range segs {
		switch {
		case r.IntN(20) == 0:
			segs = append(segs, segs[i])
		case r.IntN(20) == 0:
			j := min(len(segs)-1, i+r.IntN(60))
			segs[i], segs[j] = segs[j], segs[i]
		case lossy && r.IntN(60) == 0 && i > 1:
			if segs[i].IP[33]&1 != 0 {
				continue // a lost FIN would leave the stream open
			}
			segs[i] = c.ack(0) // in place of what is lost
			lost = true
		}
	}
	return segs, lost
}

// TestMangledStreams is the promise itself: a stream reads as what its client
// sent, from the first byte on, and ends in EOF only where the client's FIN
// was. Without loss, it always gets there.
func TestMangledStreams(t *testing.T) {
	const cases = 150
	seed := uint64(time.Now().UnixNano())
	r := rand.New(rand.NewPCG(seed, 0))
	// Time stands still until everything was injected, however long that takes.
	epoch := time.Now()
	var running atomic.Pointer[time.Time]
	s := newTestStack(t, func(c *Config) {
		c.GapTimeout = 300 * time.Millisecond
		c.Now = func() time.Time {
			if since := running.Load(); since != nil {
				return epoch.Add(time.Since(*since))
			}
			return epoch
		}
	})
	type sent struct {
		bytes []byte
		lost  bool
	}
	clients := map[string]sent{}
	var turn [][]Segment
	for i := range uint16(cases) {
		c := newClient(t, r.Uint32())
		c.src = netip.AddrPortFrom(c.src.Addr(), 1000+i)
		b := pattern(1 + r.IntN(200_000))
		segs, lost := mangled(r, c, b, i%2 == 0)
		clients[c.src.String()] = sent{b, lost}
		turn = append(turn, segs)
	}
	// One after the other in turns, so that batches hold segments of many.
	for len(turn) > 0 {
		i := r.IntN(len(turn))
		n := min(len(turn[i]), 1+r.IntN(50))
		s.Inject(turn[i][:n])
		if turn[i] = turn[i][n:]; len(turn[i]) == 0 {
			turn = append(turn[:i], turn[i+1:]...)
		}
	}
	start := time.Now()
	running.Store(&start)
	for range cases {
		conn := accept(t, s)
		from := conn.RemoteAddr().String()
		got, err := readAll(t, conn)
		want := clients[from]
		switch {
		case !bytes.HasPrefix(want.bytes, got):
			t.Errorf("seed %d, client %s: %d bytes are not what it sent", seed, from, len(got))
		case err == nil && len(got) != len(want.bytes):
			t.Errorf("seed %d, client %s: EOF after %d of %d bytes", seed, from, len(got), len(want.bytes))
		case err != nil && !want.lost:
			t.Errorf("seed %d, client %s: %v after %d of %d bytes, though nothing was lost", seed, from, err, len(got), len(want.bytes))
		}
	}
}
