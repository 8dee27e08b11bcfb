package e2e

import (
	"bufio"
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"netmirror/e2e/lab"
)

// The connections of healthy clients come first, those of clients whose share
// of the target is sick behind them.
const (
	healthyConns = 8
	sickFirst    = 100 // number of the first sick connection
	sickConns    = 4
	sickSize     = 16 << 10 // bytes of every request
)

func isSick(id uint64) bool { return id>>32 >= sickFirst }

// ward is a shadow service of which the part that serves some clients falls
// sick, and is replaced by a good one at last.
type ward struct {
	verifier
	sickness lab.Handler // nil: it is not the service that is sick
	cured    atomic.Bool
	dead     chan struct{} // closed when the sick part has died
	die      sync.Once
	gentle   atomic.Bool // the sick connections' clients send no faster than is served
	served   served
}

func newWard(size int64, sickness lab.Handler) *ward {
	w := &ward{verifier: verifier{size: size}, sickness: sickness, dead: make(chan struct{}), served: newServed()}
	w.arrived = w.served.note
	return w
}

// admit keeps a client from sending faster than its requests are served: a
// stall of a busy machine is no sickness, and must not fill the small budget of
// a healthy connection. A sick connection fills it until the ward is gentle.
func (w *ward) admit(ctx context.Context, id uint64) error {
	if isSick(id) && !w.gentle.Load() {
		return nil
	}
	return w.served.await(ctx, id)
}

// served is how far each connection's requests have been served.
type served struct {
	mu      sync.Mutex        // guards the fields below
	next    map[uint64]uint32 // by connection: the place behind the last one that came whole
	paced   map[uint64]uint32 // by connection: the place of the first one that await was called for
	changed chan struct{}     // closed, and replaced, with each request
}

func newServed() served {
	return served{next: make(map[uint64]uint32), paced: make(map[uint64]uint32), changed: make(chan struct{})}
}

func (s *served) note(id uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next[id>>32] = max(s.next[id>>32], uint32(id)+1)
	close(s.changed)
	s.changed = make(chan struct{})
}

