package stack

import (
	"net"
	"sync"
	"sync/atomic"
	"time"

	"netmirror/outcome"
	"netmirror/stack/netstack"
)

// acceptQueue hands streams from the stack to TryAccept. The flow limit bounds
// it.
type acceptQueue struct {
	count  atomic.Int32 // of conns
	mu     sync.Mutex   // guards the fields below
	conns  []*Conn
	closed bool
	news   func()        // OnStream's
	waits  bool          // AwaitAccepts waits
	fewer  chan struct{} // holds a token when it need not wait any longer
}

const (
	// maxUnaccepted is how many streams may wait for TryAccept without AwaitAccepts
	// waiting for it: what they take cannot be given up.
	maxUnaccepted = 1024
	// acceptPatience is how long AwaitAccepts waits at the most.
	acceptPatience = 10 * time.Millisecond
)

func (q *acceptQueue) init() { q.fewer = make(chan struct{}, 1) }

// await waits until not so many streams wait, or for a moment.
func (q *acceptQueue) await() {
	if q.count.Load() <= maxUnaccepted {
		return
	}
	q.mu.Lock()
	q.waits = len(q.conns) > maxUnaccepted
	waits := q.waits
	q.mu.Unlock()
	if !waits {
		return
	}
	select {
	case <-q.fewer:
	case <-time.After(acceptPatience):
	}
}

func (q *acceptQueue) put(c *Conn) {
	q.mu.Lock()
	q.conns = append(q.conns, c)
	q.count.Add(1)
	q.tell()
}

// tell says that there is something new. It unlocks q.mu, which is held.
func (q *acceptQueue) tell() {
	news := q.news
	q.mu.Unlock()
	if news != nil {
		news()
	}
}

func (q *acceptQueue) get() (outcome.Stream, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.conns) == 0 {
		if q.closed {
			return nil, net.ErrClosed
		}
		return nil, nil
	}
	c := q.conns[0]
	q.conns[0] = nil
	q.conns = q.conns[1:]
	q.count.Add(-1)
	if q.waits && len(q.conns) <= maxUnaccepted/2 {
		q.waits = false
		select {
		case q.fewer <- struct{}{}:
		default:
		}
	}
	return c, nil
}

// close lets get fail when the queue is empty.
func (q *acceptQueue) close() {
	q.mu.Lock()
	q.closed = true
	q.tell()
}

// handOut gives a stream to whoever calls TryAccept.
func (s *Stack) handOut(c *Conn) {
	s.counters.flowsOpened++
	s.serviceOf(c.flow).conns++
	s.accepted.put(c)
}

// acceptAll gives every connection that gVisor's listeners have to its flow.
func (s *Stack) acceptAll() {
	if !s.accepts.Swap(false) {
		return
	}
	s.ns.Accept(func(id netstack.ClientID, ep *netstack.Endpoint) {
		f := s.clients[id]
		if f == nil || f.state != open || f.virtual.conn != nil {
			ep.Abort()
			return
		}
		s.opened(f, ep)
	})
}

// opened hands out the stream of a flow that is open, and sees to it that it gets what there is.
func (s *Stack) opened(f *flow, ep *netstack.Endpoint) {
	f.virtual.conn, f.virtual.ep = newConn(s, f), ep
	s.setDial(f, notDialing)
	f.virtual.conn.receive(ep)
	if f.picked {
		f.virtual.conn.lead(s.headerAgain(f))
	}
	s.handOut(f.virtual.conn)
	s.touch(f)
	if f.newer != nil {
		s.touch(f.newer)
	}
}
