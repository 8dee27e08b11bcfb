package stack

import (
	"bytes"
	"slices"
	"time"

	"netmirror/outcome"
)

// A segment is doubtful if it lies outside the server's window, or acknowledges what the
// server has not sent. Such a segment is kept beside the stream, where it makes no hole and
// hides no byte. The stream goes on without it until something confirms it.

// doubt is why a segment is kept beside the stream.
type doubt uint8

const (
	farAway  doubt = iota // further ahead, or further back, than the connection reaches
	oddACK                // it acknowledges what the server was not seen to send
	oddProbe              // one byte that may be a probe's
	newByte               // one that the server did not have when it came
)

// drops is the reason under which a segment is counted that nothing has confirmed.
func (d doubt) drops() outcome.Drop {
	switch d {
	case oddACK:
		return outcome.DropRejected
	case oddProbe, newByte:
		return outcome.DropProbe
	}
	return outcome.DropOutOfWindow
}

// aside is a segment that is kept beside the stream.
type aside struct {
	segment
	why    doubt
	at     time.Time
	heard  uint32    // how many packets of the server's had come by then
	agreed bool      // oddACK: another packet of the client's goes on from it
	passed bool      // oddACK: the client was seen in front of it since, with the same ACK number
	shown  time.Time // oddACK: when the server was seen to have sent what it acknowledges
}

const (
	// maxAside is how many segments may wait beside a stream for packets of the server,
	// and maxAstray how many for any other reason.
	maxAside  = 64
	maxAstray = 8
)

// latestACK is how long a receiver may put off an acknowledgement (RFC 9293, section
// 3.8.6.3).
const latestACK = 500 * time.Millisecond

// limit is how many segments of one doubt are kept beside a stream.
func (d doubt) limit() int {
	if d == oddACK {
		return maxAside
	}
	return maxAstray
}

// setAside keeps a segment beside the stream.
func (s *Stack) setAside(f *flow, seg *segment, why doubt) {
	if seg.next() == seg.seq || f.ending {
		f.agrees(seg)
		why := outcome.DropOutOfWindow
		if len(seg.payload) == 0 {
			why = outcome.DropNoPayload // brings nothing, and says nothing that is believed
		}
		s.drop(seg, why)
		return
	}
	for i := range f.aside {
		if a := &f.aside[i]; a.seq == seg.seq && len(a.payload) == len(seg.payload) {
			s.drop(seg, outcome.DropDuplicate)
			return
		}
	}
	if !s.room(f, seg) {
		return
	}
	if n, first := f.doubted(why); n == why.limit() {
		s.dropAside(f, first, why.drops())
	}
	kept := aside{segment: *seg, why: why, at: s.now, heard: f.ev.server.packets}
	kept.options, kept.payload = nil, bytes.Clone(seg.payload)
	f.aside = append(f.aside, kept)
	s.asidePackets += seg.packets()
	s.asideBytes += len(kept.payload)
	s.charge(f)
	if why == farAway && !s.serverSpeaks(f) && (f.strayed.has(seg.seq) || s.agreeing(f) >= maxAstray) {
		s.believe(f) // a burst of packets was lost in front of it
	}
	s.touch(f)
}

// doubted counts the segments beside the stream that are there for this doubt, and returns
// the index of the first.
func (f *flow) doubted(why doubt) (n, first int) {
	for i := len(f.aside) - 1; i >= 0; i-- {
		if f.aside[i].why == why {
			n, first = n+1, i
		}
	}
	return n, first
}

// takeAside takes the segment at index i back.
func (s *Stack) takeAside(f *flow, i int) aside {
	a := f.aside[i]
	f.aside = slices.Delete(f.aside, i, i+1)
	if len(f.aside) == 0 {
		f.aside = nil
	}
	s.leavesAside(&a)
	s.charge(f)
	return a
}

// leavesAside counts a segment that is not kept beside a stream any more.
func (s *Stack) leavesAside(a *aside) {
	s.asidePackets -= a.packets()
	s.asideBytes -= len(a.payload)
}

