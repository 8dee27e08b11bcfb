package bridge

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"netmirror/outcome"
)

// keepDial dials for real and keeps the last conn for the test to look at.
type keepDial struct {
	t      *testing.T
	before func(*net.TCPConn) // called before the Bridge gets it

	mu   sync.Mutex // guards last
	last *net.TCPConn
}

func (d *keepDial) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	c, err := new(net.Dialer).DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	d.before(c.(*net.TCPConn))
	d.mu.Lock()
	defer d.mu.Unlock()
	d.last = c.(*net.TCPConn)
	return c, nil
}

func (d *keepDial) noDelay() (on int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	raw, err := d.last.SyscallConn()
	if err != nil {
		d.t.Fatal(err)
	}
	raw.Control(func(fd uintptr) {
		on, err = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NODELAY)
	})
	if err != nil {
		d.t.Fatal(err)
	}
	return on
}

func TestStreamErrorBecomesAResetBehindAllBytes(t *testing.T) {
	for _, row := range []struct {
		err     error
		outcome string
	}{
		{outcome.EndClientReset, "client-reset"},
		{outcome.EndGap, "gap"},
		{outcome.EndIdle, "idle"},
		{outcome.EndShed, "shed"},
		{outcome.EndShutdown, "shutdown"},
		{outcome.EndReplaced, "replaced"},
		{outcome.EndServerReset, "server-reset"},
		{outcome.EndTargetClosed, "target-closed"}, // it would have been
		{fmt.Errorf("read: %w", outcome.EndGap), "gap"},
		{outcome.EndComplete, "error"}, // not a stream's to say
		{outcome.EndTargetSlow, "error"},
		{outcome.EndNotOpened, "error"},
		{outcome.End(255), "error"},
		{errors.New("no name"), "error"},
	} {
		t.Run(row.err.Error(), func(t *testing.T) {
			g := newTarget(t)
			h := serve(t, Config{Target: g.addr()})
			data := random(300_000)
			s := h.open(t, split(data, 10_001)...)
			s.end(row.err)
			expect(t, g.accept(t), data, errReset)
			want(t, "outcome", s.outcome(t), row.outcome)
		})
	}
}

// slow reads at a few MB/s at most.
type slow struct {
	io.Reader
	n     int
	pause time.Duration
}

func (s slow) Read(p []byte) (int, error) {
	time.Sleep(s.pause)
	return s.Reader.Read(p[:min(len(p), s.n)])
}

func TestSlowReaderGetsEverythingBeforeTheReset(t *testing.T) {
	g := newTarget(t)
	h := serve(t, Config{Target: g.addr(), WriteTimeout: 500 * time.Millisecond})
	data := random(10 << 20)
	s := h.open(t, data)
	s.end(outcome.EndClientReset)
	c := g.accept(t)
	c.SetReadBuffer(64 << 10)
	expect(t, slow{c, 16 << 10, 2 * time.Millisecond}, data, errReset)
	want(t, "outcome", s.outcome(t), "client-reset")
}

func TestResetIsNotHeldBackByATargetThatTakesNothing(t *testing.T) {
	g := newTarget(t)
	h := serve(t, Config{Target: g.addr(), WriteTimeout: 200 * time.Millisecond})
	g.narrow(t)
	s := h.open(t, random(500_000)) // more than fits there, less than blocks here
	s.end(outcome.EndClientReset)
	g.accept(t)
	want(t, "outcome", s.outcome(t), "target-slow")
}

func TestTargetThatNeverReadsCostsItsOwnStreamOnly(t *testing.T) {
	g := newTarget(t)
	h := serve(t, Config{Target: g.addr(), WriteTimeout: 500 * time.Millisecond})
	data := random(16 << 20) // beyond any socket buffers
	stuck := h.open(t, data)
	deaf := g.accept(t)
	eventually(t, "a full queue", func() bool { return h.Stats().BytesRead > 1<<20 })

	s := h.open(t, data)
	s.end(io.EOF)
	c := g.accept(t)
	expect(t, c, data, nil)
	c.Close()
	want(t, "outcome of the other", s.outcome(t), "complete")

	want(t, "outcome", stuck.outcome(t), "target-slow")
	if _, err := io.Copy(io.Discard, deaf); !errors.Is(err, errReset) {
		t.Errorf("the deaf target's read ended with %v, want a reset", err)
	}
}

