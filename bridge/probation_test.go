package bridge

import (
	"bytes"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"netmirror/outcome"
)

// closedFirst waits until n targets' FINs have been heard.
func (h *harness) closedFirst(t *testing.T, n uint64) {
	t.Helper()
	eventually(t, "the target's FIN", func() bool { return h.Stats().ClosedFirst == n })
}

// served opens a stream whose first request was answered by c.
func (h *harness) served(t *testing.T, g shadow) (s *script, c *net.TCPConn) {
	t.Helper()
	s = h.open(t, []byte("first"))
	c = g.accept(t)
	if _, err := io.ReadFull(c, make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	c.Write([]byte("answer"))
	return s, c
}

func TestRequestBehindAClosedTargetIsGivenBackWhole(t *testing.T) {
	for _, row := range []struct {
		name    string
		request []byte
		piece   int
		end     error
	}{
		{"one byte", []byte("x"), 1, nil},
		{"a short one", random(400), 400, nil},
		{"in pieces", random(400), 7, nil},
		{"as long as a probe", random(probeSize), probeSize, nil},
		{"longer than a probe", random(probeSize + 1), probeSize + 1, nil},
		{"longer than a buffer", random(3*bufferSize + 1), 3*bufferSize + 1, nil},
		{"with the client's FIN behind", random(400), 400, io.EOF},
		{"with the client's RST behind", random(400), 400, outcome.EndClientReset},
	} {
		t.Run(row.name, func(t *testing.T) {
			g := newTarget(t)
			h := serve(t, Config{Target: g.addr()})
			s, c := h.served(t, g)
			c.Close()
			h.closedFirst(t, 1)
			s.mu.Lock() // what follows comes at once
			s.chunks, s.err = split(row.request, row.piece), row.end
			s.changed()
			s.mu.Unlock()
			want(t, "outcome", s.outcome(t), "target-closed")
			if !bytes.Equal(s.rest(), row.request) {
				t.Errorf("%d bytes given back, other than the %d sent", len(s.rest()), len(row.request))
			}
			want(t, "BytesWritten", h.Stats().BytesWritten, uint64(5))
			want(t, "BytesUnsent", h.Stats().BytesUnsent, uint64(0))
		})
	}
}

// However late the loop comes to write a request, it does not write it to a target that
// has closed by then.
func TestTargetThatClosesWhileARequestIsRead(t *testing.T) {
	for _, next := range nextRequests {
		g := newTarget(t)
		d := keepDial{t: t, before: func(*net.TCPConn) {}}
		h := serve(t, Config{Target: g.addr(), Dial: d.dial})
		s, c := h.served(t, g)
		s.mu.Lock()
		s.during = func() {
			c.Close()
			eventually(t, "the FIN", func() bool { return d.info().State == unix.BPF_TCP_CLOSE_WAIT })
		}
		s.mu.Unlock()
		s.send([]byte(next))
		want(t, "outcome", s.outcome(t), "target-closed")
		want(t, "what was given back", string(s.rest()), next)
		want(t, "BytesWritten", h.Stats().BytesWritten, uint64(5))
		want(t, "ClosedFirst", h.Stats().ClosedFirst, uint64(1))
	}
}

// nextRequests are one that is copied and one that is written from where it is.
var nextRequests = []string{"next", strings.Repeat("next", longPiece)}

// The same for the first bytes of a connection, and for the next ones in one turn of the loop.
func TestTargetThatClosesInTheFirstTurn(t *testing.T) {
	for _, next := range nextRequests {
		for _, sent := range []string{"", "first"} {
			closesInTheFirstTurn(t, sent, next)
		}
	}
}

func closesInTheFirstTurn(t *testing.T, sent, next string) {
	t.Helper()
	g := newTarget(t)
	d := keepDial{t: t, before: func(*net.TCPConn) {}}
	h := serve(t, Config{Target: g.addr(), Dial: d.dial})
	s := newScript()
	twice := &reads{script: s, before: 1 + len(sent)/len("first")}
	twice.hold = func() {
		eventually(t, "the FIN", func() bool { return d.info().State == unix.BPF_TCP_CLOSE_WAIT })
	}
	if sent != "" {
		s.send([]byte(sent))
	}
	s.send([]byte(next))
	go func() {
		if c, err := g.AcceptTCP(); err == nil {
			io.ReadFull(c, make([]byte, len(sent)))
			c.Close()
		}
	}()
	h.all = append(h.all, s)
	h.ln.conns <- twice
	want(t, "outcome", s.outcome(t), "target-closed")
	want(t, "what was given back", string(s.rest()), next)
	want(t, "BytesWritten", h.Stats().BytesWritten, uint64(len(sent)))
}

// reads calls hold in a script's n-th TryRead.
type reads struct {
	*script
	before int
	hold   func()
}

func (r *reads) TryRead(p []byte) (int, error) {
	if r.before--; r.before == 0 {
		r.hold()
	}
	return r.script.TryRead(p)
}

func (r *reads) TryPass(p []byte, t outcome.Taker) (taken, n int, err error) {
	if r.before--; r.before == 0 {
		r.hold()
	}
	return r.script.TryPass(p, t)
}

// A server that allows ten requests a connection gets every one of a hundred,
// where what is given back is played on a new connection.
func TestKeepAliveLimitCostsNoRequest(t *testing.T) {
	const size, limit, requests = 333, 10, 100
	g := newTarget(t)
	h := serve(t, Config{Target: g.addr()})
	data := random(size * requests)
	var got []byte
	s := h.open(t)
	c := g.accept(t)
	for i, p := range split(data, size) {
		s.send(p)
		if i > 0 && i%limit == 0 {
			want(t, "outcome", s.outcome(t), "target-closed")
			s = h.open(t, s.rest())
			c = g.accept(t)
		}
		request := make([]byte, size)
		if _, err := io.ReadFull(c, request); err != nil {
			t.Fatalf("request %d: %v", i, err)
		}
		got = append(got, request...)
		if i%limit == limit-1 {
			c.Write([]byte("the last answer"))
			c.Close()
			h.closedFirst(t, uint64(i/limit)+1)
		}
	}
	s.end(io.EOF)
	want(t, "outcome of the last", s.outcome(t), "complete")
	if !bytes.Equal(got, data) {
		t.Error("the target got other requests than were sent")
	}
}

func TestHalfClosedTargetGetsAllThatFollows(t *testing.T) {
	g := newTarget(t)
	h := serve(t, Config{Target: g.addr()})
	data := random(4 << 20)
	s := h.open(t)
	c := g.accept(t)
	c.CloseWrite()
	h.closedFirst(t, 1)
	s.send(split(data, 5000)...)
	s.end(io.EOF)
	expect(t, c, data, nil)
	want(t, "outcome", s.outcome(t), "complete")
	eventually(t, "the account", func() bool { return h.Stats().Open == 0 })
	want(t, "complete streams", h.Stats().Outcomes[outcome.EndComplete], uint64(1))
}

func TestHalfClosedTargetMayBeSlowToTakeWhatCameBefore(t *testing.T) {
	g := newTarget(t)
	h := serve(t, Config{Target: g.addr(), WriteTimeout: 400 * time.Millisecond})
	g.narrow(t)
	data := random(200_000)
	before, after := data[:150_000], data[150_000:]
	s := h.open(t, before) // more than fits there, less than blocks here
	c := g.accept(t)
	eventually(t, "every byte in the queue", func() bool { return h.Stats().BytesWritten == 150_000 })
	c.CloseWrite()
	h.closedFirst(t, 1)
	s.send(after)
	s.end(io.EOF)
	expect(t, slow{c, 2000, 10 * time.Millisecond}, data, nil)
	want(t, "outcome", s.outcome(t), "complete")
}

func TestResetWithBytesBeforeTheFINUnacknowledged(t *testing.T) {
	g := newTarget(t)
	h := serve(t, Config{Target: g.addr(), WriteTimeout: time.Hour})
	g.narrow(t)
	s := h.open(t, random(150_000)) // more than fits there, less than blocks here
	c := g.accept(t)
	eventually(t, "every byte in the queue", func() bool { return h.Stats().BytesWritten == 150_000 })
	c.CloseWrite()
	h.closedFirst(t, 1)
	s.send([]byte("next"))
	rst(c)
	want(t, "outcome", s.outcome(t), "target-closed")
	want(t, "given back", string(s.rest()), "next")
}

// What the target's kernel has of a probe, and only that, is written; the rest
// goes back or, at a shutdown, is unsent.
func TestProbeThatDoesNotFitTheTargetsWindow(t *testing.T) {
	for _, row := range []struct {
		outcome string
		limit   time.Duration
		// end brings the outcome about and returns how many bytes the target received,
		// none of which it has read.
		end func(t *testing.T, h *harness, c *net.TCPConn) int64
	}{
		{"target-closed", time.Hour, func(t *testing.T, _ *harness, c *net.TCPConn) int64 {
			n := receiveQueue(t, c)
			rst(c)
			return n
		}},
		{"target-slow", 300 * time.Millisecond, func(t *testing.T, h *harness, c *net.TCPConn) int64 {
			eventually(t, "the end", func() bool { return h.Stats().Open == 0 })
			n, _ := io.Copy(io.Discard, c)
			return n
		}},
		{"shutdown", time.Hour, func(t *testing.T, h *harness, c *net.TCPConn) int64 {
			h.cancel()
			n, _ := io.Copy(io.Discard, c)
			return n
		}},
	} {
		t.Run(row.outcome, func(t *testing.T) {
			g := newTarget(t)
			d := keepDial{t: t, before: func(*net.TCPConn) {}}
			h := serve(t, Config{Target: g.addr(), WriteTimeout: row.limit, Dial: d.dial})
			g.narrow(t)
			s := h.open(t)
			c := g.accept(t)
			filled := fillWindow(t, h, s, &d)
			c.CloseWrite()
			h.closedFirst(t, 1)
			probe := random(probeSize)
			s.send(probe)
			eventually(t, "the probe in the queue", func() bool { return d.queued() > 0 })

			received := row.end(t, h, c)
			want(t, "outcome", s.outcome(t), row.outcome)
			eventually(t, "the account", func() bool { return h.Stats().Open == 0 })
			n, back := h.Stats(), s.rest()
			want(t, "bytes written, unsent and left", int(n.BytesWritten+n.BytesUnsent)+len(back), int(filled)+len(probe))
			if row.outcome == "shutdown" { // which does not wait to be told of the last bytes
				want(t, "something is unsent", n.BytesUnsent > 0, true)
				return
			}
			want(t, "BytesWritten", n.BytesWritten, uint64(received))
			want(t, "BytesUnsent", n.BytesUnsent, uint64(0))
			if !bytes.HasSuffix(probe, back) {
				t.Error("what is left is not the probe's end")
			}
		})
	}
}

// receiveQueue is how many bytes wait to be read from c.
func receiveQueue(t *testing.T, c *net.TCPConn) int64 {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	raw.Control(func(fd uintptr) { n, err = unix.IoctlGetInt(int(fd), unix.SIOCINQ) })
	if err != nil {
		t.Fatal(err)
	}
	return int64(n)
}

// queued is what the kernel still holds for the target.
func (d *keepDial) queued() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	raw, err := d.last.SyscallConn()
	if err != nil {
		d.t.Fatal(err)
	}
	n := 0
	raw.Control(func(fd uintptr) { n, err = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ) })
	if err != nil {
		return 0
	}
	return n
}

