package stack

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
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

	first   uint32 // sequence number of the stream's first byte
	retried bool   // it is the rest of a stream that another target connection did not take

	ready chan struct{} // holds a token when there may be something new to see
	taken atomic.Uint32 // bytes read and not given back, modulo 2^32
	kept  atomic.Uint32 // of them, those that cannot be given back any more
	split atomic.Bool   // ends at the next request

	mu     sync.Mutex // guards the fields below; never held while waiting
	ep     tcpip.Endpoint
	wq     *waiter.Queue
	entry  waiter.Entry
	live   bool         // ep still receives; else what is left is in rest
	head   []byte       // given back: comes before all else
	rest   bytes.Buffer // bytes taken out of ep when it was ended
	end    error        // what follows the last byte
	closed bool
}

func newConn(s *Stack, f *flow, ep tcpip.Endpoint, wq *waiter.Queue) *Conn {
	c := &Conn{stack: s, flow: f, first: f.base, ep: ep, wq: wq, live: true, ready: make(chan struct{}, 1)}
	c.remote, c.local = f.key.addrs(s.cfg.Port)
	c.entry = waiter.NewFunctionEntry(waiter.ReadableEvents|waiter.EventHUp|waiter.EventErr, func(waiter.EventMask) { c.wake() })
	wq.EventRegister(&c.entry)
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
		ready := closed || !c.live || len(c.head) > 0 || c.ep.Readiness(waiter.ReadableEvents) != 0
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
	if c.split.Load() {
		if p, err = c.stack.beforeRequest(c, p); err != nil {
			return 0, err
		}
	}
	if len(p) == 0 {
		return 0, nil
	}
	c.mu.Lock()
	n, err = c.readLocked(p)
	// A Read says that the bytes of the one before will not be given back.
	c.kept.Store(c.taken.Load())
	c.taken.Add(uint32(n))
	ended := err == io.EOF && c.live
	if ended {
		c.endLocked(io.EOF)
	}
	c.mu.Unlock()
	if n > 0 {
		c.stack.bytesRead.Add(uint64(n))
	}
	if ended {
		c.stack.finished(c)
	}
	return n, err
}

func (c *Conn) readLocked(p []byte) (int, error) {
	switch {
	case c.closed:
		return 0, net.ErrClosed
	case len(c.head) > 0:
		n := copy(p, c.head)
		if c.head = c.head[n:]; len(c.head) == 0 {
			c.head = nil
		}
		return n, nil
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

// Unread gives back the end of what was read, because the target did not take
// it: the next Read returns it first, or, after CloseWith, another stream may.
// It copies p, and must not be called during a Read.
func (c *Conn) Unread(p []byte) {
	s := c.stack
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bytesRead.Add(-uint64(len(p)))
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		s.unreadLost(len(p), DropTargetEnded)
		return
	}
	c.taken.Add(-uint32(len(p)))
	c.head = append(append(make([]byte, 0, len(p)+len(c.head)), p...), c.head...)
}

// Split says that the target has closed its side: it will answer no further
// request. Where such a one begins, Read returns EndTarget.
func (c *Conn) Split() {
	c.split.Store(true)
	c.wake()
}

// position is the sequence number of the next byte to be read.
func (c *Conn) position() uint32 { return c.first + c.taken.Load() }

// settled is the sequence number that everything before it has been taken for
// good.
func (c *Conn) settled() uint32 { return c.first + c.kept.Load() }

// unread is how many bytes can be read at this moment.
func (c *Conn) unread() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.unreadLocked()
}

func (c *Conn) unreadLocked() int {
	n := len(c.head) + c.rest.Len()
	if c.live {
		if queued, err := c.ep.GetSockOptInt(tcpip.ReceiveQueueSizeOption); err == nil {
			n += queued
		}
	}
	return n
}

// finish ends the stream with err behind the bytes that gVisor has in order by
// now; a FIN among them makes it io.EOF, and complete true. The endpoint is
// gone afterwards and its addresses can be used again, while what was not read
// yet is kept. Stack.mu is held.
func (c *Conn) finish(err error) (complete bool) {
	c.mu.Lock()
	if c.live {
		c.rest.Grow(c.unreadLocked() - len(c.head))
		_, rerr := c.ep.Read(&c.rest, tcpip.ReadOptions{})
		for rerr == nil {
			_, rerr = c.ep.Read(&c.rest, tcpip.ReadOptions{})
		}
		if _, fin := rerr.(*tcpip.ErrClosedForReceive); fin {
			err, complete = io.EOF, true
		}
		c.endLocked(err)
		if c.unreadLocked() > 0 {
			c.stack.lingering[c] = struct{}{}
		}
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

// Close gives the stream up.
func (c *Conn) Close() error {
	c.CloseWith("")
	return nil
}

// CloseWith is Close for a reader that has a name for how the stream ended. At
// "target-closed" the stream goes on as another one, which Accept returns, from
// the first request on of which nothing was read, or all was given back.
func (c *Conn) CloseWith(outcome string) {
	c.stack.left(c, outcome == "target-closed")
}

// received is where what gVisor has received in order ends.
func (c *Conn) received() uint32 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.position() + uint32(c.unreadLocked())
}

// leave ends the stream for its reader. It returns what received did, and
// whether the flow went on. Stack.mu is held.
func (c *Conn) leave() (end uint32, wasLive bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	wasLive = c.live
	unread := c.unreadLocked()
	end = c.position() + uint32(unread)
	c.forgetLocked(unread, net.ErrClosed, DropTargetEnded)
	c.closed = true
	c.wake()
	return end, wasLive
}

// forget throws away what was not read yet and ends the stream with e.
// Stack.mu is held.
func (c *Conn) forget(e End, why Drop) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forgetLocked(c.unreadLocked(), e, why)
	c.end = e
	c.wake()
}

// forgetLocked takes the number of bytes from its caller, who has used it: more
// can come in between.
func (c *Conn) forgetLocked(unread int, err error, why Drop) {
	if unread > 0 {
		c.stack.unreadLost(unread, why)
	}
	c.head, c.rest = nil, bytes.Buffer{}
	delete(c.stack.lingering, c)
	if c.live {
		c.endLocked(err)
	}
}

// successor is the stream from the sequence number at on, which gVisor has
// received, with a reader of its own; c is closed. It is nil where c was
// closed before. Stack.mu is held.
func (c *Conn) successor(at uint32) *Conn {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil
	}
	if skip := int(at - c.position()); skip > 0 {
		c.skipLocked(skip)
		c.stack.unreadLost(skip, DropTargetEnded)
	}
	c.wq.EventUnregister(&c.entry)
	next := newConn(c.stack, c.flow, c.ep, c.wq)
	next.first, next.retried = at, true
	next.live, next.end, next.head, next.rest = c.live, c.end, c.head, c.rest
	c.closed, c.live, c.head, c.rest = true, false, nil, bytes.Buffer{}
	c.wake()
	return next
}

// skipLocked throws away the next n bytes, which are there.
func (c *Conn) skipLocked(n int) {
	given := min(n, len(c.head))
	c.head, n = c.head[given:], n-given
	if !c.live {
		c.rest.Next(n)
		return
	}
	for scratch := make([]byte, min(n, 64<<10)); n > 0; {
		w := tcpip.SliceWriter(scratch[:min(n, len(scratch))])
		res, err := c.ep.Read(&w, tcpip.ReadOptions{})
		if err != nil {
			return
		}
		n -= res.Count
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
