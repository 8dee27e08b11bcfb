package stack

import "netmirror/stack/netstack"

// spare is a virtual client's connection to gVisor whose stream has ended. Opening one and
// taking it down costs gVisor several times what a short stream does, so the next stream may
// go on with it: its first byte follows the last one that gVisor has received. Sequence
// numbers are gVisor's.
type spare struct {
	id        netstack.ClientID
	port      uint16
	ep        *netstack.Endpoint
	next      uint32 // where gVisor awaits the next byte
	windowEnd uint32
	peerSeq   uint32
	scale     uint8
}

const (
	// maxSpares bounds what is kept. It is for a burst: the connections that end between two
	// batches are about as many as those that begin.
	maxSpares = 256
	// spareMemory is what one takes, and spareShare the part of the budget that all of them
	// may take.
	spareMemory = FlowMemory / 2
	spareShare  = 128
	// spareWindow is the least that a spare's window has: half of a new connection's. gVisor
	// does not move its end for a few bytes that it cannot know to have been read. With a small
	// receive buffer, none is kept.
	spareWindow = 32 << 10
)

// reclaim takes the endpoint from a stream that has ended, and keeps it if gVisor holds
// nothing of the stream: not a byte that nobody has read, or that lies behind a hole, may get
// into another one.
func (s *Stack) reclaim(f *flow) {
	v := &f.virtual
	ep := v.ep
	if v.ep = nil; ep == nil {
		return
	}
	empty := v.conn.ended() && ep.Idle() && !seqLess(v.ack, v.sentTo)
	if s.stopping || !empty || int32(v.windowEnd-v.sentTo) < spareWindow || !s.roomForSpare(v.port) {
		ep.Abort()
		return
	}
	ep.OnReadable(nil)
	offset := v.shift + v.offset
	s.spares = append(s.spares, spare{v.id, v.port, ep, v.sentTo - offset, v.windowEnd - offset, v.peerSeq, v.scale})
	s.dialNext()
}

// roomForSpare makes room for one of a port, in place of the oldest one of another.
func (s *Stack) roomForSpare(port uint16) bool {
	room := min(maxSpares, s.all.Bytes()/spareShare/spareMemory)
	if len(s.spares) < room {
		return true
	}
	for i := range s.spares {
		if s.spares[i].port != port {
			s.spares[i].ep.Abort()
			s.spares = append(s.spares[:i], s.spares[i+1:]...)
			return true
		}
	}
	return false
}

// takeSpare returns the spare of a listener's port that was last used.
func (s *Stack) takeSpare(port uint16) (sp spare, ok bool) {
	for i := len(s.spares) - 1; i >= 0; i-- {
		if s.spares[i].port == port {
			sp = s.spares[i]
			s.spares = append(s.spares[:i], s.spares[i+1:]...)
			return sp, true
		}
	}
	return spare{}, false
}

// goOn lets a flow begin where a spare's last stream has ended.
func (s *Stack) goOn(f *flow, sp *spare) {
	v := &f.virtual
	v.id, v.peerSeq, v.scale = sp.id, sp.peerSeq, sp.scale
	v.offset = f.base - sp.next
	v.ack, v.sentTo, v.windowEnd = f.base, f.base, sp.windowEnd+v.offset
	f.state = open
	s.clients[v.id] = f
	s.claimed(f)
	s.opened(f, sp.ep)
}

// dropSpares lets gVisor forget all spares.
func (s *Stack) dropSpares() {
	for i := range s.spares {
		s.spares[i].ep.Abort()
	}
	s.spares = nil
}
