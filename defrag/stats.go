package defrag

// Stats counts fragments. Bytes are those of what was given to the Reassembler,
// from its first header on. Every field only grows, except the two that end in
// Held. Always
//
//	FragmentsReceived = FragmentsReassembled + Σ FragmentsDropped + FragmentsHeld
//
// which holds for the fields with Bytes in their names as well.
type Stats struct {
	FragmentsReceived, FragmentBytesReceived uint64
	// Reassembled is datagrams; FragmentsReassembled is what they came in.
	Reassembled                                    uint64
	FragmentsReassembled, FragmentBytesReassembled uint64
	FragmentsDropped, FragmentBytesDropped         [Drops]uint64
	// FragmentsHeld wait for the rest of their datagram at this moment.
	FragmentsHeld, FragmentBytesHeld uint64
}

// Add adds the figures of another Reassembler.
func (s *Stats) Add(o Stats) {
	s.FragmentsReceived += o.FragmentsReceived
	s.FragmentBytesReceived += o.FragmentBytesReceived
	s.Reassembled += o.Reassembled
	s.FragmentsReassembled += o.FragmentsReassembled
	s.FragmentBytesReassembled += o.FragmentBytesReassembled
	for d := range Drops {
		s.FragmentsDropped[d] += o.FragmentsDropped[d]
		s.FragmentBytesDropped[d] += o.FragmentBytesDropped[d]
	}
	s.FragmentsHeld += o.FragmentsHeld
	s.FragmentBytesHeld += o.FragmentBytesHeld
}

// Lost is how many fragments were dropped with which something was lost.
func (s *Stats) Lost() (n uint64) {
	for d, count := range s.FragmentsDropped {
		if !Drop(d).Harmless() {
			n += count
		}
	}
	return n
}

// Drop is why a fragment was dropped; it indexes
// Stats.FragmentsDropped.
type Drop uint8

const (
	// DropTimeout: the rest did not come in Config.Timeout, nor before
	// maxYounger newer datagrams or the end of the capture.
	DropTimeout Drop = iota
	// DropOverlap: it overlaps another fragment, or belongs to a datagram in
	// which two did (RFC 5722, section 4).
	DropOverlap
	// DropDuplicate: it repeats one that is there, or that was joined with others
	// a short time before. Nothing is lost with it.
	DropDuplicate
	// DropBudget: Config.Bytes was spent on newer ones.
	DropBudget
	// DropMalformed: its length is not a multiple of 8, is zero or beyond the
	// frame, or it contradicts the end of its datagram, or its datagram is in
	// more pieces than maxPieces.
	DropMalformed
	// DropTooLong: the datagram would be longer than 65535 bytes.
	DropTooLong

	// Drops is the number of reasons.
	Drops
)

// Harmless reports whether nothing is lost with a fragment that is dropped for d.
func (d Drop) Harmless() bool { return d == DropDuplicate }

// String gives the reason as a word for a metric's label.
func (d Drop) String() string {
	return [...]string{"timeout", "overlap", "duplicate", "budget", "malformed", "too_long", "unknown"}[min(d, Drops)]
}
