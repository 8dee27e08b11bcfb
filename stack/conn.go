package stack

import (
	"bytes"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"

	"netmirror/outcome"
	"netmirror/service"
	"netmirror/stack/netstack"
)

// Conn is one client's byte stream: an outcome.Stream. It also has a Read that waits, for
// those who read only one stream.
type Conn struct {
	stack *Stack
	flow  *flow
	key   flowKey // the flow's, whose own belongs to the stack

	begin   uint32 // sequence number of the stream's first byte
	first   uint32 // the same, less the header in front of it
	retried bool   // it is the rest of a stream that another target connection did not take

	notify atomic.Pointer[func()] // OnReadable's
	ready  chan struct{}          // of Read: holds a token when there may be something new

	taken atomic.Uint32 // bytes read and not given back, modulo 2^32
	kept  atomic.Uint32 // of them, those that cannot be given back any more
	split atomic.Bool   // ends at the next request

	mu     sync.Mutex // guards the fields below; never held while waiting
	ep     *netstack.Endpoint
	live   bool         // ep still receives; else it is nil, and what is left is in rest
	head   []byte       // given back: comes before all else
	rest   bytes.Buffer // bytes taken out of ep when it was ended
	end    error        // what follows the last byte
	closed bool
}

func newConn(s *Stack, f *flow) *Conn {
	return &Conn{stack: s, flow: f, key: f.key, begin: f.base, first: f.base}
}

// receive connects the stream to what ep receives. Nobody has seen the stream yet.
func (c *Conn) receive(ep *netstack.Endpoint) {
	c.ep, c.live = ep, true
	ep.OnReadable(c.wake)
}

// lead puts a header in front of the stream, before anything was read.
func (c *Conn) lead(header []byte) {
	c.head = slices.Concat(header, c.head)
	c.first -= uint32(len(header))
}

// wake says that there may be something new to see.
func (c *Conn) wake() {
	if f := c.notify.Load(); f != nil {
		(*f)()
	}
}

// OnReadable implements outcome.Stream.
func (c *Conn) OnReadable(f func()) { c.notify.Store(&f) }

// TryRead implements outcome.Stream.
func (c *Conn) TryRead(p []byte) (int, error) {
	_, n, err := c.TryPass(p, nil)
	return n, err
}

// TryPass implements outcome.Stream.
func (c *Conn) TryPass(p []byte, t outcome.Taker) (taken, n int, err error) {
	c.passedOn()
	taken, n, err = c.tryRead(p, t)
	switch {
	case err == netstack.ErrWait:
		return taken, 0, nil
	case taken+n > 0 && c.atEnd():
		return taken, n, io.EOF
	}
	return taken, n, err
}

// Read waits for what TryRead returns. It takes OnReadable for itself.
func (c *Conn) Read(p []byte) (int, error) {
	for {
		_, n, err := c.tryRead(p, nil)
		if err != netstack.ErrWait {
			return n, err
		}
		c.await()
	}
}

// await returns when there may be something new. The first time that is at once:
// nobody was told of what has come before.
func (c *Conn) await() {
	if c.ready != nil {
		<-c.ready
		return
	}
	ready := make(chan struct{}, 1)
	c.ready = ready
	c.OnReadable(func() {
		select {
		case ready <- struct{}{}:
		default:
		}
	})
}

func (c *Conn) tryRead(p []byte, t outcome.Taker) (taken, n int, err error) {
	if c.split.Load() {
		t = nil // p is shortened to the end of a request
		if p, err = c.stack.beforeRequest(c, p); err != nil {
			return 0, 0, err
		}
	}
	if len(p) == 0 {
		return 0, 0, nil
	}
	c.mu.Lock()
	taken, n, err = c.readLocked(p, t)
	// A Read says that the bytes of the one before will not be given back.
	c.kept.Store(c.taken.Load())
	c.taken.Add(uint32(taken + n))
	ended := err == io.EOF && c.live
	if ended {
		c.endLocked(io.EOF)
	}
	c.mu.Unlock()
	if taken+n > 0 {
		c.stack.bytesRead.Add(uint64(taken + n))
	}
	if ended {
		c.stack.onReaderAtEnd(c)
	}
	return taken, n, err
}

func (c *Conn) readLocked(p []byte, t outcome.Taker) (taken, n int, err error) {
	switch {
	case c.closed:
		return 0, 0, net.ErrClosed
	case len(c.head) > 0:
		n = copy(p, c.head)
		if c.head = c.head[n:]; len(c.head) == 0 {
			c.head = nil
		}
		return 0, n, nil
	case !c.live && c.rest.Len() > 0:
		n, err = c.rest.Read(p)
		c.shrinkLocked()
		return 0, n, err
	case !c.live:
		return 0, 0, c.end
	}
	taken, n, err = c.ep.Read(p, t)
	if err == netstack.ErrWait && c.atEnd() {
		err = io.EOF
	}
	return taken, n, err
}

// shrinkLocked gives back the memory of what was read of rest, so that it takes half as
// much again as what is left, at the most.
func (c *Conn) shrinkLocked() {
	left := c.rest.Bytes()
	switch {
	case len(left) == 0:
		c.rest = bytes.Buffer{}
	case c.rest.Cap() > len(left)/2*3:
		c.rest = *bytes.NewBuffer(bytes.Clone(left))
	}
}

// position is the sequence number of the next byte to be read.
func (c *Conn) position() uint32 { return c.first + c.taken.Load() }

// atEnd reports whether the client's FIN comes next.
func (c *Conn) atEnd() bool { return c.flow.virtual.closing.is(c.position()) }

// settled is the sequence number before which everything has been taken for good.
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
		n += c.ep.Queued()
	}
	return n
}

// lookedAt shortens p to what can be read at this moment: what comes next may begin a
// request. The error is netstack.ErrWait where there is neither a byte nor an end. The caller
// holds the stack's lock, so that gVisor can be given nothing more.
func (c *Conn) lookedAt(p []byte) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.unreadLocked()
	if n == 0 && c.live && !c.atEnd() {
		return nil, netstack.ErrWait
	}
	return p[:min(len(p), max(n, 1))], nil // one for an end
}

// LocalAddr is the address of the server that the client connected to, as the mirror shows it.
func (c *Conn) LocalAddr() net.Addr { return net.TCPAddrFromAddrPort(c.key.server()) }

// Service is the one of Config.Services that the stream is for.
func (c *Conn) Service() service.ID { return c.key.service }

// RemoteAddr is the client's address, as the mirror shows it.
func (c *Conn) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(c.key.client()) }
