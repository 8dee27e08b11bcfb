package stack

// TCP sequence numbers are 32 bits and come around: they are compared by their distance.

// seqLess reports whether a comes before b in sequence space (RFC 9293,
// section 3.4).
func seqLess(a, b uint32) bool { return int32(a-b) < 0 }

// seqMax is the later of two sequence numbers.
func seqMax(a, b uint32) uint32 {
	if seqLess(a, b) {
		return b
	}
	return a
}

// within reports whether to is from, or at most n bytes after it.
func within(to, from, n uint32) bool { return to-from <= n }

// maxWindow is the largest window that TCP can have (RFC 7323, section 2.3):
// nothing further ahead can belong to the connection.
const maxWindow = 1 << 30

// nearby is how far ahead a single segment may be if the server's window is not
// known, in bytes: a full window without a scale.
const nearby = 64 << 10

// near reports whether two places are no further apart than a window without a scale.
func near(a, b uint32) bool { return within(a, b, nearby) || within(b, a, nearby) }

// span is the sequence numbers from from on and before to.
type span struct{ from, to uint32 }

func (s span) has(seq uint32) bool { return seq-s.from < s.to-s.from }

// mark is a sequence number that only moves forward. A step far ahead counts only when a
// second packet agrees with it.
type mark struct {
	at     uint32 // valid with known
	odd    uint32 // the last step that was too far; valid with hasOdd
	known  bool
	hasOdd bool
}

// set moves the mark to a place wherever it was.
func (m *mark) set(to uint32) { *m = mark{at: to, known: true} }

// move moves the mark to a place at most reach bytes ahead of it, or of the last outlier. An
// older place changes nothing. It reports false for an outlier: a place further ahead.
func (m *mark) move(to, reach uint32) bool {
	switch {
	case !m.known, within(to, m.at, reach), m.hasOdd && to != m.odd && within(to, m.odd, reach):
		m.set(to)
	case m.at-to < maxWindow: // older
	default:
		m.odd, m.hasOdd = to, true
		return false
	}
	return true
}
