package bridge

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"log/slog"
	"math/rand"
	"net"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"netmirror/outcome"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what has to come.
const patience = 20 * time.Second

// script is an accepted stream whose reads the test dictates.
type script struct {
	ended chan string   // outcomes given to CloseWith
	split chan struct{} // has what Split was told

	mu     sync.Mutex // guards the fields below
	chunks [][]byte
	err    error // follows the last chunk
	closed int
	last   []byte // what the last TryRead returned, until Unread
	past   []byte // the end of what was returned in all, less that of Unread
	more   bool   // Unread has taken back more than the last TryRead returned
	read   int    // bytes that TryRead returned, less those of Unread
	row    int    // the most bytes that one TryPass has given to its Taker
	wrong  string // how Unread was misused
	news   func() // OnReadable's
	during func() // called by the next TryRead that returns bytes
}

func newScript() *script {
	return &script{ended: make(chan string, 10), split: make(chan struct{}, 10)}
}

// send appends chunks, each of which one TryRead returns at most.
func (s *script) send(chunks ...[]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.chunks = append(s.chunks, chunks...)
	s.changed()
}

// changed tells the reader that there may be something new. s.mu is held.
func (s *script) changed() {
	if s.news != nil {
		s.news()
	}
}

// end makes err what TryRead returns after the last chunk.
func (s *script) end(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
	s.changed()
}

func (s *script) TryRead(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = nil
	switch {
	case s.more:
		s.wrong = "with more than the last TryRead returned, and the stream went on"
	case s.closed > 0:
		return 0, net.ErrClosed
	case len(s.chunks) == 0:
		return 0, s.err
	}
	if s.during != nil {
		s.during()
		s.during = nil
	}
	n := copy(p, s.chunks[0])
	s.last = s.chunks[0][:n]
	s.gone(n)
	if len(s.chunks) == 0 && s.err == io.EOF {
		return n, io.EOF
	}
	return n, nil
}

// TryPass offers one chunk after another.
func (s *script) TryPass(p []byte, t outcome.Taker) (taken, n int, err error) {
	taken, all := s.offer(t)
	s.row = max(s.row, taken)
	if !all {
		return taken, 0, nil
	}
	n, err = s.TryRead(p)
	return taken, n, err
}

// offer returns how many bytes t has taken, and whether the others are to be read.
func (s *script) offer(t outcome.Taker) (taken int, copies bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for !s.more && s.closed == 0 && len(s.chunks) > 0 {
		if s.during != nil {
			s.during()
			s.during = nil
		}
		s.last = nil
		chunk := s.chunks[0]
		n := t.Take(chunk)
		if n == outcome.Copy {
			break
		}
		taken += n
		s.gone(n)
		if n < len(chunk) {
			return taken, false
		}
	}
	return taken, true
}

// gone moves past the first n bytes, which are of the first chunk. s.mu is held.
func (s *script) gone(n int) {
	chunk := s.chunks[0]
	s.read += n
	s.past = append(s.past, chunk[max(0, n-keptPast):n]...)
	s.past = slices.Delete(s.past, 0, max(0, len(s.past)-keptPast))
	if s.chunks[0] = chunk[n:]; n == len(chunk) {
		s.chunks = s.chunks[1:]
	}
}

func (s *script) OnReadable(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.news = f
}

func (s *script) CloseWith(e outcome.End) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed++
	if s.more && e == outcome.EndTargetClosed {
		s.wrong = "with more than the last TryRead returned, and the stream may go on"
	}
	s.ended <- e.String()
}

func (s *script) Split()               { s.split <- struct{}{} }
func (s *script) LocalAddr() net.Addr  { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 2), Port: 80} }
func (s *script) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 4321} }

func (s *script) outcome(t *testing.T) string {
	t.Helper()
	return receive(t, s.ended, "the stream's end")
}