// fillWindow sends until less than half a probe fits in the window of a target that
// does not read, and leaves nothing unacknowledged.
func fillWindow(t *testing.T, h *harness, s *script, d *keepDial) (n uint64) {
	t.Helper()
	const piece = 256
	for info := (unix.TCPInfo{}); n == 0 || info.Snd_wnd >= probeSize/2; n += piece {
		s.send(random(piece))
		eventually(t, "the piece", func() bool { return h.Stats().BytesWritten == n+piece && d.queued() == 0 })
		info = d.info()
	}
	return n
}

func (d *keepDial) info() unix.TCPInfo {
	d.mu.Lock()
	defer d.mu.Unlock()
	raw, err := d.last.SyscallConn()
	if err != nil {
		d.t.Fatal(err)
	}
	var info *unix.TCPInfo
	raw.Control(func(fd uintptr) { info, err = unix.GetsockoptTCPInfo(int(fd), unix.SOL_TCP, unix.TCP_INFO) })
	if err != nil {
		d.t.Fatal(err)
	}
	return *info
}

func TestTargetsFINIsToldOnce(t *testing.T) {
	g := newTarget(t)
	h := serve(t, Config{Target: g.addr()})
	s := h.open(t)
	c := g.accept(t)
	c.CloseWrite()
	receive(t, s.split, "the news of the target's FIN")
	for range 3 {
		s.send([]byte("more"))
		if _, err := io.ReadFull(c, make([]byte, 4)); err != nil {
			t.Fatal(err)
		}
	}
	s.end(io.EOF)
	expect(t, c, nil, nil)
	want(t, "outcome", s.outcome(t), "complete")
	want(t, "further calls of Split", len(s.split), 0)
}

func TestTargetsFINBehindTheClientsIsNoNews(t *testing.T) {
	g := newTarget(t)
	h := serve(t, Config{Target: g.addr()})
	s := h.open(t)
	s.end(io.EOF)
	c := g.accept(t)
	expect(t, c, nil, nil)
	c.Close()
	want(t, "outcome", s.outcome(t), "complete")
	want(t, "calls of Split", len(s.split), 0)
}
