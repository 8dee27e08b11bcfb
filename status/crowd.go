package status

import (
	"net"
	"net/http"
	"sync"
	"time"
)

// crowd bounds the connections of a server. Where there are too many, the one that
// has been doing nothing for the longest makes room: connections that are kept open
// must not keep a health check out.
type crowd struct {
	limit int

	mu  sync.Mutex // guards all
	all map[net.Conn]doing
}

// doing is what a connection does, and since when.
type doing struct {
	state http.ConnState
	since time.Time
}

// changed is an http.Server's ConnState.
func (c *crowd) changed(conn net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if state == http.StateClosed || state == http.StateHijacked {
		delete(c.all, conn)
		return
	}
	c.all[conn] = doing{state, time.Now()}
	if len(c.all) > c.limit {
		c.makeRoom()
	}
}

// makeRoom closes an idle connection, or one that has asked nothing yet, or, where
// there is neither, the one whose answer takes longest.
func (c *crowd) makeRoom() {
	var victim net.Conn
	var worst doing
	for conn, d := range c.all {
		if victim == nil || weight(d) > weight(worst) || weight(d) == weight(worst) && d.since.Before(worst.since) {
			victim, worst = conn, d
		}
	}
	delete(c.all, victim)
	victim.Close() // the server hears of it by itself
}

func weight(d doing) int {
	switch d.state {
	case http.StateIdle:
		return 2
	case http.StateNew:
		return 1
	}
	return 0
}
