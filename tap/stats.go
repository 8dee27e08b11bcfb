package tap

import "netmirror/defrag"

// Stats counts since Open. Every field only grows, except the two that end in
// Held.
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
	// Packets passed the filter: those in the ring and those dropped
	// (PACKET_STATISTICS, tp_packets).
	Packets uint64
	// Drops found no room in the ring (tp_drops).
	Drops uint64
	// Freezes is how often the kernel found the whole ring in the reader's
	// hands (tp_freeze_q_cnt).
	Freezes uint64

	// Frames and Bytes were returned by Next, reassembled ones included.
	Frames, Bytes uint64
	// Cut frames are not whole: the kernel captured less than was on the wire
	// (tp_snaplen < tp_len). They are handed out, or added to a datagram, none
	// the less.
	Cut uint64
	// Malformed frames lay outside their block and were not handed out. Only a
	// fault of the kernel can cause them.
	Malformed uint64
	// LinkDowns is how often the interface went down and capture went on.
	LinkDowns uint64

	SplitStats
	FragmentStats
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

// Add adds the figures of another ring.
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
}
