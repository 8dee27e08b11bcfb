package stack

import "time"

// evidence is what the mirror has shown of a connection. A number in a single packet is
// only a claim. So each segment is judged by the windows, acknowledgements and timestamps
// of the connection's other segments, as the real server would have judged it
// (RFC 9293, section 3.10.7.4; RFC 5961; RFC 7323, section 5).
type evidence struct {
	client, server party
	stamps         stamps
	sums           sums
	answers        answers
	refusals       int    // rejected segments in a row that continue one another
	refused        uint32 // where the last of them ends
	pushes         bool   // the client sets PSH where a write ends, as nearly all stacks do
}

// party is one end of a connection, as the mirror showed its packets. nxt
// is in its own sequence space, ack and edge are in the other's.
type party struct {
	heard   time.Duration // when its last packet came, since Stack.epoch
	packets uint32        // that came
	nxt     mark          // it has sent everything before
	ack     mark          // it has acknowledged everything before
	edge    uint32        // the other end may send what is before; 0 with ack where not known
	scale   uint8         // of its window
	scaled  bool          // scale is known
	first   mark          // its SYN's sequence number, where that was seen
}

// stamps is the clock of the client's timestamps.
type stamps struct {
	began        time.Duration // when first was seen, since Stack.epoch
	first, stamp uint32        // the first, and the newest
	odd          uint32        // the last that seemed to be too old; valid with hasOdd
	known        bool
	hasOdd       bool
	fine         bool // the clock is finer than 1 kHz
}

// verdict is what becomes of a client's segment.
type verdict uint8

const (
	accepted verdict = iota
	rejected         // the real server dropped it
	doubtful         // accepted only if something else confirms it
)

// unscaled is the largest window without a scale.
const unscaled = 1<<16 - 1

// maxWindow is the largest window that p can have advertised.
func (p *party) maxWindow() uint32 {
	if p.scaled {
		return unscaled << p.scale
	}
	return maxWindow
}

// usualWindow is maxWindow; if the scale is not known, 128 MiB, more than hosts use.
func (p *party) usualWindow() uint32 {
	if p.scaled {
		return p.maxWindow()
	}
	return 1 << 27
}

// judge judges a client's segment by its ACK and its timestamp. Its place in the stream is
// judged elsewhere (misplaced).
func (ev *evidence) judge(seg *segment) verdict {
	if seg.flags&flagACK == 0 {
		return rejected
	}
	if seg.stamped && ev.outdated(seg.stamp) {
		return rejected
	}
	if seg.subflow { // judged as a segment of its subflow, where it has these numbers
		return accepted
	}
	return ev.judgeACK(seg.ack)
}

// judgeACK judges an acknowledgement by RFC 5961, section 5.2: the server drops a segment
// that acknowledges what it has not sent, or something older than any window.
func (ev *evidence) judgeACK(ack uint32) verdict {
	window := ev.client.usualWindow()
	if c := &ev.client; c.ack.known && seqLess(ack, c.ack.at) && c.ack.at-ack > window {
		return rejected
	}
	if first := ev.server.first; first.known && !seqLess(first.at, ack) && ev.server.nxt.at-first.at < maxWindow {
		return rejected // not even the SYN
	}
	switch {
	case ev.server.nxt.known:
		if seqLess(ev.server.nxt.at, ack) {
			return doubtful // the mirror may show the server's bytes later
		}
		if ev.server.nxt.at-ack > 2*max(window, nearby) {
			return rejected
		}
	case ev.client.ack.known && ack-ev.client.ack.at > window && seqLess(ev.client.ack.at, ack):
		return doubtful
	}
	return accepted
}

// plausible reports whether the client may acknowledge more than the mirror has shown of
// the server: at most one client's window may be missing in the mirror.
func (ev *evidence) plausible(ack uint32) bool {
	shown := ev.client.ack.at
	if ev.server.nxt.known {
		shown = ev.server.nxt.at
	}
	return within(ack, shown, ev.client.usualWindow())
}

const (
	// staleness is how many ticks older than the newest a timestamp may be and still
	// come late through the mirror: 5 s at the usual 1 kHz, and at 1 MHz.
	staleness, fineStaleness = 5_000, 5_000_000
	// fineRate is more ticks in a millisecond than a clock of 1 kHz has.
	fineRate = 10
	// stampsLast is how long a client may be silent before its timestamps say nothing any
	// more. A clock of 1 MHz, the fastest, goes half way around in 2147 s. RFC 7323,
	// section 5.5, says 24 days, for a clock of 1 kHz.
	stampsLast = 2100 * time.Second
	// rateLasts is how long the clock's rate can be computed from the first timestamp: half
	// as long.
	rateLasts = stampsLast / 2
)

// outdated reports whether a timestamp is too old even for a packet that the mirror has
// delayed (PAWS; RFC 7323, section 5). If a second such timestamp follows the first, and no
// newer one came between them, the clock has really changed, and is learned anew.
func (ev *evidence) outdated(stamp uint32) bool {
	c := &ev.stamps
	if !c.known || !seqLess(stamp, c.stamp) || c.stamp-stamp <= c.staleness() {
		return false
	}
	if c.hasOdd && seqLess(c.odd, stamp) {
		*c = stamps{}
		return false
	}
	c.odd, c.hasOdd = stamp, true
	return true
}

