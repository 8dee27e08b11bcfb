package bridge

import (
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"netmirror/outcome"
)

func TestTargetGetsTheStreamByteForByte(t *testing.T) {
	for _, size := range []int{1, 7, 1460, bufferSize - 1, bufferSize, bufferSize + 1, 1<<20 + 7} {
		t.Run(fmt.Sprintf("in chunks of %d", size), func(t *testing.T) {
			g := newTarget(t)
			h := serve(t, Config{Target: g.addr()})
			data := random(min(size*1000, 3<<20))
			s := h.open(t, split(data, size)...)
			s.end(io.EOF)
			c := g.accept(t)
			expect(t, c, data, nil)
			c.Close()
			want(t, "outcome", s.outcome(t), "complete")
			want(t, "BytesWritten", h.Stats().BytesWritten, uint64(len(data)))
		})
	}
}

func TestEmptyStreamIsAnEmptyConnection(t *testing.T) {
	g := newTarget(t)
	h := serve(t, Config{Target: g.addr()})
	s := h.open(t)
	c := g.accept(t) // opened before the client says anything
	s.end(io.EOF)
	expect(t, c, nil, nil)
	c.Close()
	want(t, "outcome", s.outcome(t), "complete")
}

// The kernel would keep the acknowledgement of the SYN-ACK for 200 ms, as it goes with the
// first bytes. A target that speaks first is not to wait for that.
func TestTargetHearsOfASilentConnectionAtOnce(t *testing.T) {
	const kept = 200 * time.Millisecond // TCP_DELACK_MAX of the kernel's include/net/tcp.h
	g := newTarget(t)
	h := serve(t, Config{Target: g.addr()})
	fastest := time.Hour
	for range 10 { // a busy machine may be as slow as the kernel, but not each time
		begun := time.Now()
		s := h.open(t)
		c := g.accept(t)
		fastest = min(fastest, time.Since(begun))
		s.end(io.EOF)
		c.Close()
		want(t, "outcome", s.outcome(t), "complete")
	}
	if fastest >= kept {
		t.Errorf("the target took the fastest of 10 connections after %v, want less than %v", fastest, kept)
	}
}

// A client that only connects and aborts, as a health check does, does so with the target.
func TestTargetHearsOfAnAbortedConnection(t *testing.T) {
	g := newTarget(t)
	h := serve(t, Config{Target: g.addr()})
	s := newScript()
	s.end(outcome.EndClientReset)
	h.play(t, s)
	c := g.accept(t)
	expect(t, c, nil, errReset)
	want(t, "outcome", s.outcome(t), "client-reset")
}

func TestClientHalfClosesFirst(t *testing.T) {
	g := newTarget(t)
	h := serve(t, Config{Target: g.addr()})
	s := h.open(t, []byte("request"))
	s.end(io.EOF)
	c := g.accept(t)
	expect(t, c, []byte("request"), nil)
	if n, err := c.Write(random(1 << 20)); err != nil {
		t.Errorf("answer to a half-closed client: %d bytes, %v", n, err)
	}
	c.Close()
	want(t, "outcome", s.outcome(t), "complete")
	want(t, "BytesDiscarded", h.Stats().BytesDiscarded, uint64(1<<20))
}

func TestTargetHalfClosesFirst(t *testing.T) {
	g := newTarget(t)
	h := serve(t, Config{Target: g.addr(), LingerTimeout: time.Hour})
	s := h.open(t, []byte("be"))
	c := g.accept(t)
	c.Write([]byte("bye"))
	c.CloseWrite()
	eventually(t, "the answer", func() bool { return h.Stats().BytesDiscarded == 3 })
	s.send([]byte("fore"), []byte(" and after"))
	s.end(io.EOF)
	expect(t, c, []byte("before and after"), nil)
	want(t, "outcome with the target's end still open", s.outcome(t), "complete")
}

func TestSilentTargetIsClosedAfterLinger(t *testing.T) {
	g := newTarget(t)
	const linger = 200 * time.Millisecond
	h := serve(t, Config{Target: g.addr(), LingerTimeout: linger})
	s := h.open(t, []byte("request"))
	s.end(io.EOF)
	c := g.accept(t)
	start := time.Now()
	expect(t, c, []byte("request"), nil)
	want(t, "outcome", s.outcome(t), "complete")
	if took := time.Since(start); took < linger*3/4 || took > 10*linger {
		t.Errorf("closed after %v, want about %v", took, linger)
	}
}

func TestTargetIsReadWhileItSends(t *testing.T) {
	g := newTarget(t)
	const linger = 300 * time.Millisecond
	h := serve(t, Config{Target: g.addr(), LingerTimeout: linger})
	s := h.open(t, []byte("request"))
	s.end(io.EOF)
	c := g.accept(t)
	expect(t, c, []byte("request"), nil)
	tick := time.NewTicker(linger / 6)
	defer tick.Stop()
	for range 18 { // three times as long as silence may last
		<-tick.C
		if _, err := c.Write([]byte("x")); err != nil {
			t.Fatalf("answer: %v", err)
		}
	}
	select {
	case o := <-s.ended:
		t.Fatalf("ended with %q while the target was sending", o)
	default:
	}
	want(t, "outcome", s.outcome(t), "complete")
	want(t, "BytesDiscarded", h.Stats().BytesDiscarded, uint64(18))
}

func TestStreamThatTheTargetNeverTookIsNotComplete(t *testing.T) {
	g := newTarget(t)
	h := serve(t, Config{Target: g.addr(), LingerTimeout: 200 * time.Millisecond})
	g.narrow(t)
	s := h.open(t, random(500_000)) // more than fits there, less than blocks here
	s.end(io.EOF)
	c := g.accept(t)
	eventually(t, "every byte in the queue", func() bool { return h.Stats().BytesWritten == 500_000 })
	c.CloseWrite()
	want(t, "outcome", s.outcome(t), "target-slow")
}

