package bridge

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

var known = []netip.Addr{netip.MustParseAddr("127.0.0.1")}

// serveLookUps serves streams to shadow.test at g's port.
func serveLookUps(t *testing.T, g shadow, c Config, lookUp func(ctx context.Context) ([]netip.Addr, error)) *harness {
	t.Helper()
	_, port, _ := net.SplitHostPort(g.addr())
	c.Target, c.Retries, c.LingerTimeout = "shadow.test:"+port, -1, 300*time.Millisecond
	c.LookUp = func(ctx context.Context, _ string) ([]netip.Addr, error) { return lookUp(ctx) }
	return serve(t, c)
}

func TestAddressesFromBeforeServeWhileLookUpsFail(t *testing.T) {
	g := newTarget(t)
	var asked atomic.Int32
	var fails atomic.Pointer[net.DNSError]
	var log lines
	h := serveLookUps(t, g, Config{Logger: slog.New(&log)}, func(context.Context) ([]netip.Addr, error) {
		asked.Add(1)
		if err := fails.Load(); err != nil {
			return nil, err
		}
		return known, nil
	})
	// play plays streams until n look-ups have ended.
	play := func(n int32) {
		t.Helper()
		for n += asked.Load(); asked.Load() < n; {
			h.once(t, g)
		}
		h.once(t, g)
	}
	play(1)
	fails.Store(&net.DNSError{Err: "server misbehaving", Name: "shadow.test", IsTemporary: true})
	play(1)
	fails.Store(&net.DNSError{Err: "i/o timeout", Name: "shadow.test", IsTimeout: true})
	play(1)
	fails.Store(nil)
	play(1)
	if got := log.all(); !slices.Equal(got, []string{
		"WARN target's name cannot be looked up; its addresses from before are used",
		"INFO target's name can be looked up again",
	}) {
		t.Errorf("logged %q", got)
	}
	fails.Store(&net.DNSError{Err: "no such host", Name: "shadow.test", IsNotFound: true})
	eventually(t, "a stream that knows that there is no such name", func() bool {
		s := h.open(t)
		s.end(io.EOF)
		return s.outcome(t) == "target-refused"
	})
	if err := h.Health().Err; err == nil || !strings.Contains(err.Error(), "no such host") {
		t.Errorf("health has %v", err)
	}
}

func TestAddressesFromBeforeServeWhileALookUpTakesLong(t *testing.T) {
	g := newTarget(t)
	var asked atomic.Int32
	h := serveLookUps(t, g, Config{}, func(ctx context.Context) ([]netip.Addr, error) {
		if asked.Add(1) > 1 {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		return known, nil
	})
	for asked.Load() < 2 {
		h.once(t, g)
	}
	h.once(t, g)
}

// net's resolver gives a server five seconds, and then asks the next one (resolv.conf(5)).
func TestLookUpOutlastsTheStreamsThatWaitForIt(t *testing.T) {
	g := newTarget(t)
	var asked atomic.Int32
	answer := make(chan struct{})
	h := serveLookUps(t, g, Config{DialTimeout: 50 * time.Millisecond}, func(ctx context.Context) ([]netip.Addr, error) {
		if due, ok := ctx.Deadline(); !ok || time.Until(due) < 10*time.Second {
			t.Errorf("a look-up has until %v", due)
		}
		if asked.Add(1) > 1 {
			return nil, &net.DNSError{Err: "no such host", IsNotFound: true}
		}
		select {
		case <-answer:
			return known, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	})
	for range 3 {
		want(t, "outcome before the answer", h.open(t).outcome(t), "target-refused")
	}
	close(answer)
	eventually(t, "a stream that has the address", func() bool {
		s := h.open(t)
		s.end(io.EOF)
		return s.outcome(t) == "complete"
	})
	want(t, "look-ups", asked.Load(), int32(1))
}

// Nobody needs a look-up that runs when the last stream has ended.
func TestLookUpDoesNotHoldUpTheEnd(t *testing.T) {
	g := newTarget(t)
	h := serveLookUps(t, g, Config{DialTimeout: 50 * time.Millisecond}, func(ctx context.Context) ([]netip.Addr, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	})
	want(t, "outcome", h.open(t).outcome(t), "target-refused")
	begun := time.Now()
	h.ln.Close()
	if err := receive(t, h.done, "Serve's return"); err != nil {
		t.Error(err)
	}
	h.done <- nil
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("Serve returned after %v", took)
	}
}
