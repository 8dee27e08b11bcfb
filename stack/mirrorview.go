package stack

import "time"

// mirrorView is what the mirror said of a flow, in both directions. Sequence numbers are the
// mirrored connection's.
type mirrorView struct {
	hasBase bool    // it is known where the stream starts
	base    uint32  // sequence number of the stream's first byte; parked: the lowest seen
	oldest  uint32  // its oldest byte that can still be told from what is to come; valid with long
	long    bool    // it has sent more than maxWindow
	lostSYN bool    // parked: no SYN will come any more
	either  bool    // parked: both ends have a port of the service, and the client may be the server
	past    span    // what came of the connection before the flow, in one piece
	pastACK front   // what its last bytes acknowledged
	first   mark    // with past: the first byte that was seen, if past reaches further back
	skipped stretch // the last bytes that were passed over, in one piece with past or not
	passed  span    // parked, without past: the first bytes that were passed over, in one piece
	early   bool    // parked: it holds what came with the SYN
	taken   bool    // parked: the server has acknowledged some of it
	lastACK uint32  // parked: what the client acknowledged last
	framing framing

	ev          evidence
	beyond      uint32 // the client has sent everything before it
	serverClaim uint32 // what a single packet of the server acknowledged; 0: none
	serverAck   uint32 // the server has received everything before it; base at first
	serverSaid  mark   // what its last packet acknowledged
	cut         span   // came, but cut by the mirror
	aside       []aside
	multipath   bool // of an MPTCP connection that has had several subflows

	q          sendQueue
	finSeen    bool
	fin        uint32 // sequence number of the FIN: there are no bytes at it or behind
	finAlone   bool   // the FIN's packet brought nothing else
	rstSeen    bool
	rstEarly   bool      // it came before what is in front of it, and the client may go on
	rst        uint32    // sequence number of the RST
	challenged bool      // the server has asked back about it: it has no more than is here
	rstAt      time.Time // when it came

	strayed   span      // where a segment goes on that was dropped from beside the stream
	ahead     time.Time // when a packet last said that the client has sent more than is here
	claims    int       // how many packets did since the hole
	shown     time.Time // when that packet was captured: this process may be late
	beside    time.Time // when the client was last seen not to have sent more
	besides   int       // how often since
	serverRST time.Time // when a reset of the server's came that is not where its bytes end
	serverAt  time.Time // when the server last said that it has no more than is here
	seen      time.Time // last packet
	last      time.Time // when the client's last one was captured
}

// origin is the sequence number of the first byte that was seen of the
// connection, or that of a byte as far back as sequence numbers tell.
func (f *mirrorView) origin() uint32 {
	if f.long {
		return f.oldest
	}
	switch {
	case f.first.known:
		return f.first.at
	case f.past != (span{}):
		return f.past.from + 1
	case f.passed != (span{}):
		return f.passed.from + 1
	}
	return f.base
}

// sent is the sequence number after the last byte that the client is known to have sent.
func (f *mirrorView) sent() uint32 {
	if f.finSeen && !seqLess(f.fin, f.beyond) {
		return f.fin + 1
	}
	return f.beyond
}
