package bridge

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

func TestHealthFollowsTheTarget(t *testing.T) {
	g := newTarget(t)
	var dead atomic.Bool
	var mu sync.Mutex
	var fails, connects int
	h := serve(t, Config{Target: g.addr(), Retries: -1,
		Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
			if dead.Load() {
				return nil, syscall.ECONNREFUSED
			}
			return new(net.Dialer).DialContext(ctx, network, addr)
		},
		DialTime: func(d time.Duration, err error) {
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				fails++
			} else if d > 0 {
				connects++
			}
		}})
	if k := h.Health(); k.Tried {
		t.Errorf("before any attempt: %+v", k)
	}
	if err := h.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	g.accept(t).Close()
	first := h.Health()
	if !first.Tried || !first.Answers || first.Err != nil || time.Since(first.Since) > time.Minute {
		t.Errorf("when it answered: %+v", first)
	}
	dead.Store(true)
	want(t, "outcome", h.open(t).outcome(t), "target-refused")
	down := h.Health()
	if down.Answers || !errors.Is(down.Err, syscall.ECONNREFUSED) || !down.Since.After(first.Since) {
		t.Errorf("when it refused: %+v", down)
	}
	want(t, "outcome", h.open(t).outcome(t), "target-refused")
	if again := h.Health(); !again.Since.Equal(down.Since) {
		t.Errorf("it is down since %v, not since the last attempt, %v", down.Since, again.Since)
	}
	dead.Store(false)
	s := h.open(t)
	g.accept(t).Close()
	s.end(io.EOF)
	s.outcome(t)
	if up := h.Health(); !up.Answers || up.Err != nil {
		t.Errorf("when it came back: %+v", up)
	}
	mu.Lock()
	defer mu.Unlock()
	if fails != 2 || connects != 1 {
		t.Errorf("told of %d failures and %d connects, want 2 and 1", fails, connects)
	}
}
