package stack

import (
	"time"

	"netmirror/outcome"
)

// newFlow makes a flow of a rank for a segment, or counts the segment as turned away.
func (s *Stack) newFlow(seg *segment, as rank) *flow {
	if s.stops(seg.key.service) {
		s.drop(seg, outcome.DropShutdown)
		return nil
	}
	if why, ok := s.makeRoom(&seg.key, as); !ok {
		s.drop(seg, why)
		return nil
	}
	f := &flow{key: seg.key, mirrorView: mirrorView{base: seg.seq, beyond: seg.seq, either: seg.either}, lostFor: outcome.DropMidStream}
	f.standing.rank = as
	f.standing.shows(seg)
	s.add(f)
	if f.older != nil {
		known := f.older.stub(over)
		f.prior = known.seen()
	}
	return f
}

// add puts a new flow into the table.
func (s *Stack) add(f *flow) {
	f.active, f.virtual.backoff = -1, minBackoff
	f.opened, f.seen, f.virtual.progress = s.now, s.now, s.now
	f.q.pool = &s.entries
	f.last = s.captured
	if f.older = s.flows[f.key]; f.older != nil {
		f.older.newer, f.older.overtaken = f, true
	}
	s.flows[f.key] = f
	s.nflows++
	s.serviceOf(f).stats.Flows++
	s.table.enter(f, s.now)
	s.touch(f)
}

// start lets a flow begin at base.
func (s *Stack) start(f *flow, base uint32) {
	f.hasBase, f.base, f.state = true, base, opening
	f.opened, f.due = s.now, time.Time{}
	if f.beyond-base >= maxWindow {
		f.beyond = base
	}
	f.serverAck, f.ahead, f.shown = base, s.now, s.captured
	s.began(f)
	if !f.picked {
		f.framing.begin(base, true)
		f.framing.known = s.serviceOf(f).Midstream != MidstreamOff
		f.framing.only = s.serviceOf(f).Midstream == MidstreamAny
	}
	s.touch(f)
}

// endWhenDelivered ends a flow with e once gVisor has taken what came without
// a gap; a FIN among it makes the end a complete one.
func (s *Stack) endWhenDelivered(f *flow, e outcome.End) {
	if f.state == parked {
		s.seek(f, true)
	}
	if f.state == parked && !f.removed {
		why := e.Drop()
		if e == outcome.EndShutdown {
			why = outcome.DropMidStream // the shutdown lost nothing: none of it could begin a stream
		}
		s.discard(f, why, over)
	}
	if f.removed {
		return
	}
	switch {
	case !f.ending:
		f.ending, f.reason = true, e
	case e == outcome.EndServerReset:
		f.final = true
	}
	s.touch(f)
}

// end ends a flow now. Its reader gets what gVisor has in order, then e. Where
// gVisor has not handed the stream out yet, the end waits for that.
func (s *Stack) end(f *flow, e outcome.End, why outcome.Drop) {
	if f.removed {
		return
	}
	as := over
	if !e.Final() {
		as = s.remains(f)
	}
	complete := false
	if f.virtual.conn != nil {
		complete = f.virtual.conn.finish(e)
		s.level(f, f.virtual.conn.received())
	}
	if f.virtual.conn == nil && f.state != parked {
		if as == midStream {
			s.foresee(f)
		}
		if !f.cameTo.known {
			f.cameTo.set(f.inOnePieceTo())
			f.dropped.set(f.sent())
		}
		f.ending, f.reason, f.finSeen, f.rstSeen, f.due = true, e, false, false, time.Time{}
		f.final = as == over
		f.beyond = f.floor()
		for f.q.len() > 0 && !f.q.last().sent { // gVisor may have the others
			s.lostLast(f, why)
		}
		if f.q.len() > 0 {
			f.beyond = f.q.last().end()
		}
		s.charge(f)
		s.touch(f)
		return
	}
	if e != outcome.EndGap && f.hasBase { // with outcome.EndGap, pickUp knows
		s.missed(f, nil, f.floor(), f.sent())
	}
	s.lostAll(f, why, as)
	s.charge(f)
	switch {
	case complete:
		s.counters.completed++
	case f.virtual.conn != nil:
		s.counters.ended[e]++
	}
	s.remove(f, why, as)
}

