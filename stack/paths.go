package stack

import (
	"bytes"
	"sync"
	"sync/atomic"
	"time"
)

// Paths recognizes segments that speak MPTCP, or whose TCP connection did. If several stacks
// share the connections, one stack must get all these segments: only the keys of an MPTCP
// connection, which one of its subflows shows, tell which TCP connections are its subflows.
// Paths is safe for concurrent use.
type Paths struct {
	limit int           // tuples in each of the two maps
	idle  time.Duration // after which a tuple may be forgotten
	used  atomic.Bool   // there are tuples

	mu       sync.Mutex // guards the fields below
	now, old map[flowKey]struct{}
	since    time.Time // of now
}

// NewPaths makes a Paths that remembers at least the last limit TCP connections that spoke
// MPTCP, each for idle.
func NewPaths(limit int, idle time.Duration) *Paths {
	return &Paths{limit: limit, idle: idle, now: make(map[flowKey]struct{})}
}

// Multipath reports whether a segment's TCP connection speaks MPTCP, as far as the
// segments that it was asked about have shown.
func (p *Paths) Multipath(m *Segment, now time.Time) bool {
	if len(m.IP) < m.TCP+tcpHeaderLen {
		return false
	}
	tcp := m.IP[m.TCP:]
	options := tcp[tcpHeaderLen:max(min(int(tcp[12]>>4)*4, len(tcp)), tcpHeaderLen)]
	speaks := hasMPTCP(options)
	if !speaks && !p.used.Load() {
		return false
	}
	var seg segment
	if !seg.parse(m) {
		return false
	}
	k := seg.key
	k.service = 0 // those of a connection have it in common
	if c := bytes.Compare(k.src[:], k.dst[:]); c > 0 || c == 0 && k.port > k.serverPort {
		k = k.back() // either end may be the client
	}
	return p.has(k, speaks, now)
}

// has looks for a connection, and remembers one that speaks MPTCP.
func (p *Paths) has(k flowKey, speaks bool, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, ok := p.now[k]; ok {
		return true
	}
	if _, ok := p.old[k]; !ok && !speaks {
		return false
	}
	if len(p.now) >= p.limit || now.Sub(p.since) > p.idle {
		p.old, p.now, p.since = p.now, make(map[flowKey]struct{}), now
	}
	p.now[k] = struct{}{}
	p.used.Store(true)
	return true
}
