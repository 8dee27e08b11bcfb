package stack

import (
	"bytes"
	"io"
	"net"

	"netmirror/outcome"
)

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
		s.unreadLost(c.flow, len(p), outcome.DropTargetEnded)
		return
	}
	c.taken.Add(-uint32(len(p)))
	c.head = append(append(make([]byte, 0, len(p)+len(c.head)), p...), c.head...)
}

// Split says that the target has closed its side: it will answer no further request. Where the
// next request begins, Read returns outcome.EndTargetClosed.
func (c *Conn) Split() {
	c.split.Store(true)
	c.wake()
}

// finish ends the stream with err behind the bytes that gVisor has in order by
// now; a FIN behind them makes it io.EOF, and complete true. The endpoint is
// the stack's afterwards, while what was not read yet is kept. Stack.mu is held.
func (c *Conn) finish(err error) (complete bool) {
	c.mu.Lock()
	if c.live {
		c.rest.Grow(c.unreadLocked() - len(c.head))
		c.ep.Drain(&c.rest)
		if c.flow.virtual.closing.is(c.position() + uint32(c.unreadLocked())) {
			err, complete = io.EOF, true
		}
		c.endLocked(err)
	} else {
		complete = c.end == io.EOF // it has just been read
	}
	c.mu.Unlock()
	c.wake()
	return complete
}

// endLocked ends the stream. What becomes of the endpoint is decided when the flow ends.
func (c *Conn) endLocked(err error) {
	c.live = false
	c.end = err
	c.ep = nil
}

// ended reports whether the endpoint is not read any more.
func (c *Conn) ended() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.live
}

// Close gives the stream up.
func (c *Conn) Close() error {
	c.stack.onReaderClosed(c, outcome.EndFailed)
	return nil
}

// CloseWith is Close for a reader that says how the stream ended. With
// outcome.EndTargetClosed, another stream, which TryAccept returns, begins at the first
// request of which nothing was read, or everything was given back.
func (c *Conn) CloseWith(e outcome.End) { c.stack.onReaderClosed(c, e) }

// received is where what gVisor has received in order ends.
func (c *Conn) received() uint32 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.position() + uint32(c.unreadLocked())
}

// leave ends the stream for its reader; what was not read is lost for why. It returns
// what received did, and whether the flow went on. Stack.mu is held.
func (c *Conn) leave(why outcome.Drop) (end uint32, wasLive bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	wasLive = c.live
	unread := c.unreadLocked()
	end = c.position() + uint32(unread)
	c.forgetLocked(unread, net.ErrClosed, why)
	if !c.closed {
		c.stack.serviceOf(c.flow).conns--
	}
	c.closed = true
	delete(c.stack.lingering, c)
	c.wake()
	return end, wasLive
}

// forget throws away what was not read yet and ends the stream with e.
// Stack.mu is held.
func (c *Conn) forget(e outcome.End, why outcome.Drop) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forgetLocked(c.unreadLocked(), e, why)
	c.end = e
	c.wake()
}

// forgetLocked takes the number of bytes from its caller, who has used it: more
// can come in between.
func (c *Conn) forgetLocked(unread int, err error, why outcome.Drop) {
	if unread > 0 {
		c.stack.unreadLost(c.flow, unread, why)
	}
	c.head, c.rest = nil, bytes.Buffer{}
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
		c.stack.unreadLost(c.flow, skip, outcome.DropTargetEnded)
	}
	next := newConn(c.stack, c.flow)
	if c.live {
		next.receive(c.ep)
	}
	next.begin, next.first, next.retried = at, at, true
	next.end, next.head, next.rest = c.end, c.head, c.rest
	next.lead(c.stack.headerAgain(c.flow))
	c.closed, c.live, c.ep, c.head, c.rest = true, false, nil, nil, bytes.Buffer{}
	c.wake()
	return next
}

// skipLocked throws away the next n bytes, which are there.
func (c *Conn) skipLocked(n int) {
	given := min(n, len(c.head))
	c.head, n = c.head[given:], n-given
	if !c.live {
		c.rest.Next(n)
		c.shrinkLocked()
		return
	}
	for scratch := make([]byte, min(n, 64<<10)); n > 0; {
		_, read, err := c.ep.Read(scratch[:min(n, len(scratch))], nil)
		if err != nil {
			return
		}
		n -= read
	}
}