// inOnePieceTo is the sequence number at which the first byte is missing in what f holds.
func (f *flow) inOnePieceTo() uint32 {
	to := f.floor()
	for e := f.q.first(); e != nil && !seqLess(to, e.seq); e = e.next() {
		to = e.end()
	}
	return to
}

// goesPast notes a segment that comes behind the end of a stream that waits to be handed out.
func (f *flow) goesPast(seg *segment) {
	if len(seg.payload) > 0 && f.dropped.known && seqLess(f.dropped.at, seg.end()) {
		f.dropped.at = seg.end()
	}
	if !f.cameTo.known || seg.seq != f.cameTo.at {
		return
	}
	f.cameTo.set(seg.end())
	f.final = f.final || seg.flags&(flagFIN|flagRST) != 0
}

// level catches up with what gVisor has received by now but has not said yet,
// so that no byte is counted as delivered and as lost: everything before the
// sequence number end, if numbers are counted from the stream's start. The flow
// is about to end.
func (s *Stack) level(f *flow, end uint32) {
	end += f.virtual.shift
	if !seqLess(f.virtual.ack, end) {
		return
	}
	s.advance(f, end)
	for f.q.len() > 0 && !seqLess(end, f.q.first().end()) {
		s.received(f)
	}
	if first := f.q.first(); first != nil && seqLess(first.seq, end) {
		s.frame(f, first, end)
	}
	part := f.q.trimFront(end)
	s.counters.bytesInOrder += uint64(part)
	f.virtual.got += part
}

// discard ends a flow whose stream nobody has seen, or has any use for.
func (s *Stack) discard(f *flow, why outcome.Drop, as stubKind) {
	s.lostAll(f, why, as)
	s.remove(f, why, as)
}

// lostAll drops all that f holds. Where its connection goes on, it reads first where the next
// request begins: what follows may look like one, and be in the middle of another.
func (s *Stack) lostAll(f *flow, why outcome.Drop, as stubKind) {
	if as != midStream {
		s.lost(f, f.q.len(), why)
		return
	}
	for f.q.len() > 0 {
		if f.state == parked && !f.hasBase && f.past != (span{}) {
			s.passOver(f, why)
		} else {
			s.skip(f, why, f.cause(why))
		}
	}
}

// foresee reads where requests begin in all that f holds.
func (s *Stack) foresee(f *flow) {
	for e := f.q.first(); e != nil; e = e.next() {
		if g := &f.framing; g.known && seqLess(g.at, e.seq) {
			g.skip(e.seq, &f.ev.answers)
		}
		s.frame(f, e, e.end())
	}
}

// passBy reads on where requests begin, in a segment that is dropped because its stream ends.
func (s *Stack) passBy(f *flow, seg *segment) {
	g, by := &f.framing, &f.ev.answers
	if f.removed {
		known, ok := s.stubs.get(&seg.key, s.now)
		if !ok || known.left == nil || known.ev == nil || f.overtaken { // by what is remembered
			return
		}
		g, by = &known.left.framing, &known.ev.answers
	}
	g.readOn(seg.seq, seg.payload, by)
}

// lost drops the first n entries that f holds, which will not be delivered.
func (s *Stack) lost(f *flow, n int, why outcome.Drop) { s.lostAs(f, n, why, f.cause(why)) }

// lostAs is lost for what counts as lost for another reason.
func (s *Stack) lostAs(f *flow, n int, why, as outcome.Drop) {
	packets, bytes := f.q.drop(n)
	s.counters.dropped[why] += packets
	s.loses(f.key.service, why, as, bytes)
}

