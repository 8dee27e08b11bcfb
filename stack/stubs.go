package stack

import (
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// stubKind says what is remembered of a connection that has no flow.
type stubKind uint8

const (
	halfOpen  stubKind = iota // a SYN was seen, and nothing that proves it
	over                      // the flow has ended
	midStream                 // its start was not seen
)

// stub is the least that has to be known of a connection without a flow, so
// that a flood of SYNs costs a few bytes each.
type stub struct {
	kind  stubKind
	base  uint32 // halfOpen: sequence number of the stream's first byte
	until time.Time
}

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
func (t *stubTable) put(k *flowKey, s stub) {
	_, oldest, _ := t.lru.GetOldest()
	if t.lru.Add(*k, s) && oldest.kind == halfOpen {
		t.halfOpenLost++
	}
}

func (t *stubTable) remove(k *flowKey) { t.lru.Remove(*k) }
