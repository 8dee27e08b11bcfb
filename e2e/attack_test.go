package e2e

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"netmirror/e2e/lab"
)

const (
	attackSeconds = 10
	afterSeconds  = 3
	honestRate    = 50 // connections a second, each with two requests
	honestSize    = 2000
	honestPause   = 100 * time.Millisecond // between the two
)

// Packets that belong to no connection, or to one that never goes on, must not
// take the room of those that do.
func TestAttacksLeaveRoom(t *testing.T) {
	t.Parallel()
	const totalMiB, ringMiB = 256, 64
	stray := []byte("GET /stray HTTP/1.1\r\nHost: lab\r\n\r\n")
	for _, tt := range []struct {
		name string
		rate int // packets or attempts a second
		send func(c *crafted, n uint32)
	}{
		{"requests without a SYN from many hosts", 4000, func(c *crafted, _ uint32) { c.send(stray, rightSum) }},
		{"requests without a SYN from one host", 4000, func(c *crafted, n uint32) {
			c.src = netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 19, 7, 7}), uint16(1024+n%60_000))
			c.send(stray, rightSum)
		}},
		{"a SYN and one byte from many hosts", 2000, func(c *crafted, _ uint32) {
			c.syn()
			c.send([]byte("G"), rightSum)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := honest{whole: make(map[uint64]int)}
			s := set(t, lab.Options{}, h.serve, "--max-flows", "10000", "--shutdown-timeout", "1s",
				"--total-mib", fmt.Sprint(totalMiB), "--ring-mib", fmt.Sprint(ringMiB))
			g, ctx := errgroup.WithContext(s.ctx)
			g.Go(func() error { return h.load(ctx, s.client) })
			s.attack(t, tt.rate, tt.send)
			if err := g.Wait(); err != nil {
				t.Errorf("lab: %v", err)
			}
			h.check(s.ctx, t)
			if peak := s.netmirror.peakMemory(t); peak > (totalMiB+ringMiB)<<20 {
				t.Errorf("netmirror took %d MiB, more than its budgets", peak>>20)
			}
			s.netmirror.stop(t)
			s.checkBooks(t)
		})
	}
}

// attack sends crafted clients' packets to the mirror's receiver.
func (s *scene) attack(t *testing.T, rate int, send func(c *crafted, n uint32)) {
	t.Helper()
	const perSecond = 200 // batches
	conn, pace := s.dialTap(t), lab.PerSecond(perSecond)
	for n := range uint32(attackSeconds * rate) {
		if n%uint32(rate/perSecond) == 0 {
			if err := pace.Await(s.ctx, int(n)/(rate/perSecond)); err != nil {
				t.Fatal(err)
			}
		}
		send(craftOn(t, conn, s.Origin(servicePort), n), n)
	}
}

// honest is what became of the requests of clients that did nothing wrong.
type honest struct {
	mu      sync.Mutex // guards the fields below
	whole   map[uint64]int
	altered int
}

// load makes connections until some seconds after the attack.
func (h *honest) load(ctx context.Context, c lab.Client) error {
	pace := lab.PerSecond(honestRate)
	return lab.Each(ctx, honestRate*(attackSeconds+afterSeconds), honestRate, func(ctx context.Context, i int) error {
		if err := pace.Await(ctx, i); err != nil {
			return err
		}
		return c.With(ctx, func(s *lab.Stream) error {
			if err := s.Post(uint64(2*i), honestSize); err != nil {
				return err
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(honestPause): // a client thinks
			}
			return s.Post(uint64(2*i+1), honestSize)
		})
	})
}

// serve is the target's handler.
func (h *honest) serve(c *lab.Conn, _ <-chan struct{}) {
	r := bufio.NewReader(struct{ io.Reader }{c})
	for {
		q, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		got, err := io.ReadAll(q.Body)
		if err != nil {
			return
		}
		var id uint64
		if _, err := fmt.Sscanf(q.RequestURI, "/%d", &id); err == nil {
			h.take(id, bytes.Equal(got, body(id, honestSize)))
		}
		if _, err := io.WriteString(c, lab.Answer); err != nil {
			return
		}
	}
}

func (h *honest) take(id uint64, right bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.whole[id]++
	if !right {
		h.altered++
	}
}

// came returns how many of the requests from first to behind came once, and
// whether any was altered or came again.
func (h *honest) came(first, behind uint64) (once int, wrong bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for id := first; id < behind; id++ {
		if h.whole[id] == 1 {
			once++
		}
		wrong = wrong || h.whole[id] > 1
	}
	return once, wrong || h.altered > 0
}

// check checks that 99 % of the requests arrived, during the attack and after it.
func (h *honest) check(ctx context.Context, t *testing.T) {
	t.Helper()
	const during, all = 2 * honestRate * attackSeconds, 2 * honestRate * (attackSeconds + afterSeconds)
	// The last ones may be on their way.
	soon, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	for once, _ := h.came(0, all); once < all && soon.Err() == nil; once, _ = h.came(0, all) {
		time.Sleep(10 * time.Millisecond)
	}
	for _, part := range []struct {
		name          string
		first, behind uint64
	}{{"during", 0, during}, {"after", during, all}} {
		once, wrong := h.came(part.first, part.behind)
		n := int(part.behind - part.first)
		t.Logf("%s the attack, %d of %d honest requests arrived", part.name, once, n)
		if once*100 < n*99 {
			t.Errorf("%s the attack, %d of %d honest requests arrived, want 99 %%", part.name, once, n)
		}
		if wrong {
			t.Errorf("%s the attack, requests were altered or came twice", part.name)
		}
	}
}