// Unread takes back p and checks what Stream asks of its reader. It keeps no copy:
// p has to be the end of a chunk that the script still knows.
func (s *script) Unread(p []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed > 0:
		s.wrong = "after CloseWith"
	case len(p) > 0 && bytes.HasSuffix(s.last, p):
		s.takeBack(s.last[len(s.last)-len(p):])
	case len(p) > 0 && bytes.HasSuffix(s.past, p):
		s.more = true
		s.takeBack(slices.Clone(p))
	default:
		s.wrong = "with something other than the end of what was read"
	}
	s.last = nil
}

// takeBack has p read again. s.mu is held.
func (s *script) takeBack(p []byte) {
	s.chunks = slices.Insert(s.chunks, 0, p)
	s.past = s.past[:max(0, len(s.past)-len(p))]
	s.read -= len(p)
}

// keptPast is how much a script remembers of what was read before the last TryRead.
const keptPast = 512

// rest is what the Bridge did not read, or gave back.
func (s *script) rest() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return bytes.Join(s.chunks, nil)
}

// queue is a listener that the test feeds.
type queue struct {
	conns  chan outcome.Stream
	closed chan struct{}
	once   sync.Once
	err    error // Accept's, once closed

	mu    sync.Mutex // guards the fields below
	came  []outcome.Stream
	ended error
}

func newQueue() *queue {
	return &queue{conns: make(chan outcome.Stream), closed: make(chan struct{}), err: net.ErrClosed}
}

func (q *queue) Accept() (outcome.Stream, error) {
	select {
	case c := <-q.conns:
		return c, nil
	case <-q.closed:
		return nil, q.err
	}
}

// OnStream has a goroutine fetch what the test feeds.
func (q *queue) OnStream(f func()) {
	go func() {
		for {
			c, err := q.Accept()
			q.mu.Lock()
			if q.ended = err; err == nil {
				q.came = append(q.came, c)
			}
			q.mu.Unlock()
			f()
			if err != nil {
				return
			}
		}
	}()
}

func (q *queue) TryAccept() (outcome.Stream, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.came) == 0 {
		return nil, q.ended
	}
	c := q.came[0]
	q.came = q.came[1:]
	return c, nil
}

func (q *queue) Close() error { q.once.Do(func() { close(q.closed) }); return nil }

// harness is a Bridge being served.
type harness struct {
	*Bridge
	ln     *queue
	cancel context.CancelFunc
	done   chan error // Serve's result
	all    []*script
}

// serve starts a Bridge; at the test's end its streams have to end in order, its
// accounts to be balanced, and every stream to have been closed once and
// been given back nothing but what it may be.
func serve(t *testing.T, c Config) *harness {
	t.Helper()
	b, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	h := &harness{Bridge: b, ln: newQueue(), cancel: cancel, done: make(chan error, 1)}
	go func() { h.done <- b.Serve(ctx, h.ln) }()
	t.Cleanup(func() {
		defer cancel()
		h.ln.Close()
		if err := receive(t, h.done, "Serve's return"); err != nil {
			t.Errorf("Serve: %v", err)
		}
		h.done <- nil
		balanced(t, b.Stats())
		read := 0
		for i, s := range h.all {
			s.mu.Lock()
			read += s.read
			if s.wrong != "" {
				t.Errorf("Unread of accepted stream %d called %s", i, s.wrong)
			}
			if s.closed != 1 {
				t.Errorf("accepted stream %d closed %d times, want once", i, s.closed)
			}
			s.mu.Unlock()
		}
		want(t, "BytesRead", b.Stats().BytesRead, uint64(read))
	})
	return h
}

func balanced(t *testing.T, s Stats) {
	t.Helper()
	var ended uint64
	for _, n := range s.Outcomes {
		ended += n
	}
	if s.Open != 0 || s.Waiting != 0 || ended != s.Streams {
		t.Errorf("streams: %d accepted, %d ended, %d open, %d waiting", s.Streams, ended, s.Open, s.Waiting)
	}
	if s.BytesRead+s.Requests.BytesAdded != s.BytesWritten+s.BytesUnsent+s.Requests.BytesLeftOut {
		t.Errorf("bytes: %d read, %d written, %d unsent, %d added, %d left out", s.BytesRead, s.BytesWritten, s.BytesUnsent, s.Requests.BytesAdded, s.Requests.BytesLeftOut)
	}
}

