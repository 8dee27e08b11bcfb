package bridge

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"netmirror/outcome"
	"netmirror/target/targettest"
)

// unixShadow is a shadow service on a unix socket.
type unixShadow struct{ *net.UnixListener }

func newUnix(t *testing.T, path string) unixShadow {
	t.Helper()
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return unixShadow{ln}
}

func (g unixShadow) accept(t *testing.T) *net.UnixConn {
	t.Helper()
	g.SetDeadline(time.Now().Add(patience))
	c, err := g.AcceptUnix()
	if err != nil {
		t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(2 * patience))
	t.Cleanup(func() { c.Close() })
	return c
}

// serveUnix serves streams to a new unix socket.
func serveUnix(t *testing.T, c Config) (unixShadow, *harness) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	c.Target = "unix://" + path
	return newUnix(t, path), serve(t, c)
}

func TestUnixTargetGetsTheStream(t *testing.T) {
	abstract := fmt.Sprintf("@netmirror-test-%d", os.Getpid())
	for name, url := range map[string]string{filepath.Join(t.TempDir(), "s"): "unix://", abstract: "unix:"} {
		g := newUnix(t, name)
		h := serve(t, Config{Target: url + name})
		data := random(4 << 20)
		s := h.open(t, split(data, bufferSize)...)
		s.end(io.EOF)
		c := g.accept(t)
		expect(t, c, data, nil)
		answer := random(300_000)
		if _, err := c.Write(answer); err != nil {
			t.Error(err)
		}
		c.CloseWrite()
		want(t, "outcome", s.outcome(t), "complete")
		want(t, "BytesWritten", h.Stats().BytesWritten, uint64(len(data)))
		want(t, "BytesDiscarded", h.Stats().BytesDiscarded, uint64(len(answer)))
		expect(t, c, nil, nil) // an end in order leaves nothing unread
	}
}

func TestAnsweringUnixTargetSeesThatAStreamWasCutOff(t *testing.T) {
	g, h := serveUnix(t, Config{})
	s := h.open(t, []byte("request"))
	c := g.accept(t)
	if _, err := io.ReadFull(c, make([]byte, 7)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write(random(100_000)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the answer", func() bool { return h.Stats().BytesDiscarded == 100_000 })
	if _, err := c.Write([]byte("more")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the answer", func() bool { return h.Stats().BytesDiscarded == 100_004 })
	s.send([]byte("half a requ"))
	s.end(outcome.EndGap)
	expect(t, c, []byte("half a requ"), errReset)
	want(t, "outcome", s.outcome(t), "gap")
}

func TestUnixTargetThatClosesFirst(t *testing.T) {
	for _, row := range []struct {
		name    string
		request []byte // of the client's, behind that
		outcome string
	}{
		{"and the client ends", nil, "complete"},
		{"and the client goes on", random(400), "target-closed"},
	} {
		g, h := serveUnix(t, Config{})
		s := h.open(t, []byte("first"))
		c := g.accept(t)
		if _, err := io.ReadFull(c, make([]byte, 5)); err != nil {
			t.Fatal(err)
		}
		c.Close()
		h.closedFirst(t, 1)
		if row.request != nil {
			s.send(row.request)
		}
		s.end(io.EOF)
		want(t, row.name, s.outcome(t), row.outcome)
		if !bytes.Equal(s.rest(), row.request) {
			t.Errorf("%s: %d bytes given back, other than the %d sent", row.name, len(s.rest()), len(row.request))
		}
	}
}

func TestUnixTargetThatClosesWithoutReading(t *testing.T) {
	for _, end := range []error{nil, io.EOF} {
		g, h := serveUnix(t, Config{})
		s := h.open(t, []byte("unread"))
		c := g.accept(t)
		h.still(t)
		s.end(end)
		c.Close()
		want(t, "outcome", s.outcome(t), "target-closed")
	}
}

func TestHalfClosedUnixTargetGetsAllThatFollows(t *testing.T) {
	g, h := serveUnix(t, Config{})
	data := random(1 << 20)
	s := h.open(t)
	c := g.accept(t)
	c.CloseWrite()
	h.closedFirst(t, 1)
	s.send(split(data, 5000)...)
	s.end(io.EOF)
	expect(t, c, data, nil)
	want(t, "outcome", s.outcome(t), "complete")
}

func TestUnixTargetThatTakesNothing(t *testing.T) {
	g, h := serveUnix(t, Config{WriteTimeout: 200 * time.Millisecond})
	s := h.open(t, random(4<<20))
	g.accept(t)
	want(t, "outcome", s.outcome(t), "target-slow")
}

func TestUnixTargetThatIsNotThere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	h := serve(t, Config{Target: "unix://" + path, Retries: -1})
	want(t, "outcome", h.open(t).outcome(t), "target-refused")
	if err := h.Health().Err; !errors.Is(err, os.ErrNotExist) || !bytes.Contains([]byte(err.Error()), []byte("dial unix "+path)) {
		t.Errorf("health has %v", err)
	}
	g := newUnix(t, path)
	s := h.open(t)
	s.end(io.EOF)
	expect(t, g.accept(t), nil, nil)
}

// Streams wait for room in a socket's listen queue within one attempt, as those of TCP do.
func TestUnixTargetWhoseListenQueueIsFull(t *testing.T) {
	g, h := serveUnix(t, Config{Retries: -1, DialTimeout: time.Hour})
	before := targettest.FillQueue(t, g.UnixListener)
	first, second := h.open(t, []byte("request")), h.open(t, []byte("request"))
	// The loop begins one after the other: by then the first has found the queue full.
	eventually(t, "both dials", func() bool { return h.Stats().Dials == 2 })
	for range before {
		g.accept(t).Close()
	}
	for range 2 {
		c := g.accept(t)
		first.end(io.EOF)
		second.end(io.EOF)
		expect(t, c, []byte("request"), nil)
		c.Close()
	}
	want(t, "outcome of the first", first.outcome(t), "complete")
	want(t, "outcome of the second", second.outcome(t), "complete")
	want(t, "DialErrors", h.Stats().DialErrors, uint64(0))
}

func TestUnixTargetWhoseListenQueueStaysFull(t *testing.T) {
	const limit = 30 * time.Millisecond
	type attempt struct {
		took time.Duration
		err  error
	}
	attempts := make(chan attempt, 1)
	g, h := serveUnix(t, Config{Retries: -1, DialTimeout: limit, DialTime: func(d time.Duration, err error) { attempts <- attempt{d, err} }})
	targettest.FillQueue(t, g.UnixListener)
	want(t, "outcome", h.open(t).outcome(t), "target-refused")
	if a := receive(t, attempts, "the attempt"); a.took < limit || !errors.Is(a.err, syscall.EAGAIN) {
		t.Errorf("it took %v and ended with %v, want %v and EAGAIN", a.took, a.err, limit)
	}
}

func TestShutdownEndsTheWaitForAListenQueue(t *testing.T) {
	g, h := serveUnix(t, Config{DialTimeout: time.Hour})
	targettest.FillQueue(t, g.UnixListener)
	s := h.open(t)
	eventually(t, "the dial", func() bool { return h.Stats().Dials == 1 })
	h.cancel()
	want(t, "outcome", s.outcome(t), "shutdown")
}