// await returns when all but a few of the requests before id on its connection
// have come. Those that never will are waited for only for a moment.
func (s *served) await(ctx context.Context, id uint64) error {
	const few = 4 // 64 KiB
	s.mu.Lock()
	if _, ok := s.paced[id>>32]; !ok {
		s.paced[id>>32] = uint32(id)
	}
	s.mu.Unlock()
	lost := time.After(250 * time.Millisecond)
	for {
		s.mu.Lock()
		next, changed := s.next[id>>32], s.changed
		s.mu.Unlock()
		if uint32(id) < next+few {
			return nil
		}
		select {
		case <-changed:
		case <-lost:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// awaitPaced returns when of each of the n connections from the first on a
// request has come that was made at the pace of await.
func (s *served) awaitPaced(ctx context.Context, first, n uint64) error {
	for {
		behind := 0
		s.mu.Lock()
		for conn := first; conn < first+n; conn++ {
			if from, ok := s.paced[conn]; !ok || s.next[conn] <= from {
				behind++
			}
		}
		changed := s.changed
		s.mu.Unlock()
		if behind == 0 {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("%d of %d connections are not served at the pace of their clients: %w", behind, n, ctx.Err())
		}
	}
}

// cure lets the sick part die, with all its connections.
func (w *ward) cure() {
	w.cured.Store(true)
	w.die.Do(func() { close(w.dead) })
}

func (w *ward) serve(c *lab.Conn, done <-chan struct{}) {
	if w.sickness == nil {
		w.verifier.serve(c, done)
		return
	}
	r := reader(c)
	var id uint64
	line, _ := r.Peek(len("POST /18446744073709551615 ")) // the longest
	if _, err := fmt.Sscanf(string(line), "POST /%d ", &id); err == nil && isSick(id) && !w.cured.Load() {
		w.suffer(c, done)
		return
	}
	w.serveFrom(c, r, -1)
}

// suffer serves a connection badly until it ends or is cured, which resets it.
func (w *ward) suffer(c *lab.Conn, done <-chan struct{}) {
	// A small window, so that a target that reads little soon takes nothing.
	_ = c.SetReadBuffer(4 << 10)
	ended, stop := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		w.sickness(c, stop)
	}()
	select {
	case <-ended:
	case <-w.dead:
	case <-done:
	}
	close(stop)
	_ = c.SetLinger(0)
	_ = c.Close()
	<-ended
}

// resetInTheMiddle reads the first of a request and resets.
func resetInTheMiddle(c *lab.Conn, _ <-chan struct{}) {
	_, _ = bufio.NewReader(c).Discard(sickSize / 4)
}

// A target that does not serve some connections harms no others, what it loses
// is counted, and what comes when it is well again arrives.
func TestSickTargets(t *testing.T) {
	for _, tt := range []struct {
		name     string
		sickness lab.Handler
		filter   func(*lab.Namespace, uint16) error // or else
		outcome  string
	}{
		{"refuses", nil, (*lab.Namespace).RefuseNew, "target-refused"},
		{"is a black hole", nil, (*lab.Namespace).SwallowNew, "target-refused"},
		{"never reads", lab.NeverRead, nil, "target-slow"},
		{"reads 10 KB/s", lab.ReadSlowly(10_000), nil, "target-slow"},
		{"resets in the middle", resetInTheMiddle, nil, "target-closed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWard(sickSize, tt.sickness)
			s := set(t, lab.Options{}, w.serve, "--stats-interval", "100ms", "--dial-timeout", "200ms", "--max-retries", "1",
				"--write-timeout", "500ms", "--flow-kib", "512")
			t.Cleanup(w.cure)
			stopHealthy := startBusy(t, s, busy{conns: healthyConns, perSecond: 200, size: sickSize, admit: w.admit})
			w.awaitConnections(t, s, 0, healthyConns)
			if tt.filter != nil {
				if err := tt.filter(s.Dst, shadowPort); err != nil {
					t.Fatal(err)
				}
			}
			stopSick := startBusy(t, s, busy{conns: sickConns, perSecond: 400, size: sickSize, first: sickFirst, admit: w.admit})
			if err := s.netmirror.awaitStat(s.ctx, "end_"+tt.outcome, func(n int64) bool { return n >= sickConns }); err != nil {
				t.Fatal(err)
			}
			if tt.filter != nil {
				if err := s.Dst.AdmitNew(); err != nil {
					t.Fatal(err)
				}
			}
			w.cure()
			w.checkRecovery(t, s, stopHealthy, stopSick)
		})
	}
}

// await returns when the requests that came whole satisfy ok. It polls: there
// may be a thousand a second.
func (w *ward) await(ctx context.Context, ok func(came map[uint64]int) bool) error {
	for !ok(w.came()) {
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d requests came: %w", len(w.came()), ctx.Err())
		case <-time.After(5 * time.Millisecond):
		}
	}
	return nil
}

// awaitConnections returns when a further request of each of the n connections
// from the first on has come.
func (w *ward) awaitConnections(t testing.TB, s *scene, first, n uint64) {
	t.Helper()
	before := w.came()
	if err := w.await(s.ctx, func(came map[uint64]int) bool {
		conns := make(map[uint64]bool)
		for id := range came {
			if conn := id >> 32; before[id] == 0 && conn >= first && conn < first+n {
				conns[conn] = true
			}
		}
		return uint64(len(conns)) == n
	}); err != nil {
		t.Fatalf("connections %d to %d: %v", first, first+n-1, err)
	}
}

// checkRecovery checks that the sick connections are taken up again, and that
// nothing is missing from then on, nor of the healthy ones at any time.
func (w *ward) checkRecovery(t *testing.T, s *scene, stopHealthy, stopSick func() requestLog) {
	t.Helper()
	w.awaitConnections(t, s, sickFirst, sickConns)
	// What the sick connections' clients have sent too fast may still be lost. Of
	// each connection, all of it is past when a request comes that was made later.
	w.gentle.Store(true)
	if err := w.served.awaitPaced(s.ctx, sickFirst, sickConns); err != nil {
		t.Fatal(err)
	}
	well := time.Now()
	w.awaitConnections(t, s, sickFirst, sickConns)
	log := append(stopSick(), stopHealthy()...)
	if err := s.shadow.Wait(s.ctx, 1+healthyConns+sickConns); err != nil {
		t.Errorf("shadow: %v", err)
	}
	s.netmirror.stop(t)
	w.check(t, log.last())
	checkArrived(t, log, w.came(), func(q request) bool { return !isSick(q.id) || q.begun.After(well) })
	s.checkBooks(t)
}
