// Package budget shares one amount of memory and of flows among several holders. Each can use
// what the others leave. If the amount runs short, it finds the holder that must give something
// up.
package budget

import (
	"sync"
	"sync/atomic"
)

// Use is what is in use.
type Use struct {
	Held  int // bytes that can be given up
	Fixed int // bytes that cannot: what flows take besides, and what is remembered
	Flows int
}

// Shared is what several holders have together.
type Shared struct {
	total, max         int          // bytes, flows
	held, fixed, flows atomic.Int64 // Σ of what the holders have told

	mu      sync.Mutex // guards holders
	holders []*Holder
}

// New makes a budget of so many bytes and flows.
func New(bytes, flows int) *Shared { return &Shared{total: bytes, max: flows} }

// Bytes is how many bytes there are.
func (s *Shared) Bytes() int { return s.total }

// Flows is how many flows there may be.
func (s *Shared) Flows() int { return s.max }

// Fixed is how many bytes cannot be given up, as the holders have told.
func (s *Shared) Fixed() int { return int(s.fixed.Load()) }

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
	of       *Shared
	wake     func()
	own      Use // as told last
	heaviest atomic.Int64
	asked    atomic.Int64 // bytes to give up
	than     atomic.Int64 // of what is heavier than that
}

// Tell reports what the holder uses now. It returns what the others use.
func (h *Holder) Tell(own Use) (others Use) {
	others = Use{
		Held:  told(&h.of.held, h.own.Held, own.Held),
		Fixed: told(&h.of.fixed, h.own.Fixed, own.Fixed),
		Flows: told(&h.of.flows, h.own.Flows, own.Flows),
	}
	h.own = own
	return others
}

// told changes a holder's part of a sum, and returns the others' part.
func told(sum *atomic.Int64, before, now int) int {
	all := sum.Load()
	if now != before {
		all = sum.Add(int64(now - before))
	}
	return int(all) - now
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
	h.Tell(Use{})
	h.of.mu.Lock()
	defer h.of.mu.Unlock()
	for i, o := range h.of.holders {
		if o == h {
			h.of.holders = append(h.of.holders[:i], h.of.holders[i+1:]...)
			return
		}
	}
}
