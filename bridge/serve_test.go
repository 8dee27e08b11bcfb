package bridge

import (
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"netmirror/outcome"
)

func TestStreamsBeyondMaxConnsAreTurnedAway(t *testing.T) {
	g := newTarget(t)
	h := serve(t, Config{Target: g.addr(), Room: NewRoom(2, 1)})
	first, second := h.open(t), h.open(t)
	g.accept(t).Close()
	g.accept(t).Close()
	want(t, "outcome of the third", h.open(t).outcome(t), "shed")
	want(t, "TurnedAway", h.Stats().TurnedAway, uint64(1))

	first.end(io.EOF)
	want(t, "outcome of the first", first.outcome(t), "complete")
	eventually(t, "a free place", func() bool { return h.Stats().Open == 1 })
	fourth := h.open(t)
	g.accept(t).Close()
	for _, s := range []*script{second, fourth} {
		s.end(io.EOF)
		want(t, "outcome", s.outcome(t), "complete")
	}
	want(t, "Dials", h.Stats().Dials, uint64(3))
}

// The loop may hear late that a stream has ended, but not after it has turned another away.
func TestStreamThatHasEndedTakesNoPlace(t *testing.T) {
	g := newTarget(t)
	l := newAlone(t, Config{Target: g.addr(), Room: NewRoom(1, 1)})
	l.of = func(outcome.Stream) *Bridge { return l.b }
	first, second := newScript(), newScript()
	s, c := l.open(t, first, g)
	first.end(io.EOF)
	l.until(t, "the client's FIN", func() bool { return s.finSent })
	expect(t, c, nil, nil)
	c.Close()
	eventually(t, "the target's FIN", s.tcp.saidFIN)

	l.ln.(*queue).came = []outcome.Stream{second}
	l.in.streams()
	l.round()
	want(t, "outcome of the first", first.outcome(t), "complete")
	want(t, "TurnedAway", l.b.Stats().TurnedAway, uint64(0))
	l.end(nil)
	want(t, "outcome of the second", second.outcome(t), "shutdown")
}

func TestCancelResetsEveryStreamAtOnce(t *testing.T) {
	g := newTarget(t)
	h := serve(t, Config{Target: g.addr(), LingerTimeout: time.Hour, WriteTimeout: time.Hour})
	stuck := random(16 << 20)
	for _, row := range []struct {
		chunk []byte
		end   error
		read  error // what ends the target's read
	}{
		{[]byte("x"), nil, errReset},               // idle
		{[]byte("x"), io.EOF, nil},                 // waiting for the target's end
		{stuck, nil, errReset},                     // in a write
		{stuck[:4<<20], outcome.EndIdle, errReset}, // waiting for the send queue, or in a write
	} {
		s := h.open(t, row.chunk)
		s.end(row.end)
		c := g.accept(t)
		if _, err := io.ReadFull(c, make([]byte, 1)); err != nil { // the dial has returned
			t.Fatal(err)
		}
		if row.read == nil {
			io.Copy(io.Discard, c) // to the client's FIN
		}
		defer func() {
			want(t, "outcome", s.outcome(t), "shutdown")
			if _, err := io.Copy(io.Discard, c); !errors.Is(err, row.read) {
				t.Errorf("the target's read ended with %v, want %v", err, row.read)
			}
		}()
	}
	eventually(t, "a full queue", func() bool { return h.Stats().BytesRead > 1<<20 })
	h.cancel()
	if err := receive(t, h.done, "Serve's return"); err != nil {
		t.Errorf("Serve: %v", err)
	}
	h.done <- nil
	want(t, "streams shut down", h.Stats().Outcomes[outcome.EndShutdown], uint64(4))
	if _, err := h.ln.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the listener is left open: %v", err)
	}
}

func TestClosedListenerLetsStreamsRunToTheirEnd(t *testing.T) {
	g := newTarget(t)
	h := serve(t, Config{Target: g.addr()})
	s := h.open(t, []byte("before "))
	c := g.accept(t)
	h.ln.Close()
	select {
	case err := <-h.done:
		t.Fatalf("Serve returned with a stream open: %v", err)
	case <-time.After(20 * time.Millisecond):
	}
	s.send([]byte("and after"))
	s.end(io.EOF)
	expect(t, c, []byte("before and after"), nil)
	c.Close()
	want(t, "outcome", s.outcome(t), "complete")
	if err := receive(t, h.done, "Serve's return"); err != nil {
		t.Errorf("Serve: %v", err)
	}
	h.done <- nil
}

