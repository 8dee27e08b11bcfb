package stack

import (
	"math/bits"
	"math/rand/v2"
)

// entryList holds entries in sequence order, without overlap. It is a skip list
// whose levels are linked both ways: find takes time logarithmic in the distance
// from the end, and the other operations take constant time. The zero value is
// an empty list whose entries are not reused.
type entryList struct {
	ends tower // next is the first entry and prev the last one, on each level
	n    int
	pool *entryPool
}

// tower links an entry to its neighbors. The levels above the lowest one skip
// entries: each has a quarter of the entries of the level below.
type tower struct {
	neighbors
	up []neighbors
}

type neighbors struct{ next, prev *entry }

func (t *tower) at(level int) *neighbors {
	if level == 0 {
		return &t.neighbors
	}
	return &t.up[level-1]
}

const (
	// flatLength is how many entries a list may hold before new ones get more than
	// the lowest level. Most queues hold a handful, which is searched as fast.
	flatLength = 32
	// maxLevels bounds the levels above the lowest one: enough for a million entries.
	maxLevels = 10
)

func (l *entryList) len() int { return l.n }

// first is nil where the list is empty, like last.
func (l *entryList) first() *entry { return l.ends.next }

func (l *entryList) last() *entry { return l.ends.prev }

// find returns the first entry that ends behind seq, nil if there is none. It
// searches from the end: mirrored segments come in order but for a few.
func (l *entryList) find(seq uint32) *entry {
	level := 0
	for level < len(l.ends.up) && endsBehind(l.ends.at(level).prev, seq) {
		level++
	}
	from, at := &l.ends, (*entry)(nil)
	for ; level >= 0; level-- {
		for prev := from.at(level).prev; endsBehind(prev, seq); prev = from.at(level).prev {
			from, at = &prev.links, prev
		}
	}
	return at
}

func endsBehind(e *entry, seq uint32) bool { return e != nil && seqLess(seq, e.end()) }

// insert puts a copy of e in front of before, or at the end if before is nil.
func (l *entryList) insert(before *entry, e entry) *entry {
	to := l.pool.get()
	e.links.up = to.links.up
	*to = e
	prev := l.last()
	if before != nil {
		prev = before.prev()
	}
	l.join(0, prev, to)
	l.join(0, to, before)
	if l.n++; l.n > flatLength {
		l.raise(to)
	}
	return to
}

// raise links a new entry into a random number of the upper levels. Nobody who
// chooses the order of the entries can foresee it.
func (l *entryList) raise(e *entry) {
	height := bits.TrailingZeros32(rand.Uint32()|1<<(2*maxLevels)) / 2
	prev := e.prev()
	for level := 1; level <= height; level++ {
		for prev != nil && len(prev.links.up) < level {
			prev = prev.links.at(len(prev.links.up)).prev
		}
		if level > len(l.ends.up) {
			l.ends.up = append(l.ends.up, neighbors{})
		}
		e.links.up = append(e.links.up, neighbors{})
		next := l.ends.at(level).next
		if prev != nil {
			next = prev.links.at(level).next
		}
		l.join(level, prev, e)
		l.join(level, e, next)
	}
}

// remove takes e out of the list. e may be reused for another entry.
func (l *entryList) remove(e *entry) {
	for level := range 1 + len(e.links.up) {
		beside := e.links.at(level)
		l.join(level, beside.prev, beside.next)
	}
	if l.n--; l.n == 0 {
		l.ends.up = nil
	}
	l.pool.put(e)
}

// join makes b the entry behind a on a level. nil stands for the list's ends.
func (l *entryList) join(level int, a, b *entry) {
	behind, before := &l.ends, &l.ends
	if a != nil {
		behind = &a.links
	}
	if b != nil {
		before = &b.links
	}
	behind.at(level).next = b
	before.at(level).prev = a
}

// entryPool keeps some entries that are not in use, for all flows of a stack.
// A nil pool keeps none.
type entryPool struct {
	free *entry // linked by next
	n    int

	packets, bytes int // Σ of what the queues hold whose entries are from here
}

// maxFreeEntries bounds a pool to some 0.5 MB.
const maxFreeEntries = 4096

// get returns an entry with nothing set but room for links.
func (p *entryPool) get() *entry {
	if p == nil || p.free == nil {
		return new(entry)
	}
	e := p.free
	p.free, p.n = e.next(), p.n-1
	e.links.next = nil
	return e
}

// put takes an entry that is not in a list any more.
func (p *entryPool) put(e *entry) {
	up := e.links.up
	clear(up) // or they would keep other entries from being collected
	*e = entry{}
	if p == nil || p.n >= maxFreeEntries {
		return
	}
	e.links = tower{neighbors: neighbors{next: p.free}, up: up[:0]}
	p.free, p.n = e, p.n+1
}
