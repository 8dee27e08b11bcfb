package check

import "time"

const (
	// maxHoles is how many open holes of one end of a connection are remembered.
	maxHoles = 16
	// maxAhead is the largest window that there can be (RFC 7323, section 2.3):
	// what is further ahead is of another connection.
	maxAhead = 1 << 30
	// maxHoleBytes bounds what one hole counts for.
	maxHoleBytes = 1 << 20
	// patience is how old a hole is at least that counts: packets overtake each
	// other, and what the client's network has lost comes again.
	patience = 100 * time.Millisecond
)

// sequence follows the sequence numbers of one end of a connection, to find what
// the mirror has lost: bytes that never came, though later ones did, and that the
// end did not send again.
type sequence struct {
	next    uint32 // behind all that came
	started bool
	holes   *holes // nil while there was none, as in most connections
}

// holes are the bytes that are missing.
type holes struct {
	open  []hole // the oldest first
	lost  uint32 // holes that were forgotten for newer ones, or by a new connection
	bytes uint64 // in them
}

// hole is the bytes from, up to but not including to.
type hole struct {
	from, to uint32
	since    time.Duration // of the look
}

func (h hole) size() uint64 { return min(uint64(h.to-h.from), maxHoleBytes) }

// add takes in the sequence numbers of a segment at a time of the look. copied means that the
// segment repeats one of the last few.
func (q *sequence) add(s *segment, at time.Duration, copied bool) {
	from, to := s.seq, s.seq+s.numbers
	ahead := int32(from - q.next)
	switch {
	case s.rst: // its number may be any (RFC 9293, section 3.5.2)
	case !q.started:
		q.next, q.started = to, true
	case s.syn && ahead > 0: // a new connection of the same ports
		q.holes.forget(maxHoles)
		q.next = to
	case ahead > maxAhead:
	case ahead > 0:
		if q.holes == nil {
			q.holes = new(holes)
		}
		q.holes.add(hole{q.next, from, at})
		q.next = to
	default:
		if q.holes != nil && ahead < 0 && from != to && !copied {
			q.holes.fill(from, to)
		}
		if int32(to-q.next) > 0 {
			q.next = to
		}
	}
}

// missing gives how many holes there are at a time of the look, and the bytes in
// them.
func (q *sequence) missing(at time.Duration) (n uint32, bytes uint64) {
	if q.holes == nil {
		return 0, 0
	}
	n, bytes = q.holes.lost, q.holes.bytes
	for _, h := range q.holes.open {
		if at-h.since >= patience {
			n++
			bytes += h.size()
		}
	}
	return n, bytes
}

func (l *holes) add(h hole) {
	if len(l.open) >= maxHoles {
		l.forget(1)
	}
	l.open = append(l.open, h)
}

// forget counts the n oldest open holes as lost.
func (l *holes) forget(n int) {
	if l == nil {
		return
	}
	n = min(n, len(l.open))
	for _, h := range l.open[:n] {
		l.lost++
		l.bytes += h.size()
	}
	l.open = append(l.open[:0], l.open[n:]...)
}

// fill removes bytes that came late from the open holes. If they fit none, they may belong to
// a hole that was forgotten.
func (l *holes) fill(from, to uint32) {
	filled := false
	old := l.open
	l.open = make([]hole, 0, len(old)+1)
	for _, h := range old {
		first, last := later(from, h.from), earlier(to, h.to)
		if int32(last-first) <= 0 {
			l.add(h)
			continue
		}
		filled = true
		for _, left := range []hole{{h.from, first, h.since}, {last, h.to, h.since}} {
			if left.from != left.to {
				l.add(left)
			}
		}
	}
	if !filled && l.lost > 0 {
		l.lost--
		l.bytes -= min(l.bytes, uint64(to-from))
	}
}

// later and earlier compare sequence numbers, which wrap around.
func later(a, b uint32) uint32 {
	if int32(a-b) > 0 {
		return a
	}
	return b
}

func earlier(a, b uint32) uint32 {
	if int32(a-b) < 0 {
		return a
	}
	return b
}
