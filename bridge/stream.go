package bridge

import (
	"sync/atomic"
	"time"

	"netmirror/outcome"
	"netmirror/requests"
)

// phase is what a stream waits for, besides the end of its target's connection.
type phase uint8

const (
	dialing   phase = iota // a connection to the target, or its turn to begin
	waiting                // something that goes to the target, before it connects
	copying                // bytes of the client
	blocked                // room in the target's socket, which did not take all of the last piece
	clearing               // acknowledgements of all that was written, before a probe
	probing                // the acknowledgement of a probe
	resetting              // acknowledgements of all that was written, before a reset
	lingering              // the target's end, behind the client's
	ended                  // nothing
)

// stream is one accepted Stream and its connection to the target. All of it belongs
// to the loop's goroutine, but for notified.
type stream struct {
	l  *loop
	b  *Bridge
	in outcome.Stream

	edit *requests.Editor // nil where the target gets what the client has sent

	phase     phase
	scheduled bool        // it is among the loop's turns
	notified  atomic.Bool // it is in the loop's inbox

	due   int64 // what it waits for, where it is among the loop's timers
	timer int   // its place there

	dial   dial
	direct progress // of read
	tcp    tcpConn
	out    targetConn    // tcp, or what is made of it
	intro  *introduction // what goes before the client's bytes; nil: nothing, or nothing more

	placed    bool          // it counts among those with a connection, and not among those that wait
	pending   bool          // the target may still refuse our certificate
	keptAlive bool          // the target's host is asked for signs of life
	answers   bool          // more of them are left to discard
	retry     bool          // of blocked: the write is tried again whatever the socket says
	finSent   bool          // the client's FIN was passed on
	targetFIN bool          // the target's FIN was heard
	proven    bool          // the target acknowledged bytes written behind its FIN
	stall     stall         // of blocked, lingering and the waits for acknowledgements
	silence   stall         // of copying
	since     int64         // when the connection was made, in the loop's time
	first     int64         // when the client's first bytes were written; until then, since
	targetEnd int64         // when the target first said that it ends; 0: it has not
	pause     time.Duration // between two looks for acknowledgements
	probe     []byte        // of probing: what was read
	written   int           // and how much of it was written
	how       outcome.End   // it ends, once that is known

	answered int64 // bytes discarded
	got      int64 // bytes read from in and not given back
	sent     int64 // bytes taken by out's kernel; on probation, acknowledged
	wrote    int64 // bytes taken by out's kernel, on probation as well; a header not included
}

func newStream(l *loop, b *Bridge, in outcome.Stream) *stream {
	return &stream{l: l, b: b, in: in, edit: b.cfg.Requests.Editor(), timer: noTimer}
}

// enter changes the phase.
func (s *stream) enter(p phase) {
	s.l.urgent += urgency(p) - urgency(s.phase)
	s.phase = p
}

// urgency is 1 if the client's bytes wait for an event of the target's socket, else 0.
func urgency(p phase) int {
	if p == dialing || p == blocked {
		return 1
	}
	return 0
}

// turn is called when the client may have sent something, or more answers are left.
func (s *stream) turn() {
	if s.answers {
		s.answers = false
		if !s.discard(false) {
			return
		}
	}
	switch s.phase {
	case waiting:
		s.seek()
	case copying:
		s.copy()
	}
}

// unknown reports whether the target may not know of the connection, as nothing has been written.
func (s *stream) unknown() bool { return s.phase == copying && s.wrote == 0 }

// confirm makes the connection known to the target.
func (s *stream) confirm() {
	if s.unknown() {
		s.out.confirm()
	}
}

// expired is called when the stream's timer expires.
func (s *stream) expired() {
	switch s.phase {
	case dialing:
		s.dial.expired(s)
	case blocked:
		s.awaitRoom()
	case clearing, probing, resetting:
		s.lookForAcks()
	case lingering:
		s.lookForSilence()
	case copying:
		s.lookForLife()
	}
}

