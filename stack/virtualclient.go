package stack

import (
	"sync/atomic"
	"time"

	"netmirror/stack/netstack"
)

// virtualClient is what gVisor said of a flow, and got of it. Sequence numbers are the
// mirrored connection's where nothing else is said; gVisor's are behind by shift and offset.
type virtualClient struct {
	id    netstack.ClientID // 0 before it has begun to connect
	port  uint16            // of gVisor's listener
	dial  dialState
	tried time.Time          // when gVisor was last given time for a step of the handshake
	late  uint8              // how often it has not used it
	conn  *Conn              // nil until gVisor's listener has handed it out
	ep    *netstack.Endpoint // nil until then, and when the flow has ended

	greeted   bool   // gVisor's SYN-ACK is not acknowledged yet
	ack       uint32 // everything before it has been received in order, the FIN included
	sentTo    uint32 // everything that gVisor was sent is before it
	windowEnd uint32 // first sequence number beyond the advertised window
	peerSeq   uint32 // gVisor's own sequence number: what the client acknowledges
	scale     uint8
	finished  bool // gVisor has everything in front of the FIN, which counts: no other one does
	closing   closing
	shift     uint32 // bytes spliced out
	offset    uint32 // of the first byte: gVisor may have had other streams on the connection

	got    int      // bytes that gVisor has received in order
	unread []uint32 // ends of the entries that gVisor has and that may not have been read
	starts starts   // of requests that were received and perhaps not read

	progress time.Time // when gVisor last took something or grew its window
	backoff  time.Duration
}

// closing is where the stream ends with the client's FIN, once that is certain. Bytes spliced
// out do not count. Whoever reads the stream may ask.
type closing struct{ at atomic.Uint64 }

const closingKnown = 1 << 32 // above the sequence number

func (c *closing) set(seq uint32) { c.at.Store(closingKnown | uint64(seq)) }

func (c *closing) is(seq uint32) bool { return c.at.Load() == closingKnown|uint64(seq) }

// closesAt notes that the stream ends at seq, and wakes a reader that has come to there. Any
// other finds out when it reads the last bytes.
func (v *virtualClient) closesAt(seq uint32) {
	seq -= v.shift
	if v.closing.is(seq) {
		return
	}
	v.closing.set(seq)
	if v.conn != nil && v.conn.position() == seq {
		v.conn.wake()
	}
}

// starts remembers the places in a stream at which requests begin that may not
// have been read yet, in order.
type starts []uint32

// maxStarts bounds them: 4 KiB for a stream whose reader is far behind.
const maxStarts = 1024

func (s *starts) add(seq uint32) {
	if len(*s) < maxStarts {
		*s = append(*s, seq)
	}
}

// forget drops the places before seq.
func (s *starts) forget(seq uint32) {
	gone := 0
	for gone < len(*s) && seqLess((*s)[gone], seq) {
		gone++
	}
	*s = (*s)[:copy(*s, (*s)[gone:])]
	if cap(*s) > 16 && len(*s) == 0 {
		*s = nil
	}
}

// from is the first place at or behind seq.
func (s starts) from(seq uint32) (uint32, bool) {
	for _, at := range s {
		if !seqLess(at, seq) {
			return at, true
		}
	}
	return 0, false
}
