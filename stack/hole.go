package stack

import "time"

// OnGap says what becomes of a stream in which bytes are missing for good.
type OnGap uint8

const (
	// GapReset ends the stream with EndGap. Another one may begin behind.
	GapReset OnGap = iota
	// GapSplice leaves out what is missing and goes on. What the stream holds
	// then is not what the client sent.
	GapSplice
)

// noteHole keeps the times by which a hole is given up.
func (s *Stack) noteHole(f *flow) {
	if f.hole.IsZero() {
		f.hole = s.now
		if f.q.len() > 0 {
			// It was missing when what follows it came, however long that then
			// had to wait for the target.
			f.hole = s.epoch.Add(f.q.first().at)
		}
	}
	if f.certain.IsZero() && f.lost() {
		f.certain = s.now
	}
}

// hopeless reports whether a hole has been waited for long enough. The grace
// is for packets that the mirror has delayed, and nothing else can bring them:
// either they are known to be lost, or so much has come since that they are as
// good as lost, or there is no use in waiting longer.
func (s *Stack) hopeless(f *flow) bool {
	age := s.now.Sub(f.hole)
	crowded := f.q.count > s.cfg.MaxPending || f.ending || f.newer != nil
	return age >= s.cfg.GapTimeout || crowded && age >= s.cfg.Grace ||
		!f.certain.IsZero() && s.now.Sub(f.certain) >= s.cfg.Grace
}

// mayCome reports whether what would fill a hole that has been waited for may
// still be on its way through this process. With several rings that is so where one
// is behind the others: a server's acknowledgement comes by another ring than the
// fragments of what it acknowledges.
func (s *Stack) mayCome(f *flow) bool {
	if s.cfg.CaughtUp == nil || s.now.Sub(f.hole) >= s.cfg.GapTimeout {
		return false
	}
	if s.caughtUp.IsZero() {
		s.caughtUp = s.cfg.CaughtUp()
	}
	return s.caughtUp.Before(f.doomed)
}

// giveUp is the end of waiting for a hole.
func (s *Stack) giveUp(f *flow) {
	if s.cfg.OnGap == GapSplice {
		s.splice(f)
		return
	}
	rest := f.rest()
	s.end(f, EndGap, DropGap)
	s.pickUp(f, rest, DropGap)
}

// missed counts the holes that nobody waits for any longer. Everything before
// the sequence number from has come, and the client has sent everything before
// to; of what is between, the entries of q before stop are there, nil for all.
func (s *Stack) missed(q *sendQueue, stop *entry, from, to uint32) {
	hole := func(to uint32) {
		if seqLess(from, to) {
			s.counters.holes++
			s.counters.missingBytes += uint64(to - from)
		}
	}
	for e := q.first(); e != stop; e = e.next() {
		hole(e.seq)
		from = e.end()
	}
	hole(to)
}

// splice closes a hole: what follows moves up to its place.
func (s *Stack) splice(f *flow) {
	to := f.sent()
	if f.q.len() > 0 {
		to = f.q.first().seq
	}
	missing := to - f.ack
	s.missed(&f.q, f.q.first(), f.ack, to)
	s.counters.spliced++
	s.counters.splicedBytes += uint64(missing)
	f.shift += missing
	f.watch.cancel()
	f.windowEnd += missing
	s.advance(f, to)
	s.touch(f)
}

// advance moves what gVisor has received up to ack.
func (s *Stack) advance(f *flow, ack uint32) {
	f.ack = ack
	f.hole, f.certain, f.doomed = time.Time{}, time.Time{}, time.Time{}
	if seqLess(f.serverAck, ack) {
		f.serverAck = ack
	}
	if seqLess(f.beyond, ack) {
		f.beyond = ack
	}
	if !seqLess(ack, f.cut.to) {
		f.cut = span{}
	}
	s.trim(f)
}

// trim forgets what was kept of bytes that have been read.
func (s *Stack) trim(f *flow) {
	if f.conn == nil || len(f.unread) == 0 {
		return
	}
	f.starts.forget(f.conn.settled() + f.shift)
	read := f.conn.position() + f.shift
	gone := 0
	for gone < len(f.unread) && !seqLess(read, f.unread[gone]) {
		gone++
	}
	f.unread = f.unread[:copy(f.unread, f.unread[gone:])]
	s.charge(f)
}
