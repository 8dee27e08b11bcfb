package stack

import (
	"net"

	"netmirror/outcome"
)

// Accept waits for the next stream. It takes OnStream for itself.
func (s *Stack) Accept() (outcome.Stream, error) {
	news := make(chan struct{}, 1)
	s.OnStream(func() {
		select {
		case news <- struct{}{}:
		default:
		}
	})
	for {
		if c, err := s.TryAccept(); c != nil || err != nil {
			return c, err
		}
		<-news
	}
}

// WaitReadable returns when Read would not wait.
func (c *Conn) WaitReadable() error {
	c.passedOn()
	for {
		c.mu.Lock()
		closed := c.closed
		ready := closed || !c.live || len(c.head) > 0 || c.ep.Queued() > 0 || c.atEnd()
		c.mu.Unlock()
		if closed {
			return net.ErrClosed
		}
		if ready {
			return nil
		}
		c.await()
	}
}
