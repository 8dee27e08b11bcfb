package stack

import "netmirror/outcome"

// counters are guarded by Stack.mu.
type counters struct {
	packets, bytes            uint64
	serverBytes               uint64
	packetsUsed, bytesInOrder uint64
	dropped, droppedBytes     [outcome.NumDrops]uint64
	flowsOpened               uint64
	ended                     [outcome.NumEnds]uint64
	completed                 uint64
	pickedUp                  uint64
	headerUnknown             uint64
	spliced, splicedBytes     uint64
	holes, missingBytes       uint64
	halfOpen                  uint64
	multipaths, subflows      uint64
	overRate                  uint64
}

// Stats is a snapshot of what happened to the segments. Whenever no reader is in the middle of
// a call,
//
//	Packets = Used + Σ Dropped + Held
//	Bytes   = BytesRead + Σ DroppedBytes + BytesHeld
//
// where a duplicate's bytes count as dropped. Packets are those of both
// directions; all bytes but ServerBytes are the clients'.
//
// MissingBytes is the clients' bytes that the mirror lost. A hole counts when nobody waits for
// it any longer: when it is given up, by a reset or a splice, or when its stream ends. It
// reaches to the next byte that came, or to the last that the client is known to have sent; a
// lost FIN counts as one byte. Bytes that came but could not be used because of a hole are in
// DroppedBytes. Bytes lost before the first packet seen of a connection, or after the last,
// are not known.
type Stats struct {
	Packets, Bytes uint64 // TCP segments, and payload bytes from clients, taken in
	ServerBytes    uint64 // payload bytes from the server
	Used           uint64 // segments that became a part of a stream
	BytesRead      uint64 // taken by the streams' readers
	Dropped        [outcome.NumDrops]uint64
	DroppedBytes   [outcome.NumDrops]uint64 // outcome.DropReverse has none
	Holes          uint64                   // in streams, given up
	MissingBytes   uint64                   // in these holes, SplicedBytes included

	Held      uint64 // gauge: segments that gVisor has not taken
	BytesHeld uint64 // gauge: bytes that were not read yet

	FlowsOpened   uint64 // streams handed out by TryAccept
	FlowsComplete uint64 // flows that ended with the client's FIN
	FlowsEnded    [outcome.NumEnds]uint64
	Flows         int    // gauge: connections being followed
	PickedUp      uint64 // streams that did not begin at a SYN
	HeaderUnknown uint64 // of them, those whose PROXY protocol header was not seen, while others have one
	HalfOpen      uint64 // SYNs that were remembered
	HalfOpenLost  uint64 // of them, pushed out by newer ones before they were proven
	Multipath     uint64 // MPTCP connections (RFC 8684)
	Subflows      uint64 // their subflows beyond the first of each
	Spliced       uint64 // holes that were closed over what is missing
	SplicedBytes  uint64 // what is missing there
	OverRate      uint64 // connections that began beyond the rate of their service
}

// Add adds the figures of another stack.
func (s *Stats) Add(o Stats) {
	s.Packets += o.Packets
	s.Bytes += o.Bytes
	s.ServerBytes += o.ServerBytes
	s.Used += o.Used
	s.BytesRead += o.BytesRead
	for d := range outcome.NumDrops {
		s.Dropped[d] += o.Dropped[d]
		s.DroppedBytes[d] += o.DroppedBytes[d]
	}
	s.Holes += o.Holes
	s.MissingBytes += o.MissingBytes
	s.Held += o.Held
	s.BytesHeld += o.BytesHeld
	s.FlowsOpened += o.FlowsOpened
	s.FlowsComplete += o.FlowsComplete
	for e := range outcome.NumEnds {
		s.FlowsEnded[e] += o.FlowsEnded[e]
	}
	s.Flows += o.Flows
	s.PickedUp += o.PickedUp
	s.HeaderUnknown += o.HeaderUnknown
	s.HalfOpen += o.HalfOpen
	s.HalfOpenLost += o.HalfOpenLost
	s.Multipath += o.Multipath
	s.Subflows += o.Subflows
	s.Spliced += o.Spliced
	s.SplicedBytes += o.SplicedBytes
	s.OverRate += o.OverRate
}

// Stats returns a snapshot. What it costs does not depend on the traffic.
func (s *Stack) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := &s.counters
	st := Stats{
		Packets: c.packets, Bytes: c.bytes, ServerBytes: c.serverBytes,
		Used: c.packetsUsed, BytesRead: s.bytesRead.Load(),
		Dropped: c.dropped, DroppedBytes: c.droppedBytes,
		BytesHeld:   uint64(max(s.unread(), 0)),
		FlowsOpened: c.flowsOpened, FlowsComplete: c.completed,
		FlowsEnded: c.ended, Flows: s.nflows,
		PickedUp: c.pickedUp, HeaderUnknown: c.headerUnknown,
		HalfOpen: c.halfOpen, HalfOpenLost: s.stubs.halfOpenLost,
		Holes: c.holes, MissingBytes: c.missingBytes,
		Multipath: c.multipaths, Subflows: c.subflows,
		Spliced: c.spliced, SplicedBytes: c.splicedBytes, OverRate: c.overRate,
	}
	st.Held = uint64(s.asidePackets + s.entries.packets)
	st.BytesHeld += uint64(s.asideBytes + s.entries.bytes)
	return st
}

// Ending counts the flows that their clients have ended and whose streams were not read to the end.
// It looks at all busy flows; no segment is taken in meanwhile.
func (s *Stack) Ending() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.active { // one that is ending is busy
		if f.finSeen || f.rstSeen || f.ending {
			n++
		}
	}
	return n
}