func (s *Stack) dropAside(f *flow, i int, why outcome.Drop) {
	a := s.takeAside(f, i)
	s.drop(&a.segment, why)
}

// clearAside drops all that is beside a stream that ends. It leaves the budgets to the caller:
// the rest of a flow that is not in the table is in none.
func (s *Stack) clearAside(f *flow) {
	for i := range f.aside {
		a := &f.aside[i]
		s.leavesAside(a)
		s.drop(&a.segment, a.why.drops())
	}
	f.aside = nil
}

// agreeing is how many of the segments beside the stream go on where the first of
// them ends.
func (s *Stack) agreeing(f *flow) (n int) {
	end := uint32(0)
	for i := range f.aside {
		a := &f.aside[i]
		if a.why >= oddProbe {
			continue
		}
		if n == 0 || near(a.next(), end) {
			n, end = n+1, a.next()
		}
	}
	return n
}

// serverSpeaks reports whether the mirror has shown the server since the oldest segment
// beside the stream came. If so, the server's acknowledgements decide, not the number of
// client segments that agree.
func (s *Stack) serverSpeaks(f *flow) bool {
	return len(f.aside) > 0 && f.ev.server.nxt.known && f.ev.server.packets != f.aside[0].heard
}

// agrees notes that a packet without data continues segments beside the stream, and
// acknowledges no less than they do. A client that got its answer does this.
func (f *flow) agrees(seg *segment) {
	for i := range f.aside {
		if a := &f.aside[i]; a.why == oddACK && a.next() == seg.seq && within(seg.ack, a.ack, f.ev.client.usualWindow()) {
			a.agreed = true
		}
	}
}

// reconsider checks the segments beside the stream again, after the server was seen or the
// stream has advanced.
func (s *Stack) reconsider(f *flow) {
	for i := 0; i < len(f.aside) && !f.removed; {
		a := &f.aside[i]
		switch {
		case s.replaced(f, a):
			s.dropAside(f, i, a.why.drops())
		case a.why == newByte && seqLess(a.seq, f.serverAck):
			s.readmit(f, i) // the server has taken it
		case a.why >= oddProbe:
			i++
		case f.ev.judge(&a.segment) == rejected:
			s.dropAside(f, i, outcome.DropRejected)
		case f.ev.judge(&a.segment) == accepted && !s.misplaced(f, &a.segment) && s.upholds(f, a):
			a := s.takeAside(f, i)
			if f.state == parked && f.hasBase && !s.begin(f, f.base) { // the server has shown that it took the SYN
				s.unknown(&a.segment)
				return
			}
			if f.state == parked {
				s.parked(f, &a.segment)
			} else {
				s.admit(f, &a.segment)
			}
			i = 0
		default:
			i++
		}
	}
}

// replaced reports whether others came in the place of a segment beside the stream.
func (s *Stack) replaced(f *flow, a *aside) bool {
	floor := f.floor()
	if !seqLess(floor, a.next()) {
		return (f.state != parked || f.hasBase) && !s.misplaced(f, &a.segment)
	}
	return a.why == oddACK && a.shown.IsZero() && seqLess(a.seq, floor) && f.ev.judge(&a.segment) != accepted
}

// upholds reports whether the server took a segment that acknowledged what it was not seen
// to send, and has been by now. Either the mirror shows its bytes late, or it sent them
// only after it had dropped the segment. So they are not enough: it must have acknowledged
// the segment, or bytes of it that came in no other, or the client must go on behind it.
func (s *Stack) upholds(f *flow, a *aside) bool {
	said := &f.serverSaid
	if a.why != oddACK || a.agreed || !f.ev.server.nxt.known ||
		said.known && within(said.at, a.next(), nearby) || f.state != parked && !seqLess(f.serverAck, a.next()) {
		return true
	}
	if f.state != parked && said.known && seqLess(f.floor(), said.at) && a.covers(said.at-1) {
		return true
	}
	if a.shown.IsZero() {
		a.shown = s.now
	}
	return false
}

