package stack

import (
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// stubKind says what is remembered of a connection that has no flow.
type stubKind uint8

const (
	halfOpen  stubKind = iota // a SYN was seen, and nothing that proves it
	over                      // the connection has ended
	midStream                 // it goes on; a stream may begin at its next request
	opaque                    // it goes on, but no stream can begin in it any more
)

const (
	// halfOpenTimeout is how long an unproven SYN is remembered: longer than
	// a client goes on retransmitting the end of its handshake unanswered.
	halfOpenTimeout = 30 * time.Second
	// overTimeout is how long the end of a flow is remembered, so that what
	// the client retransmits of it is known for what it is.
	overTimeout = 60 * time.Second
	// connTimeout is how long a silent connection without a flow is
	// remembered: one that is as silent as that has nothing to be late.
	connTimeout = 10 * time.Minute
)

// stub is the least that has to be known of a connection without a flow, so
// that a flood of SYNs costs a few bytes each.
type stub struct {
	kind  stubKind
	acked bool   // midStream: ack is set
	base  uint32 // sequence number of the first byte
	end   uint32 // behind the last one that was seen, the FIN included; not of halfOpen
	ack   uint32 // midStream: what the client's last data acknowledged
	until time.Time
}

// covers reports whether a sequence number lies in what the connection that is
// over has sent, its SYN included. What does not is of another one.
func (s *stub) covers(seq uint32) bool { return seq-(s.base-1) <= s.end-(s.base-1) }

// stubTable holds a limited number of stubs and lets the oldest go for a new
// one.
type stubTable struct {
	lru *simplelru.LRU[flowKey, stub]

	halfOpenLost uint64 // half-open entries pushed out by newer ones
}

func newStubTable(limit int) (*stubTable, error) {
	lru, err := simplelru.NewLRU[flowKey, stub](limit, nil)
	return &stubTable{lru: lru}, err
}

// get returns what is remembered, unless that is too long ago.
func (t *stubTable) get(k *flowKey, now time.Time) (stub, bool) {
	s, ok := t.lru.Peek(*k)
	if ok && now.After(s.until) {
		t.lru.Remove(*k)
		return stub{}, false
	}
	return s, ok
}

// put remembers s in place of what was known.
func (t *stubTable) put(k *flowKey, s stub, now time.Time) {
	switch s.kind {
	case halfOpen:
		s.until = now.Add(halfOpenTimeout)
	case over:
		s.until = now.Add(overTimeout)
	case midStream, opaque:
		s.until = now.Add(connTimeout)
	}
	_, oldest, _ := t.lru.GetOldest()
	if t.lru.Add(*k, s) && oldest.kind == halfOpen {
		t.halfOpenLost++
	}
}

func (t *stubTable) remove(k *flowKey) { t.lru.Remove(*k) }
