package bridge

import "sync/atomic"

// Room is the target connections that several bridges may have open together. Half of
// them are shared out, so that no bridge, however slow its target, can take all; the
// other half is for whoever needs it.
type Room struct {
	each int64        // reserved for each bridge
	free atomic.Int64 // of the other half; below 0 while streams are being turned away
}

// NewRoom is for so many connections of so many bridges.
func NewRoom(conns, bridges int) *Room {
	r := &Room{each: int64(conns / 2 / bridges)}
	r.free.Store(int64(conns) - r.each*int64(bridges))
	return r
}

// enter counts a stream in, and reports whether there is room for its connection. leave
// counts it out in any case.
func (b *Bridge) enter() bool {
	n, room := b.n.open.Add(1), b.cfg.Room
	if room == nil {
		return n <= int64(b.cfg.MaxConns)
	}
	return n <= room.each || room.free.Add(-1) >= 0
}

func (b *Bridge) leave() {
	n, room := b.n.open.Add(-1), b.cfg.Room
	if room != nil && n >= room.each {
		room.free.Add(1)
	}
}
