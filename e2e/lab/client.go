package lab

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// clientPatience limits how long a client waits, so a lab that has stopped forwarding
// makes a test fail and not hang.
const clientPatience = 60 * time.Second

// Client makes connections to the production service.
type Client struct {
	From      *Namespace
	To        netip.AddrPort
	Multipath bool // the connections are MPTCP
}

// ClientOf returns a client in Cli of the service that listens on port in Srv.
func (l *Lab) ClientOf(port uint16) Client {
	return Client{From: l.Cli, To: l.Origin(port)}
}

// Stream is one HTTP/1.1 connection of a client. It records what it sent.
type Stream struct {
	*net.TCPConn
	answers *bufio.Reader
	sent    tally
}

// Open makes a connection. The caller owns it.
func (c Client) Open(ctx context.Context) (*Stream, error) {
	dial := c.From.Dial
	if c.Multipath {
		dial = c.From.DialMultipath
	}
	conn, err := dial(ctx, c.To)
	if err != nil {
		return nil, err
	}
	if err := conn.SetDeadline(time.Now().Add(clientPatience)); err != nil {
		conn.Close()
		return nil, err
	}
	return &Stream{TCPConn: conn, answers: bufio.NewReader(conn), sent: newTally()}, nil
}

// Write sends and records.
func (s *Stream) Write(b []byte) (int, error) {
	n, err := s.TCPConn.Write(b)
	s.sent.add(b[:n])
	return n, err
}

// ReadFrom replaces that of TCPConn, by which io.Copy would bypass Write.
func (s *Stream) ReadFrom(r io.Reader) (int64, error) {
	return io.CopyBuffer(struct{ io.Writer }{s}, r, make([]byte, 64<<10))
}

// Sent returns the record of what was written, with the given end.
func (s *Stream) Sent(end End) Record {
	return s.sent.record(s.LocalAddr().(*net.TCPAddr).AddrPort(), end)
}

// GetHeader is what Get sends.
func GetHeader(id uint64) string { return fmt.Sprintf("GET /%d HTTP/1.1\r\nHost: lab\r\n\r\n", id) }

// Get sends a request without a body and reads the answer.
func (s *Stream) Get(id uint64) error {
	if _, err := s.Write([]byte(GetHeader(id))); err != nil {
		return err
	}
	return s.Answer()
}

// Post sends a request with the first size bytes of Body(id), and reads the answer.
func (s *Stream) Post(id uint64, size int64) error {
	if err := s.Send(id, size); err != nil {
		return err
	}
	return s.Answer()
}

// PostHeader is the head that Post and Send send before a body of size bytes.
func PostHeader(id uint64, size int64) string {
	return fmt.Sprintf("POST /%d HTTP/1.1\r\nHost: lab\r\nContent-Length: %d\r\n\r\n", id, size)
}

// Send is Post without waiting for the answer.
func (s *Stream) Send(id uint64, size int64) error {
	header := PostHeader(id, size)
	first := min(size, 32<<10)
	head := make([]byte, len(header)+int(first))
	body := Body(id)
	copy(head, header)
	body.Read(head[len(header):])
	if _, err := s.Write(head); err != nil {
		return err
	}
	_, err := s.ReadFrom(io.LimitReader(body, size-first))
	return err
}

// Answer reads one response to its end.
func (s *Stream) Answer() error {
	resp, err := http.ReadResponse(s.answers, nil)
	if err != nil {
		return fmt.Errorf("lab: answer: %w", err)
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

// Body is an endless reader. Its bytes depend only on id, and differ for each id.
func Body(id uint64) *rand.ChaCha8 {
	var seed [32]byte
	binary.LittleEndian.PutUint64(seed[:], id)
	return rand.NewChaCha8(seed)
}

// Flushed returns when the peer's kernel has acknowledged everything that was written,
// so every byte has passed the mirror.
func (s *Stream) Flushed(ctx context.Context) error {
	raw, err := s.SyscallConn()
	if err != nil {
		return err
	}
	for {
		var queued int
		var qerr error
		if err := raw.Control(func(fd uintptr) {
			queued, qerr = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ)
		}); err != nil {
			return err
		}
		if qerr != nil || queued == 0 {
			return qerr
		}
		// The kernel has no event for this.
		select {
		case <-ctx.Done():
			return fmt.Errorf("lab: %d bytes unacknowledged: %w", queued, ctx.Err())
		case <-time.After(time.Millisecond):
		}
	}
}

// With opens a connection, runs f on it and closes it.
func (c Client) With(ctx context.Context, f func(*Stream) error) error {
	s, err := c.Open(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	return f(s)
}

// Each calls f for 0 to n-1, at most limit of them at a time. After the first error it
// starts no more, and returns that error.
func Each(ctx context.Context, n, limit int, f func(ctx context.Context, i int) error) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(limit)
	for i := range n {
		if ctx.Err() != nil {
			break
		}
		g.Go(func() error {
			if err := f(ctx, i); err != nil {
				return fmt.Errorf("connection %d: %w", i, err)
			}
			return nil
		})
	}
	return g.Wait()
}