// open has the Bridge accept a new stream.
func (h *harness) open(t *testing.T, chunks ...[]byte) *script {
	t.Helper()
	s := newScript()
	s.send(chunks...)
	h.play(t, s)
	return s
}

// play has the bridge play a stream.
func (h *harness) play(t *testing.T, s *script) {
	t.Helper()
	select {
	case h.ln.conns <- s:
	case <-time.After(patience):
		t.Fatal("not accepted")
	}
	h.all = append(h.all, s)
}

// target is a shadow service on loopback.
type shadow struct{ *net.TCPListener }

func newTarget(t *testing.T) shadow {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return shadow{ln.(*net.TCPListener)}
}

func (g shadow) addr() string { return g.Addr().String() }

// narrow gives the connections to come the smallest receive buffer there is.
func (g shadow) narrow(t *testing.T) {
	t.Helper()
	raw, err := g.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	raw.Control(func(fd uintptr) {
		err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4096)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// accept takes the next connection; it is closed when the test ends.
func (g shadow) accept(t *testing.T) *net.TCPConn {
	t.Helper()
	g.SetDeadline(time.Now().Add(patience))
	c, err := g.AcceptTCP()
	if err != nil {
		t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(2 * patience))
	t.Cleanup(func() { c.Close() })
	return c
}

// rst closes c with a RST.
func rst(c *net.TCPConn) {
	c.SetLinger(0)
	c.Close()
}

// expect reads c to its end, which has to be end, and wants it to have been data.
func expect(t *testing.T, c io.Reader, data []byte, end error) {
	t.Helper()
	sum := sha256.New()
	n, err := io.Copy(sum, c)
	if !errors.Is(err, end) {
		t.Errorf("target's read ended with %v, want %v", err, end)
	}
	want := sha256.Sum256(data)
	if n != int64(len(data)) || string(sum.Sum(nil)) != string(want[:]) {
		t.Errorf("target got %d bytes, other than the %d sent", n, len(data))
	}
}

var errReset error = syscall.ECONNRESET

func random(n int) []byte {
	p := make([]byte, n)
	rand.New(rand.NewSource(int64(n))).Read(p)
	return p
}

// split cuts p in pieces of at most size bytes.
func split(p []byte, size int) (chunks [][]byte) {
	for len(p) > size {
		chunks = append(chunks, p[:size])
		p = p[size:]
	}
	return append(chunks, p)
}

func receive[T any](t *testing.T, c <-chan T, what string) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(patience):
		t.Fatalf("%s did not come", what)
	}
	return v
}

// eventually waits for a figure that no event announces.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !cond(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s did not come", what)
		}
	}
}

// still waits until the Bridge has written something and nothing moves any more:
// no event tells that its streams wait.
func (h *harness) still(t *testing.T) {
	t.Helper()
	var before Stats
	looks := 0
	eventually(t, "streams that wait", func() bool {
		now := h.Stats()
		if looks++; now.BytesWritten == 0 || now.BytesWritten != before.BytesWritten {
			looks = 0
		}
		before = now
		return looks > 100
	})
}

func want(t *testing.T, what string, got, want any) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// lines is a logger's handler that keeps what is logged above Debug.
type lines struct {
	slog.Handler
	mu   sync.Mutex // guards text
	text []string
}

func (l *lines) Enabled(context.Context, slog.Level) bool { return true }

func (l *lines) Handle(_ context.Context, r slog.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if r.Level > slog.LevelDebug {
		l.text = append(l.text, r.Level.String()+" "+r.Message)
	}
	return nil
}

func (l *lines) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.text)
}