// compares notes a segment of the client's that is right beside those that wait.
func (s *Stack) compares(f *flow, seg *segment) {
	if seg.noACK || seg.subflow || seg.probe() {
		return
	}
	bare := len(seg.payload) == 0
	for i := 0; i < len(f.aside); i++ {
		a := &f.aside[i]
		if a.why != oddACK {
			continue
		}
		later := within(seg.ack, a.ack, maxWindow)
		switch {
		case a.contradictedBy(seg):
			s.dropAside(f, i, a.why.drops())
			i--
		case seg.seq == a.seq && seg.ack == a.ack && !bare:
			a.agreed = true // the client has sent its bytes again
		case later && seqLess(a.seq, seg.seq) && within(a.next(), seg.seq, seg.end()-seg.seq):
			a.agreed = a.agreed || len(a.payload) > 0 || bare
		case later && bare && a.covers(seg.seq):
			a.passed = true
		}
	}
}

// covers reports whether a place is in a segment beside the stream.
func (a *aside) covers(seq uint32) bool { return within(seq, a.seq, a.next()-a.seq-1) }

// contradictedBy reports whether the client has never sent a segment beside the stream, as
// one that is right shows. Where that has other bytes, they are the client's. An ACK number
// never goes back: what acknowledges more than another segment was sent later, and lies
// behind it.
func (a *aside) contradictedBy(seg *segment) bool {
	switch {
	case seg.differs(&a.segment):
		return true
	case len(seg.payload) > 0:
		return a.passed && seg.seq == a.seq
	}
	return seg.ack != a.ack && within(seg.ack, a.ack, maxWindow) && a.covers(seg.seq)
}

// differs reports whether two segments have different bytes at the same place.
func (s *segment) differs(b *segment) bool {
	if s.seq-b.seq >= maxWindow {
		s, b = b, s
	}
	at := int(min(s.seq-b.seq, uint32(len(b.payload)))) // where s begins in b
	n := min(len(b.payload)-at, len(s.payload))
	return !bytes.Equal(b.payload[at:at+n], s.payload[:n])
}

// believable reports whether a segment is right that the server was not seen to
// acknowledge: what it acknowledges was shown late, and neither end was seen since.
func (s *Stack) believable(f *flow, a *aside) bool {
	return !a.shown.IsZero() && !a.passed && f.ev.server.heard < a.shown.Add(s.cfg.Grace).Sub(s.epoch) &&
		f.ev.judge(&a.segment) == accepted && !s.misplaced(f, &a.segment)
}

// readmit takes the segment at index i into the stream. The client was seen there when it
// came, and not now.
func (s *Stack) readmit(f *flow, i int) {
	a, seen := s.takeAside(f, i), f.beside
	s.segmentOf(f, &a.segment)
	if f.beside != seen && seen.Before(a.at) {
		seen = a.at
	}
	f.beside = seen
}

// ageAside decides about segments that have waited beside the stream for long enough.
func (s *Stack) ageAside(f *flow) {
	if len(f.aside) == 0 {
		return
	}
	a := &f.aside[0]
	patience := s.cfg.GapTimeout
	supported := a.agreed || s.agreeing(f) > 1
	if a.why == oddACK && supported && !s.serverSpeaks(f) {
		patience = s.cfg.Grace // the client goes on, and the server is not heard
	}
	since := a.at
	if !a.shown.IsZero() {
		since, patience = a.shown, min(patience, latestACK)
	}
	if s.now.Sub(since) < patience {
		return
	}
	goesOn := f.beside.Sub(since) >= s.cfg.Grace // sooner, it may be what came late
	switch {
	case !goesOn && s.believable(f, a):
		s.readmit(f, 0)
		return
	case !goesOn && a.passed && !a.shown.IsZero() && s.now.Sub(a.shown) < serverPatience*s.cfg.GapTimeout:
		return // what comes next tells, and nothing waits for it
	case a.why >= oddProbe, s.serverSpeaks(f), goesOn:
	case a.why == oddACK && (supported || f.ev.plausible(a.ack)) && !seqLess(a.seq, f.floor()) && seqLess(a.seq, f.beyond+s.near(f)):
		// The mirror does not show the server any more. What is far away is still odd.
		f.ev.silent()
		f.ev.client.ack.set(a.ack)
		s.reconsider(f)
		return
	case s.agreeing(f) > 1:
		s.believe(f)
		return
	}
	if a.why == farAway && !goesOn && seqLess(f.floor(), a.seq) {
		f.strayed = span{a.next(), a.next() + nearby} // a second one that goes on there is believed
	}
	s.dropAside(f, 0, a.why.drops())
}