func TestAnswersLeftToTheKernelDoNotSpoilTheEnd(t *testing.T) {
	g := newTarget(t)
	h := serve(t, Config{Target: g.addr(), LingerTimeout: 50 * time.Millisecond})
	s := h.open(t, []byte("request"))
	c := g.accept(t)
	if _, err := c.Write(random(answerBatch / 2)); err != nil {
		t.Fatal(err)
	}
	s.end(io.EOF)
	want(t, "outcome", s.outcome(t), "complete")
	want(t, "BytesDiscarded", h.Stats().BytesDiscarded, uint64(answerBatch/2))
	expect(t, c, []byte("request"), nil) // a close with unread bytes would have reset it
}

func TestFloodOfAnswersPassesBesideTheStream(t *testing.T) {
	const flood = 100 << 20
	g := newTarget(t)
	h := serve(t, Config{Target: g.addr()})
	data := random(4 << 20)
	s := h.open(t)
	c := g.accept(t)
	sent := make(chan error, 1)
	go func() {
		p := make([]byte, 1<<20)
		var err error
		for n := 0; n < flood && err == nil; n += len(p) {
			_, err = c.Write(p)
		}
		sent <- err
	}()
	s.send(split(data, 1460)...)
	s.end(io.EOF)
	expect(t, c, data, nil)
	if err := receive(t, sent, "the flood's end"); err != nil {
		t.Fatal(err)
	}
	c.Close()
	want(t, "outcome", s.outcome(t), "complete")
	want(t, "BytesDiscarded", h.Stats().BytesDiscarded, uint64(flood))
}

func TestEndlessAnswerDoesNotHoldUpTheEnd(t *testing.T) {
	g := newTarget(t)
	h := serve(t, Config{Target: g.addr()})
	s := h.open(t)
	c := g.accept(t)
	sent := make(chan error, 1)
	go func() {
		p := make([]byte, 1<<20)
		for {
			if _, err := c.Write(p); err != nil {
				sent <- err
				return
			}
		}
	}()
	eventually(t, "an answer", func() bool { return h.Stats().BytesDiscarded > 0 })
	s.end(outcome.EndClientReset)
	want(t, "outcome", s.outcome(t), "client-reset")
	if err := receive(t, sent, "the target's error"); err == nil {
		t.Error("the target can still send")
	}
}

func TestNoDelayIsSetWhateverDialGives(t *testing.T) {
	g := newTarget(t)
	d := keepDial{t: t, before: func(c *net.TCPConn) { c.SetNoDelay(false) }}
	h := serve(t, Config{Target: g.addr(), Dial: d.dial})
	s := h.open(t)
	g.accept(t)
	s.send([]byte("x"))
	eventually(t, "a byte", func() bool { return h.Stats().BytesWritten == 1 })
	want(t, "TCP_NODELAY", d.noDelay(), 1)
	s.end(outcome.EndIdle)
	want(t, "outcome", s.outcome(t), "idle")
}

// A long stream does not keep others from their turns: it passes on a few buffers' length at a time.
func TestALongStreamTakesTurns(t *testing.T) {
	g := newTarget(t)
	d := keepDial{t: t, before: func(c *net.TCPConn) { _ = c.SetWriteBuffer(8 << 20) }}
	h := serve(t, Config{Target: g.addr(), Dial: d.dial})
	data := random(64 * bufferSize)
	s := h.open(t, split(data, bufferSize-100)...)
	s.end(io.EOF)
	c := g.accept(t)
	expect(t, c, data, nil)
	c.Close()
	want(t, "outcome", s.outcome(t), "complete")
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.row < bufferSize-100 || s.row > 2*bufferSize {
		t.Errorf("%d bytes at a time", s.row)
	}
}

// fullSocket is a target whose socket has so much room, and which reads nothing.
type fullSocket struct {
	targetConn
	room, queued int
}

func (t *fullSocket) write(p []byte, _ bool) (int, error) {
	n := min(t.room, len(p))
	t.room -= n
	t.queued += n
	return n, nil
}
func (t *fullSocket) unacked() (int, error) { return t.queued, nil }
func (t *fullSocket) saidFIN() bool         { return false }
func (t *fullSocket) reset()                {}

// A slow target that takes a long piece, and nothing of the short one behind it, has the whole of
// WriteTimeout again, and is not asked all the time whether it has room.
func TestALongPieceEndsAStall(t *testing.T) {
	const limit, long = 8 * time.Second, longPiece + 1
	b, err := New(Config{Target: "127.0.0.1:1", WriteTimeout: limit})
	if err != nil {
		t.Fatal(err)
	}
	l, err := newLoop(t.Context(), func() {}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer l.poll.close()
	in, out := newScript(), &fullSocket{room: long}
	in.send(random(long), random(long), random(100))
	s := newStream(l, b, in)
	s.out, s.phase, s.keptAlive = out, copying, true
	l.live[s] = struct{}{}
	looks := 0
	until := func(to time.Duration) {
		for l.step(); len(l.timers) > 0 && l.timers[0].due <= int64(to); l.step() {
			looks++
			l.now = max(l.now, l.timers[0].due)
			l.expire()
		}
		l.now = int64(to)
	}
	s.turn()
	until(limit - 100*time.Millisecond)
	want(t, "queued", out.queued, long)
	out.queued, out.room, looks = 0, long, 0
	s.event(evRoom)
	until(limit + 100*time.Millisecond)
	want(t, "queued", out.queued, long)
	want(t, "phase", s.phase, blocked)
	if looks > 3 {
		t.Errorf("%d looks in 200 ms", looks)
	}
}
