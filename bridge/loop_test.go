package bridge

import (
	"context"
	"io"
	"net"
	"runtime"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestStreamsCostNoGoroutine(t *testing.T) {
	const n = 1000
	g := newTarget(t)
	h := serve(t, Config{Target: g.addr()})
	h.once(t, g)
	before := runtime.NumGoroutine()
	all, conns := make([]*script, n), make([]*net.TCPConn, n)
	for i := range all {
		all[i] = h.open(t, []byte("hello"))
		conns[i] = g.accept(t)
	}
	eventually(t, "every greeting", func() bool { return h.Stats().BytesWritten == 1+5*n })
	if n := runtime.NumGoroutine(); n > before {
		t.Errorf("%d goroutines more", n-before)
	}
	for i, s := range all {
		s.end(io.EOF)
		expect(t, conns[i], []byte("hello"), nil)
		conns[i].Close()
	}
	for _, s := range all {
		want(t, "outcome", s.outcome(t), "complete")
	}
}

// busy has a client send a byte every millisecond, until stop.
func (h *harness) busy(t *testing.T, g shadow) (stop func()) {
	t.Helper()
	s := h.open(t)
	c := g.accept(t)
	go func() {
		io.Copy(io.Discard, c)
		c.Close()
	}()
	over, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-over:
				return
			case <-tick.C:
				s.send([]byte("x"))
			}
		}
	}()
	return func() {
		t.Helper()
		close(over)
		<-done
		s.end(io.EOF)
		want(t, "outcome", s.outcome(t), "complete")
	}
}

// A loop that is woken often for bytes of clients is not for what targets do, but
// hears of it.
func TestTargetsAreHeardBesideABusyClient(t *testing.T) {
	g := newTarget(t)
	h := serve(t, Config{Target: g.addr()})
	ends := func(n uint64) {
		t.Helper()
		h.open(t)
		g.accept(t).Close()
		h.closedFirst(t, n)
	}
	stop := h.busy(t, g)
	written := func(n uint64) func() bool { return func() bool { return h.Stats().BytesWritten >= n } }
	eventually(t, "a busy time", written(100))
	ends(1)
	eventually(t, "a busy time", written(h.Stats().BytesWritten+100))
	idle := h.open(t)
	quiet := g.accept(t)
	stop()
	quiet.Close() // when nothing else wakes the loop any more
	h.closedFirst(t, 2)
	ends(3)
	idle.end(io.EOF)
	h.cancel()
}

func TestNoDescriptorLeft(t *testing.T) {
	g := newTarget(t)
	h := serve(t, Config{Target: g.addr(), Retries: -1})
	h.once(t, g)
	other := h.open(t) // it has the socket of the one before, if that is kept
	c := g.accept(t)
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	// Every descriptor below it is in use, as the lowest free one is given out.
	f, err := unix.Dup(0)
	if err != nil {
		t.Fatal(err)
	}
	unix.Close(f)
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: uint64(f), Max: limit.Max}); err != nil {
		t.Fatal(err)
	}
	s := h.open(t, []byte("unheard"))
	how := s.outcome(t)
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	want(t, "outcome", how, "no-descriptor")
	want(t, "BytesRead", h.Stats().BytesRead, uint64(1))
	h.once(t, g)
	c.Close()
	other.end(io.EOF)
	want(t, "outcome", other.outcome(t), "complete")
}

// The time that a loop has slept is not the next stream's.
func TestStreamBehindAPauseHasAllItsTime(t *testing.T) {
	const pause = 300 * time.Millisecond
	g := newTarget(t)
	took := make(chan time.Duration, 2)
	h := serve(t, Config{Target: g.addr(), Retries: -1, DialTimeout: pause / 2,
		DialTime: func(d time.Duration, _ error) { took <- d }})
	h.once(t, g)
	<-took
	time.Sleep(pause) // which is what this is about
	h.once(t, g)
	if d := <-took; d >= pause/2 {
		t.Errorf("connecting took %v", d)
	}
}

// Where streams come faster than they can begin, new ones do not wait for all of the
// old; nor do the old wait for ever.
func TestNewestBeginFirstInAFlood(t *testing.T) {
	b, err := New(Config{Target: "192.0.2.1:80", Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	l, err := newLoop(ctx, cancel, newQueue(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer l.poll.close()
	defer l.wg.Wait()
	defer cancel()
	all := make([]*stream, 100)
	for i := range all {
		l.accept(b, newScript())
		all[i] = l.fresh[i]
	}
	for _, want := range [][]int{
		{0, 84, 85, 86, 87, 88, 89, 90, 91, 92, 93, 94, 95, 96, 97, 98, 99},
		{0, 1, 68, 69, 70, 71, 72, 73, 74, 75, 76, 77, 78, 79, 80, 81, 82, 83, 84, 85, 86, 87, 88, 89, 90, 91, 92, 93, 94, 95, 96, 97, 98, 99},
	} {
		l.begin()
		var begun []int
		for i, s := range all {
			if s.dial.step == elsewhere {
				begun = append(begun, i)
			}
		}
		if !slices.Equal(begun, want) {
			t.Errorf("begun: %v, want %v", begun, want)
		}
	}
	for range all { // each round begins one at the least
		l.begin()
	}
	if n := b.Stats().Dials; n != uint64(len(all)) {
		t.Errorf("%d have begun, want all %d", n, len(all))
	}
}