// cause is the reason for which bytes count as lost that are dropped for why. Where a stream of
// the connection was given up before, it is the reason for that.
func (f *flow) cause(why outcome.Drop) outcome.Drop {
	if why == outcome.DropMidStream {
		return f.lostFor
	}
	return why
}

// stub is what is worth remembering of a flow.
func (f *flow) stub(kind stubKind) stub {
	known := stub{
		kind: kind, base: f.origin(), end: f.came(kind), prior: f.prior,
		whole: f.framing.whole, last: momentOf(f.last), twoWay: f.ev.server.nxt.known,
	}
	if kind == midStream || kind == opaque {
		ev := f.ev
		known.ev = &ev
		known.left = &leftOff{lostFor: f.lostFor, counted: f.accounted(), ack: f.q.ack, acked: f.q.acked, pastACK: f.pastACK, skipped: f.skipped, framing: f.framing.apart()}
	}
	return known
}

// remove takes a flow off the tables.
func (s *Stack) remove(f *flow, why outcome.Drop, as stubKind) {
	if f.removed {
		return
	}
	if f.virtual.conn == nil && f.virtual.got > 0 {
		s.unreadLost(f, f.virtual.got, why) // nobody has ever seen the stream
	}
	if c := f.virtual.conn; c != nil {
		s.reclaim(f)
		if !c.closed { // closed does not change while Stack.mu is held
			s.lingering[c] = struct{}{}
		}
	}
	s.clearAside(f)
	f.removed, f.virtual.unread = true, nil
	s.charge(f)
	s.table.leave(f)
	s.nflows--
	s.serviceOf(f).stats.Flows--
	if f.older != nil {
		f.older.newer = f.newer
	}
	if f.newer != nil {
		f.newer.older = f.older
		s.touch(f.newer) // its holes were urgent for f's sake
	} else {
		s.removeNewest(f, why, as)
	}
	s.setDial(f, notDialing)
	delete(s.clients, f.virtual.id)
	s.setEager(f, false)
	s.deactivate(f)
	if s.stopping && s.nflows == 0 {
		s.signal()
	}
}

// removeNewest is remove for the newest flow of its ports. What is remembered is of the newest
// connection, whichever flow is the last to go.
func (s *Stack) removeNewest(f *flow, why outcome.Drop, as stubKind) {
	if f.older != nil {
		s.flows[f.key] = f.older
		f.older.synSeen = f.synSeen
	} else {
		delete(s.flows, f.key)
	}
	if f.state != parked {
		f.lostFor = why
	}
	if s.knowsNext(f) {
		return
	}
	f.overtaken = false // by what is remembered
	if rest := f.passedOver; rest != nil {
		rest.ev, rest.last = f.ev, f.last
		f = rest
	}
	s.leaves(&f.key, f.stub(as))
}

// knowsNext reports whether a newer connection than f's came on its ports and has gone, and what
// is remembered is of that one.
func (s *Stack) knowsNext(f *flow) bool {
	_, known := s.stubs.get(&f.key, s.now)
	return known && f.overtaken && f.newer == nil
}

// activate and deactivate keep the list of flows that time matters to.
func (s *Stack) activate(f *flow) {
	if f.active < 0 {
		f.active = len(s.active)
		s.active = append(s.active, f)
		if len(s.active) == 1 {
			s.watch()
		}
	}
}

func (s *Stack) deactivate(f *flow) {
	if f.active < 0 {
		return
	}
	last := s.active[len(s.active)-1]
	s.active[f.active] = last
	last.active = f.active
	s.active[len(s.active)-1] = nil
	s.active = s.active[:len(s.active)-1]
	f.active = -1
}

// setEager keeps count of the flows for which an answer of gVisor's is worth
// waking up for.
func (s *Stack) setEager(f *flow, eager bool) {
	if f.eager == eager {
		return
	}
	f.eager = eager
	if eager {
		s.eager.Add(1)
	} else {
		s.eager.Add(-1)
	}
}
