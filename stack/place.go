package stack

import (
	"slices"

	"netmirror/http1"
)

// place is where a stream may begin: at, in the entry e.
type place struct {
	e    *entry
	at   uint32
	sure bool // nothing is missing in front of it that could show otherwise
	like bool // nothing but its looks says that a request begins there
}

// startAt finds the first place in what f holds at which a stream may begin; its
// entry is nil if there is none.
//
// Where the framing of what came before is known, that is where the next request
// begins, wherever a segment does. Behind a loss that hides it, and in a connection
// older than netmirror, it is a segment that looks like the beginning of a request. That is
// so with MidstreamAny, too, where both ends have the service's port and no SYN was seen:
// else it may be the server's.
func (s *Stack) startAt(f *flow) (found place) {
	switch s.serviceOf(f).Midstream {
	case MidstreamOff:
		return place{}
	case MidstreamAny:
		for e := f.q.first(); e != nil; e = e.next() {
			if e.first && e.n > 0 && !e.single && (!f.either || f.framing.whole || http1.Unmistakable(e.payload()) == http1.Request) {
				return place{e: e, at: e.seq, sure: true}
			}
		}
		return place{}
	}
	g := f.framing.apart()
	missing := false
	// Behind what is no HTTP/1 nothing is, whatever it looks like.
	for e := f.q.first(); e != nil && found.e == nil && !g.opaque(); e = e.next() {
		if e.n == 0 || e.mayProbe() {
			continue
		}
		if prev, seen := f.before(e); seen && prev.end != e.seq {
			missing = true
		}
		if g.known && seqLess(g.at, e.seq) {
			g.skip(e.seq, &f.ev.answers)
		}
		switch {
		case g.opaque(), g.known && !seqLess(g.at, e.end()):
		case g.known:
			g.read(e.payload()[g.at-e.seq:], func(at uint32) {
				if found.e == nil {
					found = place{e: e, at: at, sure: !missing, like: g.alike}
				}
			})
		case f.begins(e):
			found = place{e: e, at: e.seq, sure: !missing, like: true}
		}
	}
	return found
}

// maxRequestLine is how many bytes are looked at for the end of a request line
// that is split over segments.
const maxRequestLine = 16 << 10

// begins reports whether the segment at e begins an HTTP/1 request that the client
// was free to send: one directly behind what it sent before the last answer is a part
// of that.
func (f *mirrorView) begins(e *entry) bool {
	l, _ := f.likeness(e)
	return l == http1.Request
}

// likeness says how much the bytes from e on look like the beginning of a request that the
// client was free to send, and which entry is the last of them. A line of maxRequestLine
// bytes without an end is one.
func (f *mirrorView) likeness(e *entry) (http1.Likeness, *entry) {
	if !e.first || e.mayProbe() || f.ev.answers.changedBefore(e.seq) || !f.fresh(e) {
		return http1.Contradicts, e
	}
	judge := http1.Unmistakable
	if prev, seen := f.before(e); seen && prev.end == e.seq {
		judge = http1.Start // what is in front of it is there, so that it is no part of a line
	}
	if next := e.next(); next != nil && e.probesFor(next) {
		return http1.Contradicts, e
	}
	l := judge(e.payload())
	if l != http1.Possible {
		return l, e
	}
	line := slices.Clone(e.payload())
	judged := len(line)
	for end := e.end(); l == http1.Possible && len(line) < maxRequestLine; end = e.end() {
		// What follows an answer is not the rest of a line.
		next := e.next()
		if next == nil || next.n == 0 || next.seq != end || next.ack != e.ack {
			break
		}
		e = next
		line = append(line, e.payload()...)
		// Not at each of many small pieces: it takes time linear in the line.
		if len(line)-judged > judged/8 {
			l, judged = judge(line), len(line)
		}
	}
	if l == http1.Possible {
		l = judge(line)
	}
	if l == http1.Possible && len(line) >= maxRequestLine {
		l = http1.Request
	}
	return l, e
}

// probesFor reports whether e is a probe's byte, as the request directly behind it shows.
func (e *entry) probesFor(next *entry) bool {
	return e.n == 1 && next.seq == e.end() && next.n > 1 && http1.Unmistakable(next.payload()) == http1.Request
}

// front is what is known of what the client sent in front of a place.
type front struct {
	end   uint32 // the bytes end before
	ack   uint32 // what they acknowledged; valid with acked
	acked bool
}

// stretch is bytes that were passed over.
type stretch struct {
	from uint32
	front
}

// before is what was seen in front of e. seen is false where nothing was.
func (f *mirrorView) before(e *entry) (at front, seen bool) {
	if f.past != (span{}) && f.past.to == e.seq && f.pastACK.end == e.seq {
		return f.pastACK, true // whatever came behind a hole since
	}
	if e.prev() == nil && f.skipped.acked && seqLess(f.skipped.from, e.seq) && !seqLess(f.skipped.end, e.seq) {
		return front{e.seq, f.skipped.ack, true}, true
	}
	for prev := e.prev(); prev != nil; prev = prev.prev() {
		if !prev.single || e.at-prev.at < probePause && !prev.probesFor(e) {
			return front{prev.end(), prev.ack, prev.acks}, true
		}
	}
	if f.pastACK.end == f.past.to && f.skipped.acked && seqLess(e.seq, f.skipped.end) {
		return f.pastACK, f.past != span{} // what was passed over last lies behind
	}
	return front{f.past.to, f.q.ack, f.q.acked}, f.past != span{}
}

// fresh reports whether the client had been answered between the bytes in
// front of e and e. Where nothing is known of what is in front, it may have
// been. Where bytes are missing in between, it is not enough that the client had an
// answer since: that may be the one to the request before the one whose head is
// missing.
func (f *mirrorView) fresh(e *entry) bool {
	prev, seen := f.before(e)
	if !prev.acked || !e.acks {
		return true
	}
	if e.asked == interimOnly || !seqLess(f.ev.answers.beyond(prev.ack), e.ack) {
		return false
	}
	if seen && seqLess(prev.end, e.seq) {
		if yes, ok := f.ev.answers.between(prev.end, e.seq, e.ack); ok {
			return yes
		}
		if e.asked != unasked {
			return e.asked == mayBeAnswered
		}
		return !f.ev.answers.forgot(prev.end, e.ack)
	}
	return true
}

// asks notes of an entry whether the server had answered something in the hole in front of it
// before, or without a hole, whether the client had an answer: when a place to begin at is looked
// for, there may be too many answers to tell.
func (f *flow) asks(e *entry) {
	if !e.first || !e.acks {
		return
	}
	from := f.floor()
	switch prev := e.prev(); {
	case prev != nil:
		from = prev.end()
	case f.state != parked:
	case f.past == (span{}):
		return // nothing is known of what is in front
	default:
		from = f.past.to
	}
	if !seqLess(from, e.seq) {
		if f.state == parked || f.claims > 0 { // else the stream goes on with it
			if prev, _ := f.before(e); prev.acked && !seqLess(f.ev.answers.beyond(prev.ack), e.ack) {
				e.asked = interimOnly
			}
		}
		return
	}
	switch yes, ok := f.ev.answers.between(from, e.seq, e.ack); {
	case ok && !yes:
		e.asked = unanswered
	case yes, !f.ev.answers.forgot(from, e.ack):
		e.asked = mayBeAnswered
	}
}
