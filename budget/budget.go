// Package budget shares an amount of memory and of flows among several holders. Each can use
// what the others leave. If it runs short, it tells which holder must give something up.
package budget

import (
	"sync"
	"sync/atomic"
)

// Shared is what several holders have together.
type Shared struct {
	total, max  int          // bytes, flows
	held, flows atomic.Int64 // Σ of what the holders have told

	mu      sync.Mutex // guards holders
	holders []*Holder
}

// New makes a budget of so many bytes and flows.
func New(bytes, flows int) *Shared { return &Shared{total: bytes, max: flows} }

// Bytes is how many bytes there are.
func (s *Shared) Bytes() int { return s.total }

// Flows is how many flows there may be.
func (s *Shared) Flows() int { return s.max }

// Join adds a holder. wake is called, on any goroutine, when the holder is asked to give
// something up. It must not block.
func (s *Shared) Join(wake func()) *Holder {
	h := &Holder{of: s, wake: wake}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.holders = append(s.holders, h)
	return h
}

// Holder is one of those who share. Tell, Ask, Asked and Leave are for one goroutine
// at a time.
type Holder struct {
	of          *Shared
	wake        func()
	held, flows int // as told last
	heaviest    atomic.Int64
	asked       atomic.Int64 // bytes to give up
	than        atomic.Int64 // of what is heavier than that
}

// Tell reports what the holder holds now, in bytes and flows. It returns what the others hold.
func (h *Holder) Tell(held, flows int) (othersHeld, othersFlows int) {
	all, n := h.of.held.Load(), h.of.flows.Load()
	if held != h.held {
		all = h.of.held.Add(int64(held - h.held))
	}
	if flows != h.flows {
		n = h.of.flows.Add(int64(flows - h.flows))
	}
	h.held, h.flows = held, flows
	return int(all) - held, int(n) - flows
}

// Weigh reports how many bytes the holder's heaviest flow holds.
func (h *Holder) Weigh(heaviest int) { h.heaviest.Store(int64(heaviest)) }

// Ask asks the holder with the heaviest flow to give up so many bytes, from flows that hold
// more than than. It reports false if no other holder has such a flow.
func (h *Holder) Ask(bytes, than int) bool {
	h.of.mu.Lock()
	defer h.of.mu.Unlock()
	var most *Holder
	for _, o := range h.of.holders {
		if at := o.heaviest.Load(); o != h && at > int64(than) && (most == nil || at > most.heaviest.Load()) {
			most = o
		}
	}
	if most == nil {
		return false
	}
	most.than.Store(int64(than))
	most.asked.Store(int64(bytes))
	most.wake()
	return true
}

// Asked returns how many bytes the holder was asked to give up since the last call, from flows
// that hold more than than.
func (h *Holder) Asked() (bytes, than int) {
	if h.asked.Load() == 0 {
		return 0, 0
	}
	return int(h.asked.Swap(0)), int(h.than.Load())
}

// Leave removes the holder and all that it has reported.
func (h *Holder) Leave() {
	h.Tell(0, 0)
	h.of.mu.Lock()
	defer h.of.mu.Unlock()
	for i, o := range h.of.holders {
		if o == h {
			h.of.holders = append(h.of.holders[:i], h.of.holders[i+1:]...)
			return
		}
	}
}
