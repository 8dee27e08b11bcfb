package stack

import (
	"net"

	"gvisor.dev/gvisor/pkg/waiter"
)

// WaitReadable returns when Read would not wait.
func (c *Conn) WaitReadable() error {
	c.passedOn()
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
		c.await()
	}
}
