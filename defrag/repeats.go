package defrag

import (
	"hash/maphash"
	"slices"
)

// remembered is how many of the datagrams that were joined last are known. The copies that a
// mirror makes of a packet are seldom further apart.
const remembered = 64

// repeats tells fragments of new datagrams from copies of those that were joined already. A
// mirror that copies each packet twice brings both copies of one fragment, then both of the
// next: the second copy of the last one comes when its datagram has been joined, and waits for
// others in vain. Nothing is lost with it.
//
// It never decides what is joined: a datagram may have the identification of an earlier one.
type repeats struct {
	seed   maphash.Seed
	joined [remembered]joinedDatagram
	place  map[datagramKey]int // in joined
	next   int                 // the oldest of joined
}

// joinedDatagram is one that was joined. It has no prints where there is none yet.
type joinedDatagram struct {
	key    datagramKey
	prints []uint64
}

func newRepeats() repeats {
	return repeats{seed: maphash.MakeSeed(), place: make(map[datagramKey]int, remembered)}
}

// print is the same for a fragment and its copies only.
func (p *repeats) print(f *fragment) uint64 {
	place := uint64(f.offset) << 1
	if f.more {
		place++
	}
	return maphash.Bytes(p.seed, f.data) ^ maphash.Comparable(p.seed, place)
}

// has reports whether a fragment was part of a datagram that was joined.
func (p *repeats) has(key datagramKey, print uint64) bool {
	at, ok := p.place[key]
	return ok && slices.Contains(p.joined[at].prints, print)
}

// remember takes in a datagram that is joined.
func (r *Reassembler) remember(d *datagram) {
	p := &r.repeats
	at, again := p.place[d.key]
	if !again {
		at = p.next
		p.next = (p.next + 1) % remembered
		if old := &p.joined[at]; len(old.prints) > 0 {
			delete(p.place, old.key)
		}
		p.place[d.key] = at
	}
	j := &p.joined[at]
	j.key, j.prints = d.key, j.prints[:0]
	for i := d.first; i != none; i = r.chunks.pieces[i].next {
		j.prints = append(j.prints, r.chunks.pieces[i].print)
	}
}
