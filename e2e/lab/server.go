package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// A Handler serves one connection of a Server. After it has returned, the server reads
// the rest of the connection. done is closed when the server is being closed; a handler
// that waits must also wait for done.
type Handler func(c *Conn, done <-chan struct{})

// Server accepts connections and records each. It is used for the production service
// and for the shadow service.
type Server struct {
	ns      *Namespace // not the Server's
	ln      *net.TCPListener
	handle  Handler
	done    chan struct{} // closed by Close
	closing sync.Once
	wg      sync.WaitGroup
	bytes   atomic.Int64 // received on all connections

	mu      sync.Mutex // guards the fields below
	conns   []*Conn
	open    int
	changed chan struct{} // closed, and replaced, when a connection comes or ends
}

// Conn is a connection that the server accepted. Its Read and Write record.
type Conn struct {
	*net.TCPConn
	server *Server

	mu    sync.Mutex // guards the fields below
	tally tally
	end   End
}

// Serve starts a server inside the namespace. The caller owns it and ends it
// with Close.
func (n *Namespace) Serve(at netip.AddrPort, handle Handler) (*Server, error) {
	ln, err := n.Listen(at)
	if err != nil {
		return nil, fmt.Errorf("lab: serve in %s: %w", n.label, err)
	}
	s := &Server{ns: n, ln: ln, handle: handle, done: make(chan struct{}), changed: make(chan struct{})}
	s.wg.Go(s.accept)
	return s, nil
}

func (s *Server) accept() {
	for {
		nc, err := s.ln.AcceptTCP()
		if err != nil {
			return // Close closed the listener
		}
		c := &Conn{TCPConn: nc, server: s, tally: newTally(), end: Open}
		s.mu.Lock()
		s.conns = append(s.conns, c)
		s.open++
		s.signal()
		s.mu.Unlock()
		s.wg.Go(func() { s.serve(c) })
	}
}

func (s *Server) serve(c *Conn) {
	defer c.Close()
	// Only closing the connection interrupts a handler's read or write.
	gone := make(chan struct{})
	defer close(gone)
	go func() {
		select {
		case <-s.done:
			c.Close()
		case <-gone:
		}
	}()
	s.handle(c, s.done)
	io.Copy(io.Discard, struct{ io.Reader }{c}) // to the end, which Read records
	s.mu.Lock()
	s.open--
	s.signal()
	s.mu.Unlock()
}

// signal wakes all waiters; the caller holds s.mu.
func (s *Server) signal() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// Addr is the address that the server listens on.
func (s *Server) Addr() net.Addr { return s.ln.Addr() }

// Read reads from the connection and records bytes and end.
func (c *Conn) Read(b []byte) (int, error) {
	n, err := c.TCPConn.Read(b)
	c.server.bytes.Add(int64(n))
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tally.add(b[:n])
	if err != nil && c.end == Open {
		c.end = endOf(err)
	}
	return n, err
}

// Write writes to the connection. It records a reset, because the kernel reports a
// reset only once, to a read or a write.
func (c *Conn) Write(b []byte) (int, error) {
	n, err := c.TCPConn.Write(b)
	if errors.Is(err, unix.ECONNRESET) {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.end == Open {
			c.end = Reset
		}
	}
	return n, err
}

func endOf(err error) End {
	switch {
	case errors.Is(err, io.EOF):
		return EOF
	case errors.Is(err, unix.ECONNRESET):
		return Reset
	case errors.Is(err, os.ErrDeadlineExceeded):
		return Open
	default:
		return End(err.Error())
	}
}

// Record returns the record of what has come on the connection so far.
func (c *Conn) Record() Record {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.tally.record(c.RemoteAddr().(*net.TCPAddr).AddrPort(), c.end)
}

// Records returns a record of every connection so far.
func (s *Server) Records() []Record {
	s.mu.Lock()
	conns := s.conns[:len(s.conns):len(s.conns)]
	s.mu.Unlock()
	records := make([]Record, len(conns))
	for i, c := range conns {
		records[i] = c.Record()
	}
	return records
}

// Received is the number of bytes that came on all connections so far.
func (s *Server) Received() int64 { return s.bytes.Load() }

// patience is how long Wait waits without an event.
const patience = 10 * time.Second

// Wait returns when at least n connections have come and none of them is open. It fails
// when ctx ends, and when for ten seconds no connection comes or ends and no byte
// arrives.
func (s *Server) Wait(ctx context.Context, n int) error {
	return s.wait(ctx, func(came []*Conn, open int) bool { return len(came) >= n && open == 0 })
}

// WaitAll returns when every connection that was made before the call has come, and none is
// open. It makes a connection of its own, without a byte, which comes behind them: the kernel
// hands them over in order. It fails as Wait does.
func (s *Server) WaitAll(ctx context.Context) error {
	last, err := s.ns.Dial(ctx, s.ln.Addr().(*net.TCPAddr).AddrPort())
	if err != nil {
		return fmt.Errorf("lab: wait for connections: %w", err)
	}
	own := last.LocalAddr().String()
	last.Close()
	isLast := func(c *Conn) bool { return c.RemoteAddr().String() == own }
	return s.wait(ctx, func(came []*Conn, open int) bool {
		return open == 0 && slices.ContainsFunc(came, isLast)
	})
}

// WaitAccepted returns when at least n connections have come. It fails as Wait does.
func (s *Server) WaitAccepted(ctx context.Context, n int) error {
	return s.wait(ctx, func(came []*Conn, _ int) bool { return len(came) >= n })
}

// WaitReceived returns when at least n bytes have come on all connections together. It
// polls, because bytes cause no event.
func (s *Server) WaitReceived(ctx context.Context, n int64) error {
	for s.Received() < n {
		select {
		case <-ctx.Done():
			return fmt.Errorf("lab: %d of %d bytes came: %w", s.Received(), n, ctx.Err())
		case <-time.After(time.Millisecond):
		}
	}
	return nil
}

func (s *Server) wait(ctx context.Context, enough func(came []*Conn, open int) bool) error {
	stall := time.NewTimer(patience)
	defer stall.Stop()
	for seen := s.Received(); ; {
		s.mu.Lock()
		came, open, changed := s.conns[:len(s.conns):len(s.conns)], s.open, s.changed
		s.mu.Unlock()
		if enough(came, open) {
			return nil
		}
		state := func() string {
			return fmt.Sprintf("%d connections came, %d of them are open, %d bytes", len(came), open, s.Received())
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("lab: %s: %w", state(), ctx.Err())
		case <-stall.C:
			if s.Received() == seen {
				return fmt.Errorf("lab: %s, and nothing happens any more", state())
			}
		}
		seen = s.Received()
		stall.Reset(patience)
	}
}

// Close ends the server as the end of its process would: the kernel ends each
// connection with a FIN, or with a reset if bytes are unread. When Close returns, every
// goroutine has returned. Further calls do nothing.
func (s *Server) Close() {
	s.closing.Do(func() {
		close(s.done)
		s.ln.Close()
	})
	s.wg.Wait()
}