// event is called when something has happened on the target's connection.
func (s *stream) event(ev events) {
	if s.phase == dialing {
		s.dial.event(s, ev)
		return
	}
	if ev&evAnswer != 0 && !s.discard(ev&(evFIN|evOver) != 0) {
		return
	}
	if ev&evFIN != 0 {
		s.heardFIN()
	}
	if ev&evOver != 0 {
		if over, cause := s.out.over(); over {
			s.targetOver(cause)
			return
		}
	}
	if ev&evRoom != 0 && s.phase == blocked {
		s.resume()
	}
}

// tell makes the loop call event soon. Any goroutine may call it.
func (s *stream) tell(ev events) {
	s.l.in.post(func() {
		if s.phase != ended {
			s.event(ev)
		}
	})
}

// discard discards what the target has answered. With all, it goes on until nothing is left,
// which is safe after the target's FIN. Otherwise it discards a part, and schedules another
// turn for the rest. It returns false if the stream has ended.
func (s *stream) discard(all bool) bool {
	for {
		n, more, err := s.out.discard()
		s.answered += int64(n)
		if n > 0 {
			s.accepted()
		}
		s.b.n.discarded.Add(uint64(n))
		if n >= answerBatch {
			s.l.flood = s.l.now + int64(floodFor)
		}
		switch {
		case err != nil:
			s.targetOver(err)
			return false
		case !more:
			return true
		case !all:
			s.answers = true
			s.l.schedule(s)
			return true
		}
	}
}

// accepted notes that the target has taken the connection for good.
func (s *stream) accepted() {
	if s.pending {
		s.pending = false
		s.b.outage.answered(time.Now())
	}
}

// heardFIN notes that the target has closed its side, and whether it did so first.
func (s *stream) heardFIN() {
	if s.targetFIN {
		return
	}
	s.targetFIN = true
	s.ending()
	if s.finSent {
		return
	}
	s.tcp.kind = nil // the target's host remembers the connection; see tcpConn.over
	s.b.n.closedFirst.Add(1)
	s.in.Split()
}

// finish ends the stream with e, unless it has ended before. It closes the target's
// connection in order if e is complete, resets it otherwise, and tells the accepted Stream.
func (s *stream) finish(e outcome.End) {
	if s.phase == ended {
		return
	}
	if s.phase == probing { // at a shutdown
		s.settleProbe(false)
	}
	was := s.phase
	s.dropIntroduction()
	s.enter(ended)
	s.how = e
	s.l.timers.stop(s)
	delete(s.l.live, s)
	switch {
	case was == waiting:
	case was == dialing:
		s.dial.cancel(s)
		s.giveBack()
	case e == outcome.EndComplete:
		s.accepted()
		if s.wrote+s.answered > bufferSize {
			s.tcp.kind = nil // its buffers may have grown, and a slow target would fill them
		}
		s.out.close()
	case e == outcome.EndTargetRefused: // whatever its host has acknowledged
		s.b.n.unacked.Add(uint64(s.sent))
		s.out.reset()
	default:
		s.b.n.unacked.Add(uint64(s.unacked()))
		s.out.reset()
	}
	s.edit.Close()
	s.account()
	s.in.CloseWith(e)
}

// unacked is how many of the bytes that count as sent the target has not acknowledged. The
// socket may count more than those: a header before them, and a unix socket its buffers.
func (s *stream) unacked() int64 {
	queued, err := s.out.unacked()
	if err != nil {
		queued = 0
	}
	if queued > 0 && s.finSent {
		queued--
	}
	return min(max(s.sent-(s.wrote-int64(s.unread(queued))), 0), s.sent)
}

// unread is how many of the bytes written the target cannot have read, where its connection
// has so many unacknowledged.
func (s *stream) unread(unacked int) int {
	if t, ok := s.out.(*tlsConn); ok {
		return t.unread(unacked)
	}
	return unacked
}

// turnAway ends a stream that the loop has not taken in.
func (s *stream) turnAway(e outcome.End) {
	s.phase, s.how = ended, e
	s.account()
	s.in.CloseWith(e)
}
