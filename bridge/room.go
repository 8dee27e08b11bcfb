package bridge

import (
	"sync"
	"sync/atomic"
)

// Room is how many target connections several bridges may have open together. Half of them
// are reserved in equal shares, so that no bridge, however slow its target, can take all. Any
// bridge may use the other half.
type Room struct {
	conns int64
	low   atomic.Bool // half of them or more are open: there may soon be no room

	mu      sync.Mutex        // guards the fields below
	each    int64             // reserved for each bridge
	shared  int64             // reserved for no bridge
	members map[*Bridge]int64 // what each bridge has open
	open    int64             // Σ of members, those being turned away included
	beyond  int64             // connections taken from the shared part
}

// NewRoom makes a Room of conns connections for a number of bridges.
func NewRoom(conns, bridges int) *Room {
	r := &Room{conns: int64(conns), members: make(map[*Bridge]int64)}
	r.Resize(bridges)
	return r
}

// Resize reserves the shares anew, for another number of bridges. Open connections stay.
func (r *Room) Resize(bridges int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.each = r.conns / 2 / int64(bridges)
	r.shared = r.conns - r.each*int64(bridges)
	r.beyond = 0
	for _, n := range r.members {
		r.beyond += max(n-r.each, 0)
	}
}

// add counts so many connections of b's in, or out, and reports whether there is room.
// r.mu is held.
func (r *Room) add(b *Bridge, n int64) bool {
	was := r.members[b]
	now := was + n
	r.open += n
	r.low.Store(2*r.open >= r.conns)
	r.beyond += max(now-r.each, 0) - max(was-r.each, 0)
	if now == 0 {
		delete(r.members, b)
	} else {
		r.members[b] = now
	}
	return r.open <= r.conns && (now <= r.each || r.beyond <= r.shared)
}

// takePlace counts the stream among those with a connection, and reports whether there is
// room for that.
func (s *stream) takePlace() bool {
	s.placed = true
	if s.b.enter() {
		return true
	}
	s.b.n.turnedAway.Add(1)
	return false
}

// givePlace counts the stream out, whether there was room for it or not.
func (s *stream) givePlace() {
	if s.placed {
		s.b.leave()
	} else {
		s.b.n.waiting.Add(-1)
	}
}

// enter counts a stream in, and reports whether there is room for its connection. leave
// counts it out in any case.
func (b *Bridge) enter() bool {
	b.n.open.Add(1)
	room := b.cfg.Room
	room.mu.Lock()
	defer room.mu.Unlock()
	return room.add(b, 1)
}

func (b *Bridge) leave() {
	b.n.open.Add(-1)
	room := b.cfg.Room
	room.mu.Lock()
	defer room.mu.Unlock()
	room.add(b, -1)
}
