package bridge

import (
	"net"
	"sync"
)

// source is an accepted conn with all of the methods that Serve describes.
type source interface {
	TryRead(p []byte) (int, error)
	OnReadable(f func())
	Unread(p []byte)
	CloseWith(outcome string)
	RemoteAddr() net.Addr
}

// splitter is a source that can end itself where another connection to the
// target had better take over.
type splitter interface{ Split() }

// readerSize is how much of a plain conn is read at a time.
const readerSize = 16 << 10

// reader makes a source of a conn whose Read waits, by a goroutine that reads ahead
// by one piece. What is given back stays here; the conn never sees it again.
type reader struct {
	conn  net.Conn
	lost  func(n int) // counts bytes that were read when nobody wanted them any more
	ready func()      // the source's

	mu     sync.Mutex // guards the fields below
	taken  sync.Cond  // have has become empty, or closed is set
	have   []byte
	err    error // behind have
	closed bool
}

// TryRead returns a part of what was read ahead.
func (r *reader) TryRead(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.have) == 0 {
		return 0, r.err
	}
	n := copy(p, r.have)
	if r.have = r.have[n:]; len(r.have) == 0 {
		r.taken.Signal()
	}
	return n, nil
}

func (r *reader) OnReadable(f func()) { r.ready = f }

// Unread puts p back in front of what was read ahead.
func (r *reader) Unread(p []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.have = append(append(make([]byte, 0, len(p)+len(r.have)), p...), r.have...)
}

// run reads until the conn's end, or until it is closed.
func (r *reader) run() {
	buf := make([]byte, readerSize)
	for {
		n, err := r.conn.Read(buf)
		r.mu.Lock()
		if r.closed {
			r.mu.Unlock()
			r.lost(n)
			return
		}
		if len(r.have) == 0 {
			r.have = buf[:n]
		} else { // given back meanwhile
			r.have = append(r.have, buf[:n]...)
		}
		r.err = err
		r.mu.Unlock()
		r.ready()
		if err != nil || !r.wanted() {
			return
		}
	}
}

// wanted waits until all that was read has been taken. It is false where the conn
// is closed.
func (r *reader) wanted() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.have) > 0 && !r.closed {
		r.taken.Wait()
	}
	return !r.closed
}

// abandon returns how many bytes were read and not taken. What is read from now on
// is lost.
func (r *reader) abandon() (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n = len(r.have)
	r.have, r.closed = nil, true
	r.taken.Signal()
	return n
}

func (r *reader) CloseWith(outcome string) {
	if c, ok := r.conn.(interface{ CloseWith(outcome string) }); ok {
		c.CloseWith(outcome)
		return
	}
	r.conn.Close()
}

func (r *reader) RemoteAddr() net.Addr { return r.conn.RemoteAddr() }

// sourceOf is c itself where it has every method, and else c with a goroutine.
func (l *loop) sourceOf(c net.Conn) source {
	if s, ok := c.(source); ok {
		return s
	}
	r := &reader{conn: c, lost: func(n int) {
		l.b.n.read.Add(uint64(n))
		l.b.n.unsent.Add(uint64(n))
	}}
	r.taken.L = &r.mu
	return r
}
