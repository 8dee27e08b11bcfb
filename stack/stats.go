package stack

// counters are guarded by Stack.mu.
type counters struct {
	packets, bytes            uint64
	packetsUsed, bytesInOrder uint64
	dropped, droppedBytes     [NumDrops]uint64
	flowsOpened               uint64
	ended                     [numEnds]uint64
	completed                 uint64
	halfOpen                  uint64
}

// Stats is a snapshot of what happened to the segments. At any moment
//
//	Packets = Used + Σ Dropped + Held
//	Bytes   = BytesInOrder + Σ DroppedBytes + BytesHeld
//
// where a duplicate's bytes count as dropped, and BytesInOrder is what gVisor
// has received in order: what was read, was left unread by a reader that gave
// up, or waits to be read.
type Stats struct {
	Packets, Bytes     uint64 // TCP segments and payload bytes taken in
	Used, BytesInOrder uint64
	Held, BytesHeld    uint64 // gauges
	Dropped            [NumDrops]uint64
	DroppedBytes       [NumDrops]uint64

	BytesRead   uint64 // handed to the streams' readers
	BytesUnread uint64 // in order, but their reader gave up

	FlowsOpened   uint64 // streams handed out by Accept
	FlowsComplete uint64 // streams that ended with the client's FIN
	FlowsEnded    map[string]uint64
	Flows         int    // gauge: connections being followed
	HalfOpen      uint64 // SYNs that were remembered
	HalfOpenLost  uint64 // of them, pushed out by newer ones before they were proven
}

// Stats returns a snapshot.
func (s *Stack) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := &s.counters
	st := Stats{
		Packets: c.packets, Bytes: c.bytes,
		Used: c.packetsUsed, BytesInOrder: c.bytesInOrder,
		Dropped: c.dropped, DroppedBytes: c.droppedBytes,
		BytesRead: s.bytesRead.Load(), BytesUnread: s.bytesUnread.Load(),
		FlowsOpened: c.flowsOpened, FlowsComplete: c.completed,
		FlowsEnded: make(map[string]uint64, numEnds),
		Flows:      s.nflows,
		HalfOpen:   c.halfOpen, HalfOpenLost: s.stubs.halfOpenLost,
	}
	for e := range numEnds {
		st.FlowsEnded[e.Outcome()] = c.ended[e]
	}
	for _, f := range s.flows {
		for f := range f.chain() {
			for i := f.q.head; i < len(f.q.buf); i++ {
				st.Held += uint64(f.q.buf[i].packets)
				st.BytesHeld += uint64(f.q.buf[i].n)
			}
		}
	}
	return st
}
