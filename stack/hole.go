package stack

import (
	"time"

	"netmirror/outcome"
)

// OnGap says what becomes of a stream in which bytes are missing for good.
type OnGap uint8

const (
	// GapReset ends the stream with outcome.EndGap. Another one may begin behind.
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
	switch {
	case s.alleged(f):
		f.certain = time.Time{}
	case f.certain.IsZero() && f.lost():
		f.certain = s.now
	}
}

// clearHole forgets how long a hole has been waited for: there is none at gVisor's place, or
// another one.
func (f *flow) clearHole() { f.hole, f.certain, f.doomed = time.Time{}, time.Time{}, time.Time{} }

// alleged reports whether a single packet without data says that there is more than is
// here, as one does that is none of the connection's, and there is reason not to believe it
// yet: the client or the server is still seen where it was, or to believe a stray one would
// cost what comes next, for it is an end, or nothing can be picked up. With splice nothing
// can be moved up.
func (s *Stack) alleged(f *flow) bool {
	single := f.claims == 1 && f.q.len() == 0 && !f.multipath && !f.ending && f.newer == nil && !f.cut.has(f.virtual.ack)
	seen := f.besides > 0 || f.serverAt.After(f.ahead)
	return single && (seen || f.rstSeen || f.finSeen || f.framing.opaque() || s.serviceOf(f).OnGap == GapSplice)
}

// hopeless reports whether a hole has been waited for long enough. The grace
// is for packets that the mirror has delayed, and nothing else can bring them:
// either they are known to be lost, or so much has come since that they are as
// good as lost, or there is no use in waiting longer. Where the server waits for the
// same bytes, the client will send them again. Where they are alleged only, waiting keeps
// nothing from the target, and what comes next tells.
func (s *Stack) hopeless(f *flow) bool {
	age := s.now.Sub(f.hole)
	if !f.certain.IsZero() && s.now.Sub(f.certain) >= s.cfg.Grace {
		return true
	}
	switch {
	case s.alleged(f) && s.refuted(f):
		return age >= s.cfg.GapTimeout
	case s.alleged(f), f.serverMisses():
		return age >= serverPatience*s.cfg.GapTimeout
	}
	crowded := f.q.count > s.cfg.MaxPending && !f.multipath || f.ending || f.newer != nil
	return age >= s.cfg.GapTimeout || crowded && age >= s.cfg.Grace
}

// serverPatience is how many times longer than Config.GapTimeout a hole is waited for
// that the server has as well: clients send again after seconds.
const serverPatience = 10

// serverMisses reports whether the server, which was heard since something is missing, has
// acknowledged no more than is here. Its acknowledgement of what came behind the hole comes at once
// (RFC 5681, section 4.2). Had it the rest, it would soon say so.
func (f *flow) serverMisses() bool {
	return !f.ending && f.newer == nil && f.claims > 0 && !f.serverAt.Before(f.hole)
}

// serverWaits reports whether the server has acknowledged no more than is here, well
// after a packet said that there is more.
func (s *Stack) serverWaits(f *flow) bool {
	return !f.ending && f.newer == nil && f.claims > 0 && f.serverAt.Sub(f.ahead) >= s.cfg.Grace
}

// fewBesides is how many packets a mirror shows late behind one that was sent after
// them, as a rule.
const fewBesides = 3

// refuted reports whether the connection goes on beside a single packet that said that
// there is more: it was none of the connection's.
func (s *Stack) refuted(f *flow) bool {
	return f.claims <= 1 && !f.multipath && f.certain.IsZero() && !f.ending &&
		(f.besides > fewBesides || f.besides > 0 && f.beside.Sub(f.ahead) >= s.cfg.Grace || s.serverWaits(f))
}

// forgetAhead goes on as if nothing had come behind the hole.
func (s *Stack) forgetAhead(f *flow) {
	for f.q.len() > 0 {
		s.lostLast(f, outcome.DropOutOfWindow)
	}
	if f.finSeen && seqLess(f.virtual.ack, f.fin) {
		s.forgetFIN(f)
	}
	if f.rstSeen && seqLess(f.virtual.ack, f.rst) {
		s.forgetRST(f)
	}
	f.beyond, f.serverAck, f.cut, f.claims = f.virtual.ack, f.virtual.ack, span{}, 0
	f.clearHole()
	s.charge(f)
	s.touch(f)
}

