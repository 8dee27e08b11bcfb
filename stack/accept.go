package stack

import (
	"net"
	"sync"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/waiter"

	"netmirror/outcome"
)

// acceptQueue hands streams from the stack to Accept. The flow limit bounds
// it.
type acceptQueue struct {
	mu     sync.Mutex // guards conns and closed
	some   sync.Cond
	conns  []*Conn
	closed bool
}

func (q *acceptQueue) init() { q.some.L = &q.mu }

func (q *acceptQueue) put(c *Conn) {
	q.mu.Lock()
	q.conns = append(q.conns, c)
	q.mu.Unlock()
	q.some.Signal()
}

func (q *acceptQueue) get() (outcome.Stream, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.conns) == 0 {
		if q.closed {
			return nil, net.ErrClosed
		}
		q.some.Wait()
	}
	c := q.conns[0]
	q.conns[0] = nil
	q.conns = q.conns[1:]
	return c, nil
}

// close lets get fail when the queue is empty.
func (q *acceptQueue) close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.some.Broadcast()
}

// acceptAll gives every connection that gVisor's listeners have to its flow.
func (s *Stack) acceptAll() {
	if !s.accepts.Swap(false) {
		return
	}
	s.ns.accept(func(id clientID, ep tcpip.Endpoint, wq *waiter.Queue) {
		f := s.clients[id]
		if f == nil || f.state != open || f.conn != nil {
			ep.Abort()
			return
		}
		f.conn = newConn(s, f, ep, wq)
		if f.picked {
			f.conn.lead(s.headerAgain(f))
		}
		s.counters.flowsOpened++
		s.accepted.put(f.conn)
		s.touch(f)
		if f.newer != nil {
			s.touch(f.newer)
		}
	})
}
