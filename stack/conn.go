package stack

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/waiter"
)

// Conn is one client's byte stream. It can be read, by one goroutine, and
// closed; there is nobody to write to.
//
// Read returns io.EOF where the client's FIN was, an End where the stream
// cannot be followed any further, and net.ErrClosed after Close. Every byte
// before that is exactly what the client sent.
type Conn struct {
	stack         *Stack
	flow          *flow
	local, remote net.Addr

	ready chan struct{} // holds a token when there may be something new to see

	mu     sync.Mutex // guards the fields below; never held while waiting
	ep     tcpip.Endpoint
	live   bool         // ep still receives; else what is left is in rest
	rest   bytes.Buffer // bytes taken out of ep when it was ended
	end    error        // what follows the last byte
	closed bool
}

func newConn(s *Stack, f *flow, ep tcpip.Endpoint, wq *waiter.Queue) *Conn {
	c := &Conn{stack: s, flow: f, ep: ep, live: true, ready: make(chan struct{}, 1)}
	c.remote, c.local = f.key.addrs(s.cfg.Port)
	entry := waiter.NewFunctionEntry(waiter.ReadableEvents|waiter.EventHUp|waiter.EventErr, func(waiter.EventMask) { c.wake() })
	wq.EventRegister(&entry)
	return c
}

// addrs are the client's and the server's original address.
func (k *flowKey) addrs(port uint16) (client, server net.Addr) {
	return &net.TCPAddr{IP: k.addr(&k.src).AsSlice(), Port: int(k.port)},
		&net.TCPAddr{IP: k.addr(&k.dst).AsSlice(), Port: int(port)}
}

func (c *Conn) wake() {
	select {
	case c.ready <- struct{}{}:
	default:
	}
}

// errWait says that there is nothing to return yet.
var errWait = errors.New("stack: not ready")

// Read waits for the stream's next bytes.
func (c *Conn) Read(p []byte) (int, error) {
	for {
		n, err := c.tryRead(p)
		if err != errWait {
			return n, err
		}
		<-c.ready
	}
}

// WaitReadable returns when Read would not wait, so that a reader needs no
// buffer until there is something to put in it.
func (c *Conn) WaitReadable() error {
	for {
		c.mu.Lock()
		closed := c.closed
		ready := closed || !c.live || c.ep.Readiness(waiter.ReadableEvents) != 0
		c.mu.Unlock()
		if closed {
			return net.ErrClosed
		}
		if ready {
			return nil
		}
		<-c.ready
	}
}

func (c *Conn) tryRead(p []byte) (n int, err error) {
	if len(p) == 0 {
		return 0, nil
	}
	c.mu.Lock()
	n, err = c.readLocked(p)
	ended := err == io.EOF && c.live
	if ended {
		c.endLocked(io.EOF)
	}
	c.mu.Unlock()
	if n > 0 {
		c.stack.bytesRead.Add(uint64(n))
	}
	if ended {
		c.stack.finished(c.flow)
	}
	return n, err
}

func (c *Conn) readLocked(p []byte) (int, error) {
	switch {
	case c.closed:
		return 0, net.ErrClosed
	case !c.live && c.rest.Len() > 0:
		return c.rest.Read(p)
	case !c.live:
		return 0, c.end
	}
	w := tcpip.SliceWriter(p)
	res, err := c.ep.Read(&w, tcpip.ReadOptions{})
	switch err.(type) {
	case nil:
		return res.Count, nil
	case *tcpip.ErrWouldBlock:
		return 0, errWait
	case *tcpip.ErrClosedForReceive:
		return 0, io.EOF
	}
	return 0, gvisorError("read", err)
}

// finish ends the stream with err behind the bytes that gVisor has in order by
// now; a FIN among them makes it io.EOF, and complete true. The endpoint is
// gone afterwards and its addresses can be used again, while what was not read
// yet is kept.
func (c *Conn) finish(err error) (complete bool) {
	c.mu.Lock()
	if c.live {
		_, rerr := c.ep.Read(&c.rest, tcpip.ReadOptions{})
		for rerr == nil {
			_, rerr = c.ep.Read(&c.rest, tcpip.ReadOptions{})
		}
		if _, fin := rerr.(*tcpip.ErrClosedForReceive); fin {
			err, complete = io.EOF, true
		}
		c.endLocked(err)
	}
	c.mu.Unlock()
	c.wake()
	return complete
}

// endLocked takes the endpoint out of gVisor at once: a close in good order
// would wait for acknowledgements that nobody sends.
func (c *Conn) endLocked(err error) {
	c.live = false
	c.end = err
	c.ep.Abort()
}

// Close gives the stream up. Packets of the connection that come later are
// dropped.
func (c *Conn) Close() error {
	c.CloseWith("")
	return nil
}

// CloseWith is Close for a reader that has a name for how the stream ended.
func (c *Conn) CloseWith(string) {
	c.mu.Lock()
	wasLive := c.live
	unread := c.rest.Len()
	if wasLive {
		if n, err := c.ep.GetSockOptInt(tcpip.ReceiveQueueSizeOption); err == nil {
			unread = n
		}
		c.endLocked(net.ErrClosed)
	}
	c.closed = true
	c.stack.bytesUnread.Add(uint64(unread))
	c.rest = bytes.Buffer{}
	c.mu.Unlock()
	c.wake()
	if wasLive {
		c.stack.abandoned(c.flow)
	}
}

// Write fails: the client is not there.
func (c *Conn) Write([]byte) (int, error) {
	return 0, &net.OpError{Op: "write", Net: "tcp", Source: c.local, Addr: c.remote, Err: errors.ErrUnsupported}
}

// LocalAddr is the address of the server that the client connected to.
func (c *Conn) LocalAddr() net.Addr { return c.local }

// RemoteAddr is the client's address.
func (c *Conn) RemoteAddr() net.Addr { return c.remote }

// SetDeadline is not supported: Close interrupts a Read.
func (c *Conn) SetDeadline(time.Time) error { return os.ErrNoDeadline }

// SetReadDeadline is not supported: Close interrupts a Read.
func (c *Conn) SetReadDeadline(time.Time) error { return os.ErrNoDeadline }

// SetWriteDeadline is not supported: there is nothing to write to.
func (c *Conn) SetWriteDeadline(time.Time) error { return os.ErrNoDeadline }
