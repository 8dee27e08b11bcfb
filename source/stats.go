package source

import (
	"slices"

	"netmirror/defrag"
)

// Stats counts since a source was opened. Every field only grows, except for the two
// that end in Held and the gauges at the end. What a source does not know is 0.
//
// When all captured packets have been returned by Next,
//
//	Packets - Drops - Malformed = Frames - (Datagrams - Aggregates) - Reassembled + FragmentsReceived
//
// and always
//
//	FragmentsReceived = FragmentsReassembled + Σ FragmentsDropped + FragmentsHeld
//
// which holds for the fields with Bytes in their names as well.
type Stats struct {
	// Packets arrived, those that were dropped included.
	Packets uint64
	// Drops found no room to wait in for Next.
	Drops uint64
	// Freezes is how often all of that room was in the reader's hands.
	Freezes uint64

	// Frames and Bytes were returned by Next, reassembled ones included.
	Frames, Bytes uint64
	// Cut frames are not whole: less was captured than was on the wire. They are
	// handed out, or added to a datagram, none the less.
	Cut uint64
	// Malformed frames could not be read and were not handed out.
	Malformed uint64
	// LinkDowns is how often the interface went down and capture went on.
	LinkDowns uint64

	SplitStats
	FragmentStats

	// Waiting is how much of what can wait for the reader, Room, does so or is in
	// its hands, in a unit of the source's (blocks of a ring); 0 after Close.
	Waiting, Room int
	// Mapped is memory that is shared with the kernel, in bytes, all of which counts as
	// resident; 0 after Close.
	Mapped int
	// Down has the interface while it is down: of several sources, each that is. It is read only.
	Down []string
}

// SplitStats counts UDP datagrams that were captured several in one packet.
type SplitStats struct {
	// Aggregates is packets that were split, Datagrams what they were split into.
	Aggregates, Datagrams uint64
	// Unsplit packets are several datagrams by what the kernel says of them, but
	// their headers or their number contradict it. They are handed out as they are.
	Unsplit uint64
}

// FragmentStats counts outer IP fragments. Bytes are those of whole frames, from
// the Ethernet header on.
type FragmentStats = defrag.Stats

// Add adds the figures of another source.
func (s *Stats) Add(o Stats) {
	s.Packets += o.Packets
	s.Drops += o.Drops
	s.Freezes += o.Freezes
	s.Frames += o.Frames
	s.Bytes += o.Bytes
	s.Cut += o.Cut
	s.Malformed += o.Malformed
	s.LinkDowns += o.LinkDowns
	s.Aggregates += o.Aggregates
	s.Datagrams += o.Datagrams
	s.Unsplit += o.Unsplit
	s.FragmentStats.Add(o.FragmentStats)
	s.Waiting += o.Waiting
	s.Room += o.Room
	s.Mapped += o.Mapped
	for _, name := range o.Down {
		if !slices.Contains(s.Down, name) { // another of its rings
			s.Down = append(slices.Clip(s.Down), name)
		}
	}
}