// mayCome reports whether what would fill a hole that has been waited for may
// still be on its way through this process. With several rings that is so where one
// is behind the others: a server's acknowledgement comes by another ring than the
// fragments of what it acknowledges.
func (s *Stack) mayCome(f *flow) bool {
	if s.cfg.CaughtUp == nil || s.now.Sub(f.hole) >= s.cfg.GapTimeout {
		return false
	}
	return s.asOf().Before(f.doomed)
}

// asOf is the time before which everything that was captured has been taken to the flows. It
// is asked for once a tick.
func (s *Stack) asOf() time.Time {
	if s.caughtUp.IsZero() {
		s.caughtUp = s.cfg.CaughtUp()
		if s.mu.newest.Load() != nil {
			s.caughtUp = s.epoch // it was injected, but only handed over
		}
	}
	return s.caughtUp
}

// giveUp is the end of waiting for a hole.
func (s *Stack) giveUp(f *flow) {
	if s.refuted(f) {
		s.forgetAhead(f)
		return
	}
	if s.serviceOf(f).OnGap == GapSplice {
		switch {
		case f.q.len() > 0 || f.ending || f.finSeen && f.fin-f.virtual.ack <= bigStep:
			s.splice(f)
			return
		case !f.finSeen && !f.rstSeen:
			return // nothing is there to move up
		}
	}
	rest := f.rest(outcome.DropGap)
	s.end(f, outcome.EndGap, outcome.DropGap)
	s.pickUp(f, rest, outcome.DropGap)
}

// missed counts the holes that nobody waits for any longer. Everything before
// the sequence number from has come, and the client has sent everything before
// to; of what is between, the entries of f's queue before stop are there, nil for all.
func (s *Stack) missed(f *flow, stop *entry, from, to uint32) {
	if f.finSeen && to == f.fin+1 {
		to = f.fin // which came
	}
	hole := func(to uint32) {
		if seqLess(from, to) {
			s.missedBytes(&f.key, to-from)
		}
	}
	for e := f.q.first(); e != stop; e = e.next() {
		hole(e.seq)
		from = e.end()
	}
	hole(to)
}

// missedBytes counts a hole of n bytes.
func (s *Stack) missedBytes(of *flowKey, n uint32) {
	s.counters.holes++
	s.counters.missingBytes += uint64(n)
	s.services[of.service].stats.MissingBytes += uint64(n)
}

// splice closes a hole: what follows moves up to its place.
func (s *Stack) splice(f *flow) {
	to := f.sent()
	switch {
	case f.q.len() > 0:
		to = f.q.first().seq
	case f.finSeen && !seqLess(f.fin, f.virtual.ack):
		to = f.fin // which moves up itself
	}
	missing := to - f.virtual.ack
	f.framing.skip(to, &f.ev.answers)
	s.missed(f, f.q.first(), f.virtual.ack, to)
	s.counters.spliced++
	s.counters.splicedBytes += uint64(missing)
	f.virtual.shift += missing
	f.watch.cancel()
	f.virtual.windowEnd += missing
	f.virtual.sentTo += missing
	s.advance(f, to)
	s.claimed(f)
	s.touch(f)
}

// advance moves what gVisor has received up to ack.
func (s *Stack) advance(f *flow, ack uint32) {
	f.virtual.ack = ack
	if ack-f.origin() > maxWindow {
		f.oldest, f.long = ack-maxWindow, true
	}
	f.clearHole()
	f.serverAck, f.beyond = seqMax(f.serverAck, ack), seqMax(f.beyond, ack)
	if !seqLess(ack, f.cut.to) {
		f.cut = span{}
	}
	s.trim(f)
}

// trim forgets what was kept of bytes that have been read.
func (s *Stack) trim(f *flow) {
	if f.virtual.conn == nil || len(f.virtual.unread) == 0 {
		return
	}
	f.virtual.starts.forget(f.virtual.conn.settled() + f.virtual.shift)
	read := f.virtual.conn.position() + f.virtual.shift
	gone := 0
	for gone < len(f.virtual.unread) && !seqLess(read, f.virtual.unread[gone]) {
		gone++
	}
	f.virtual.unread = f.virtual.unread[:copy(f.virtual.unread, f.virtual.unread[gone:])]
	s.charge(f)
}
