package stack

import (
	"time"

	"netmirror/outcome"
)

const (
	// minReopen is the pause before a handshake with gVisor is tried again. It is longer
	// than gVisor's processor waits for a busy core: a second attempt costs more than the first.
	minReopen = time.Second
	// maxLate is how many such pauses one step of a handshake may take. They are counted, not
	// timed: if this process is stopped for a while, gVisor is too.
	maxLate = 5
)

// maxHandshakes bounds the handshakes with gVisor that are on their way. gVisor takes about
// as long for all of them together as for one after the other. With few, each is answered
// soon or not at all, and a burst of connections is not given up for being long. The next
// ones may also find a spare by then.
const maxHandshakes = 128

// handshakes are those with gVisor.
type handshakes struct {
	begun   int      // on their way
	waiting flowList // flows for which there is no room yet
}

// dialState says how far a flow has got with its handshake.
type dialState uint8

const (
	notDialing dialState = iota // too early, or done
	dialQueued                  // in handshakes.waiting
	dialing                     // counted in handshakes.begun
)

// setDial notes how far f has got, and lets the next flow begin where that makes room.
func (s *Stack) setDial(f *flow, to dialState) {
	from := f.virtual.dial
	if from == to {
		return
	}
	switch from {
	case dialQueued:
		s.handshakes.waiting.remove(f)
	case dialing:
		s.handshakes.begun--
	}
	switch to {
	case dialQueued:
		s.handshakes.waiting.push(f)
	case dialing:
		s.handshakes.begun++
	}
	f.virtual.dial = to
	if to != dialQueued {
		s.dialNext()
	}
}

// dialNext lets the next flow begin, if it may.
func (s *Stack) dialNext() {
	if f := s.handshakes.waiting.first; f != nil && (s.handshakes.begun < maxHandshakes || len(s.spares) > 0) {
		s.touch(f)
	}
}

// synOptions asks for window scaling and for nothing else: with timestamps or
// SACK negotiated, the segments that follow would have to carry them.
var synOptions = []byte{2, 4, 0xff, 0xff /* MSS */, 1, 3, 3, 14 /* window scale */}

// mayConnect reports whether the connection before f on the same addresses has been
// handed out: they are in the order in which their client opened them.
func (f *flow) mayConnect() bool { return f.older == nil || f.older.virtual.conn != nil }

// connect goes on with a spare connection to gVisor, or begins a handshake, as a virtual
// client that has never been there. Where too many are on their way, f waits for its turn.
func (s *Stack) connect(f *flow) {
	f.virtual.port = s.ns.Listen(f.key.serverPort)
	sp, ok := s.takeSpare(f.virtual.port)
	first := s.handshakes.waiting.first
	behind := first != nil && first != f // who has to come first
	if !ok && f.virtual.dial != dialing && (behind || s.handshakes.begun >= maxHandshakes) {
		s.setDial(f, dialQueued)
		if behind {
			s.dialNext()
		}
		return
	}
	f.opened, f.virtual.progress, f.virtual.tried = s.now, s.now, s.now
	if ok {
		s.goOn(f, &sp)
		return
	}
	s.setDial(f, dialing)
	s.lastID++
	f.virtual.id = s.lastID
	s.clients[f.virtual.id] = f
	s.deliver(f, f.base-1, flagSYN, synOptions, nil)
}

// reconnect connects anew, with a spare that there is by now or from another address and port:
// a SYN that is repeated from the same one is never answered with a SYN-ACK once gVisor has
// taken the first, or what is left of it. What gVisor answers to the first attempt is reset.
func (s *Stack) reconnect(f *flow) {
	delete(s.clients, f.virtual.id)
	opened := f.opened
	s.connect(f)
	f.opened = opened
}

// ageHandshake tries again, or gives up, a handshake that gVisor is late with, up to the
// handing out of the stream.
func (s *Stack) ageHandshake(f *flow) {
	switch {
	case f.virtual.id == 0: // its turn has not come
	case s.now.Sub(f.virtual.tried) < minReopen:
	case f.virtual.late+1 >= maxLate:
		s.counters.ended[outcome.EndNotOpened]++
		s.discard(f, outcome.DropNotOpened, s.remains(f))
	default:
		f.virtual.late++
		f.virtual.tried = s.now
		if f.state == opening {
			s.reconnect(f)
		}
	}
}