func (c *stamps) staleness() uint32 {
	if c.fine {
		return fineStaleness
	}
	return staleness
}

// take learns from a timestamp that was accepted.
func (c *stamps) take(stamp uint32, now time.Duration) {
	c.hasOdd = false
	if c.known && !seqLess(c.stamp, stamp) {
		return
	}
	if !c.known {
		c.began, c.first = now, stamp
	}
	c.stamp, c.known = stamp, true
	if ms := (now - c.began).Milliseconds(); ms >= 50 && now-c.began < rateLasts {
		c.fine = c.fine || int64(stamp-c.first)/ms > fineRate
	}
}

// rested forgets the client's timestamps after a silence so long that the next one may look
// older than the last.
func (ev *evidence) rested(now time.Duration) {
	if ev.stamps.known && now-ev.client.heard >= stampsLast {
		ev.stamps = stamps{}
	}
}

// takes learns from a client's segment that was accepted.
func (ev *evidence) takes(seg *segment, now time.Duration) {
	if seg.flags&flagPSH != 0 {
		ev.pushes = true
	}
	if seg.stamped {
		ev.stamps.take(seg.stamp, now)
	}
	ev.client.heard, ev.refusals = now, 0
	if seg.flags&flagACK != 0 && !seg.noACK && !seg.probe() {
		ev.client.ack.move(seg.ack, maxWindow)
	}
}

// opens learns from the client's SYN.
func (ev *evidence) opens(seg *segment, now time.Duration) {
	first := synOf(seg)
	ev.began(&first, now)
}

// began learns from what is remembered of the client's SYN.
func (ev *evidence) began(s *syn, now time.Duration) {
	ev.client.scale, ev.client.scaled = s.scale, true
	if !s.offered {
		ev.server.scaled = true // the server must not scale either (RFC 7323, section 2.2)
	}
	ev.takes(&segment{flags: s.flags, stamp: s.stamp, stamped: s.stamped}, now)
}

// answered learns from the server's SYN-ACK.
func (ev *evidence) answered(seg *segment, now time.Duration) {
	s := &ev.server
	scale, offered := windowScale(seg.options)
	switch {
	case !offered:
		ev.client.scale, ev.client.scaled = 0, true
		s.scale, s.scaled = 0, true
	case !s.scaled: // or the client did not offer it
		s.scale, s.scaled = scale, true
	}
	s.heard, s.packets = now, s.packets+1
	if !s.nxt.known || !within(s.nxt.at, seg.seq+1, ev.client.usualWindow()) { // else it comes late
		s.nxt.set(seg.seq + 1)
	}
	s.first.set(seg.seq)
	s.ack.set(seg.ack)
	s.edge = seg.ack + uint32(seg.window) // never scaled in a SYN
	ev.answers.begin(seg.seq + 1)
}

// hears learns from any other segment of the server's how far it has sent, and how
// much it can receive. What it acknowledges is for the flow to judge.
func (ev *evidence) hears(seg *segment, now time.Duration) {
	s := &ev.server
	s.heard, s.packets = now, s.packets+1
	if seg.flags&flagRST != 0 {
		return
	}
	if !s.nxt.move(seg.next(), ev.client.usualWindow()) {
		return
	}
	if s.nxt.at-s.first.at >= maxWindow {
		s.first.known = false // sequence numbers come around
	}
	ev.answers.add(seg)
	if seg.flags&flagACK != 0 && !seg.noACK && s.scaled {
		if edge := seg.ack + uint32(seg.window)<<s.scale; seqLess(s.edge, edge) && within(edge, s.edge, s.maxWindow()+nearby) {
			s.edge = edge
		}
	}
}

// silent is called when the mirror no longer shows the server. It forgets the server's
// numbers, so that nothing is judged by them.
func (ev *evidence) silent() {
	ev.server.nxt, ev.server.first, ev.server.scaled = mark{}, mark{}, false
	ev.answers = answers{}
}

// endsAt reports whether the server's reset with sequence number seq is valid: it answers
// the client's last segment, or lies where the server's bytes end, as far as either is known
// (RFC 9293, section 3.10.7; RFC 5961, section 3.2).
func (ev *evidence) endsAt(seq uint32) bool {
	sv, cl := &ev.server, &ev.client
	return !cl.ack.known && !sv.nxt.known || cl.ack.known && seq == cl.ack.at || sv.nxt.known && seq == sv.nxt.at
}

// forgiveAfter is how many rejected segments in a row, each continuing the one before,
// prove that they are the client's and that the earlier numbers were wrong.
const forgiveAfter = 3

// refuse counts a rejected segment. It reports true if the client has sent forgiveAfter such
// segments in a row. Then the numbers that they were judged by were wrong, and are
// forgotten.
func (ev *evidence) refuse(seg *segment) (wrong bool) {
	if len(seg.payload) == 0 || seg.flags&flagACK == 0 {
		return false
	}
	if seg.seq != ev.refused {
		ev.refusals = 0
	}
	ev.refusals, ev.refused = ev.refusals+1, seg.end()
	if ev.refusals < forgiveAfter {
		return false
	}
	ev.refusals, ev.stamps = 0, stamps{}
	ev.silent()
	ev.client.ack.set(seg.ack)
	return true
}
