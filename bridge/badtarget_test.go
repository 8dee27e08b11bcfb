package bridge

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"

	"netmirror/outcome"
)

// routes is a dialer that takes each dial to the next of the addresses it is
// given; for "" it finds a black hole.
type routes chan string

func (r routes) dial(ctx context.Context, network, _ string) (net.Conn, error) {
	addr := <-r
	if addr == "" {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return new(net.Dialer).DialContext(ctx, network, addr)
}

// open opens a stream whose dials go to addr, each of tries.
func (r routes) open(t *testing.T, h *harness, addr string, tries int, chunks ...[]byte) *script {
	t.Helper()
	for range tries {
		r <- addr
	}
	s := h.open(t, chunks...)
	eventually(t, "the dials", func() bool { return len(r) == 0 })
	return s
}

// trickle reads c at 10 KB/s until stop is closed, and then all that is left.
func trickle(c io.Reader, stop <-chan struct{}) (p []byte, err error) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for piece := make([]byte, 500); err == nil; {
		select {
		case <-stop:
			rest, err := io.ReadAll(c)
			return append(p, rest...), err
		case <-tick.C:
		}
		var n int
		n, err = io.ReadFull(c, piece)
		p = append(p, piece[:n]...)
	}
	return p, err
}

func TestBadTargetsCostTheirOwnStreamsOnly(t *testing.T) {
	g, narrow, dead := newTarget(t), newTarget(t), newTarget(t)
	narrow.narrow(t)
	dead.Close()
	r := make(routes, 10)
	h := serve(t, Config{Target: g.addr(), Dial: r.dial, Retries: 1, RetryDelay: time.Millisecond,
		DialTimeout: 300 * time.Millisecond, WriteTimeout: time.Second})
	good := func() {
		t.Helper()
		data := random(100_000)
		s := r.open(t, h, g.addr(), 1, split(data, 1460)...)
		s.end(io.EOF)
		c := g.accept(t)
		expect(t, c, data, nil)
		c.Close()
		want(t, "outcome beside bad targets", s.outcome(t), "complete")
	}
	good() // and what is opened once, such as the poller
	eventually(t, "rest", func() bool { return h.Stats().Open == 0 })
	files, goroutines := descriptors(t), runtime.NumGoroutine()

	much := random(16 << 20) // more than any socket buffers hold
	lazy := r.open(t, h, narrow.addr(), 1, much[:4<<20])
	lazy.end(io.EOF)
	lazyConn, stop := narrow.accept(t), make(chan struct{})
	lazyGot := make(chan []byte, 1)
	go func() {
		p, _ := trickle(lazyConn, stop)
		lazyConn.Close()
		lazyGot <- p
	}()
	deaf := r.open(t, h, narrow.addr(), 1, much)
	deafConn := narrow.accept(t)
	cut := r.open(t, h, g.addr(), 1, much)
	cutConn := g.accept(t)
	io.ReadFull(cutConn, make([]byte, 1<<20))
	hole := r.open(t, h, "", 2, []byte("unheard"))
	refused := r.open(t, h, dead.addr(), 2, []byte("unheard"))
	good()
	rst(cutConn)
	good()
	for _, row := range []struct {
		name, outcome string
		s             *script
	}{
		{"one that refuses", "target-refused", refused},
		{"a black hole", "target-refused", hole},
		{"one that resets in the middle", "target-closed", cut},
		{"one that never reads", "target-slow", deaf},
	} {
		want(t, "outcome for "+row.name, row.s.outcome(t), row.outcome)
		good()
	}
	select {
	case o := <-lazy.ended:
		t.Errorf("the one that reads little was given up: %s", o)
	default:
	}
	close(stop)
	if !bytes.Equal(receive(t, lazyGot, "the lazy target's end"), much[:4<<20]) {
		t.Error("the one that reads little got other bytes")
	}
	want(t, "outcome for one that reads little", lazy.outcome(t), "complete")

	deafConn.Close()
	eventually(t, "rest", func() bool { return h.Stats().Open == 0 })
	eventually(t, "descriptors to be closed", func() bool { return descriptors(t) <= files })
	eventually(t, "goroutines to end", func() bool { return runtime.NumGoroutine() <= goroutines })
}

func TestBlockedStreamsHoldNoBuffer(t *testing.T) {
	const n = 100
	g := newTarget(t)
	g.narrow(t)
	d := keepDial{t: t, before: func(c *net.TCPConn) { c.SetWriteBuffer(4096) }}
	h := serve(t, Config{Target: g.addr(), Dial: d.dial, WriteTimeout: time.Hour})
	data := random(1 << 20) // shared by all
	before := memory()
	for range n {
		h.open(t, data)
		g.accept(t)
	}
	h.still(t)
	heap, _ := memory().sub(before)
	if heap/n > bufferSize/4 {
		t.Errorf("a blocked stream holds %d bytes of heap", heap/n)
	}
	want(t, "streams open", h.Stats().Open, int64(n))
	h.cancel()
}

// Streams of every kind end at every moment; the harness and the race detector
// look on.
func TestTargetsThatEndAtAnyMoment(t *testing.T) {
	const streams = 300
	g := newTarget(t)
	h := serve(t, Config{Target: g.addr()})
	data := random(200_000)
	rnd := rand.New(rand.NewSource(1))
	var wg sync.WaitGroup
	for i := range streams {
		s := h.open(t, data[:1])
		c := g.accept(t)
		take, piece, how := rnd.Intn(50_000), 1+rnd.Intn(5000), rnd.Intn(4)
		wg.Go(func() {
			for _, p := range split(data[1:], piece) {
				s.send(p)
				runtime.Gosched()
			}
			s.end([]error{io.EOF, outcome.EndClientReset}[i%2])
		})
		wg.Go(func() {
			got := make([]byte, take)
			n, _ := io.ReadFull(c, got)
			c.Write([]byte("answer"))
			switch how {
			case 0:
				c.Close()
			case 1:
				rst(c)
			case 2:
				c.CloseWrite()
				rest, err := io.ReadAll(c)
				if n += len(rest); n < len(data) || err != nil && !errors.Is(err, errReset) {
					t.Errorf("a half-closed target got %d bytes of %d, then %v", n, len(data), err)
				}
				got = append(got, rest...)
				c.Close()
			case 3:
				c.CloseWrite()
				more := make([]byte, 10)
				m, _ := io.ReadFull(c, more)
				got = append(got, more[:m]...)
				n += m
				rst(c)
			}
			if !bytes.HasPrefix(data, got[:n]) {
				t.Error("a target got other bytes than were sent")
			}
		})
	}
	wg.Wait()
	for _, s := range h.all {
		switch o := s.outcome(t); o {
		case "complete", "client-reset", "target-closed":
		default:
			t.Errorf("outcome %s", o)
		}
		if !bytes.HasSuffix(data, s.rest()) {
			t.Error("what is left is not the stream's end")
		}
	}
}