// believe accepts the segments beside the stream.
func (s *Stack) believe(f *flow) {
	f.ev.silent()
	f.ev.client.ack.set(f.aside[len(f.aside)-1].ack)
	all := slices.Clone(f.aside)
	if back := all[0].seq - f.floor(); back >= maxWindow {
		s.resync(f)
		return
	}
	for len(f.aside) > 0 {
		s.takeAside(f, 0)
	}
	for i := range all {
		if f.removed {
			s.drop(&all[i].segment, outcome.DropOutOfWindow)
			continue
		}
		s.admit(f, &all[i].segment)
	}
}

// withdraw takes from holder, which is f or the rest of it, what was kept beside f's stream,
// for takeIn. If there is a newer connection on the same ports, it is dropped: it would be
// taken for that one's.
func (s *Stack) withdraw(f, holder *flow) []aside {
	if f.newer != nil {
		s.clearAside(holder)
	}
	all := holder.aside
	holder.aside = nil
	return all
}

// takeIn takes segments that were kept beside an ended stream as if they came only now,
// except those that nothing supports. What the stream held ended before reached.
func (s *Stack) takeIn(all []aside, reached uint32) {
	for i := range all {
		seg := &all[i].segment
		s.leavesAside(&all[i])
		f := s.flows[seg.key]
		switch {
		case all[i].why >= oddProbe:
			s.drop(seg, outcome.DropProbe)
		case !near(seg.seq, reached) && s.alone(all, seg):
			s.drop(seg, all[i].why.drops())
		case f != nil:
			s.known(f, seg)
			s.waitsOn(&all[i])
		default:
			s.unknown(seg)
		}
	}
}

// waitsOn lets a segment that is beside the next stream now go on with the wait that it began beside
// the one before.
func (s *Stack) waitsOn(was *aside) {
	f := s.flows[was.key]
	if f == nil {
		return
	}
	for i := range f.aside {
		a := &f.aside[i]
		if a.seq == was.seq && a.why == was.why && bytes.Equal(a.payload, was.payload) {
			was.payload = a.payload
			*a = *was
		}
	}
}

// alone reports whether a segment is of no connection that is known of on its ports and may have
// ended, for it lies far from the end of that one's bytes, with no other segment near it.
func (s *Stack) alone(all []aside, seg *segment) bool {
	if slices.ContainsFunc(all, func(b aside) bool { return b.seq != seg.seq && near(b.next(), seg.next()) }) {
		return false
	}
	if f := s.flows[seg.key]; f != nil {
		return f.drains() && !near(seg.seq, f.reached()) // else it waits beside that one's stream
	}
	known, ok := s.stubs.get(&seg.key, s.now)
	return ok && known.kind != halfOpen && !near(seg.seq, known.end)
}

// resync begins the flow anew at the connection's real place: it had begun at a segment that
// did not belong to the connection.
func (s *Stack) resync(f *flow) {
	key, all, reached := f.key, f.aside, f.sent()
	f.aside = nil
	s.end(f, outcome.EndGap, outcome.DropGap)
	s.stubs.remove(&key)
	s.takeIn(all, reached)
}