func TestFailingListenerEndsServe(t *testing.T) {
	g := newTarget(t)
	b, err := New(Config{Target: g.addr()})
	if err != nil {
		t.Fatal(err)
	}
	ln, broken := newQueue(), errors.New("broken")
	ln.err = broken
	done := make(chan error, 1)
	go func() { done <- b.Serve(t.Context(), ln) }()
	s := newScript()
	s.send([]byte("x"))
	ln.conns <- s
	c := g.accept(t)
	eventually(t, "the byte", func() bool { return b.Stats().BytesWritten == 1 })
	ln.Close()
	want(t, "outcome", s.outcome(t), "shutdown")
	if err := receive(t, done, "Serve's return"); !errors.Is(err, broken) {
		t.Errorf("Serve: %v", err)
	}
	expect(t, c, []byte("x"), errReset)
	balanced(t, b.Stats())
}

func TestTwoListenersShareOneBridge(t *testing.T) {
	g := newTarget(t)
	h := serve(t, Config{Target: g.addr(), Room: NewRoom(1, 1)})
	other := newQueue()
	done := make(chan error, 1)
	go func() { done <- h.Serve(t.Context(), other) }()
	s := h.open(t)
	g.accept(t).Close()
	more := newScript()
	other.conns <- more
	want(t, "outcome beyond the common limit", more.outcome(t), "shed")
	s.end(io.EOF)
	want(t, "outcome", s.outcome(t), "complete")
	other.Close()
	if err := receive(t, done, "Serve's return"); err != nil {
		t.Errorf("Serve: %v", err)
	}
}

func TestThousandStreamsLeaveNothingBehind(t *testing.T) {
	g := newTarget(t)
	h := serve(t, Config{Target: g.addr()})
	data := random(5000)
	once := func(i int) {
		s := h.open(t, data)
		g.SetDeadline(time.Now().Add(patience))
		c, err := g.AcceptTCP()
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		switch i % 3 {
		case 0:
			s.end(io.EOF)
			expect(t, c, data, nil)
			c.Close()
			want(t, "outcome", s.outcome(t), "complete")
		case 1:
			s.end(outcome.EndClientReset)
			expect(t, c, data, errReset)
			want(t, "outcome", s.outcome(t), "client-reset")
		case 2:
			io.ReadFull(c, make([]byte, 1)) // a reset before would be a failed dial
			rst(c)
			want(t, "outcome", s.outcome(t), "target-closed")
		}
	}
	once(0) // what is opened once, such as the poller
	eventually(t, "rest", func() bool { return h.Stats().Open == 0 })
	files, goroutines := descriptors(t), runtime.NumGoroutine()
	stop := h.busy(t, g) // so that the loop hears of each end at once
	for i := range 1000 {
		once(i)
	}
	stop()
	eventually(t, "rest", func() bool { return h.Stats().Open == 0 })
	eventually(t, "descriptors to be closed", func() bool { return descriptors(t) <= files })
	eventually(t, "goroutines to end", func() bool { return runtime.NumGoroutine() <= goroutines })
}

func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// A bridge that is closed resets its streams and those that come; the others of the same
// listener go on.
func TestCloseEndsOneBridgeOfSeveral(t *testing.T) {
	g := newTarget(t)
	made := func() *Bridge {
		b, err := New(Config{Target: g.addr(), LingerTimeout: time.Hour, WriteTimeout: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	goes, stays := made(), made()
	ln, done := newQueue(), make(chan error, 1)
	var owners sync.Map
	of := func(in outcome.Stream) *Bridge {
		b, _ := owners.Load(in)
		return b.(*Bridge)
	}
	go func() { done <- Serve(t.Context(), ln, of) }()
	open := func(b *Bridge) *script {
		s := newScript()
		s.send([]byte("x"))
		owners.Store(outcome.Stream(s), b)
		ln.conns <- s
		return s
	}
	reach := func(b *Bridge) (*script, net.Conn) {
		s, c := open(b), g.accept(t)
		if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		return s, c
	}
	cut, conn := reach(goes)
	kept, live := reach(stays)

	goes.Close()
	want(t, "outcome", cut.outcome(t), "shutdown")
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, errReset) {
		t.Errorf("the target's read ended with %v", err)
	}
	want(t, "outcome of one that comes later", open(goes).outcome(t), "shutdown")

	kept.end(io.EOF)
	if _, err := io.Copy(io.Discard, live); err != nil {
		t.Error(err)
	}
	live.Close()
	want(t, "outcome of the other's", kept.outcome(t), "complete")
	ln.Close()
	if err := receive(t, done, "Serve's return"); err != nil {
		t.Error(err)
	}
	for _, b := range []*Bridge{goes, stays} {
		balanced(t, b.Stats())
	}
}