func TestTargetThatTakesLittleIsNotGivenUp(t *testing.T) {
	g := newTarget(t)
	const limit = 400 * time.Millisecond
	// A socket is writable again when a third of its buffer is free; at this
	// target's pace that takes longer than the limit.
	d := keepDial{t: t, before: func(c *net.TCPConn) { c.SetWriteBuffer(128 << 10) }}
	h := serve(t, Config{Target: g.addr(), WriteTimeout: limit, Dial: d.dial})
	data := random(1 << 20)
	g.narrow(t)
	s := h.open(t, data)
	s.end(io.EOF)
	c := g.accept(t)
	head := make([]byte, 60_000)
	if _, err := io.ReadFull(slow{c, 1000, 20 * time.Millisecond}, head); err != nil {
		t.Fatal(err)
	}
	if string(head) != string(data[:len(head)]) {
		t.Error("the slow part differs")
	}
	expect(t, c, data[len(head):], nil)
	c.Close()
	want(t, "outcome", s.outcome(t), "complete")
}

func TestTargetEndsAnIdleStream(t *testing.T) {
	for _, row := range []struct {
		name string
		end  func(t *testing.T, h *harness, c *net.TCPConn)
	}{
		{"with a RST", func(_ *testing.T, _ *harness, c *net.TCPConn) { rst(c) }},
		{"with a RST behind an answer", func(_ *testing.T, _ *harness, c *net.TCPConn) {
			c.Write(random(1 << 20))
			rst(c)
		}},
		{"with a RST behind its FIN", func(t *testing.T, h *harness, c *net.TCPConn) {
			c.Write([]byte("x"))
			c.CloseWrite()
			// The FIN has the answer before it read.
			eventually(t, "the answer", func() bool { return h.Stats().BytesDiscarded == 1 })
			time.Sleep(10 * time.Millisecond) // no event tells that the FIN was read
			rst(c)
		}},
		{"by closing with unread bytes", func(_ *testing.T, _ *harness, c *net.TCPConn) { c.Close() }},
	} {
		t.Run(row.name, func(t *testing.T) {
			g := newTarget(t)
			h := serve(t, Config{Target: g.addr()})
			s := h.open(t, []byte("hello"))
			c := g.accept(t)
			eventually(t, "the greeting", func() bool { return h.Stats().BytesWritten == 5 })
			row.end(t, h, c)
			want(t, "outcome", s.outcome(t), "target-closed")
		})
	}
}

func TestTargetThatClosedAnswersTheNextBytesWithAReset(t *testing.T) {
	for _, row := range []struct {
		name string
		end  error // behind the bytes, nil: the client stays idle
	}{
		{"client idle after them", nil},
		{"client's FIN right after them", io.EOF},
		{"client's RST right after them", outcome.EndClientReset},
	} {
		t.Run(row.name, func(t *testing.T) {
			g := newTarget(t)
			h := serve(t, Config{Target: g.addr()})
			s := h.open(t)
			c := g.accept(t)
			c.Close()
			if row.end != nil {
				s.send([]byte("lost"))
				s.end(row.end)
			} else {
				s.send([]byte("lost"))
			}
			want(t, "outcome", s.outcome(t), "target-closed")
		})
	}
}

func TestResetBehindBothFINsIsNotComplete(t *testing.T) {
	g := newTarget(t)
	g.narrow(t)
	h := serve(t, Config{Target: g.addr(), LingerTimeout: time.Hour})
	const size = 500_000 // more than fits there, less than blocks here
	s := h.open(t, random(size))
	s.end(io.EOF)
	c := g.accept(t)
	eventually(t, "every byte in the queue", func() bool { return h.Stats().BytesWritten == size })
	c.CloseWrite()
	time.Sleep(10 * time.Millisecond) // no event tells that both FINs are through
	rst(c)
	want(t, "outcome", s.outcome(t), "target-closed")
}

func TestBytesBehindTheTargetsResetAreGivenBack(t *testing.T) {
	g := newTarget(t)
	h := serve(t, Config{Target: g.addr(), WriteTimeout: time.Hour})
	data := random(32 << 20) // more than any socket buffers hold
	s := h.open(t, data)
	c := g.accept(t)
	h.still(t)
	rst(c)
	want(t, "outcome", s.outcome(t), "target-closed")
	eventually(t, "the account", func() bool { return h.Stats().Open == 0 })
	n, rest := h.Stats(), s.rest()
	want(t, "bytes unsent", n.BytesUnsent, uint64(0))
	want(t, "bytes written and left", int(n.BytesWritten)+len(rest), len(data))
	if !bytes.HasSuffix(data, rest) {
		t.Error("what is left is not the stream's end")
	}
}
