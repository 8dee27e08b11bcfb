package stack

import (
	"slices"
	"time"

	"netmirror/outcome"
)

// synAgain takes a SYN on the addresses of a flow.
func (s *Stack) synAgain(f *flow, seg *segment) {
	base := seg.seq + 1
	switch {
	case (f.hasBase && base == f.base || f.past != (span{}) && base == f.origin()) && !f.replayed(s.captured), s.mayBeSYNOf(f, base):
		s.drop(seg, outcome.DropDuplicate)
	case f.state == parked && !f.hasBase && seg.flags&(flagACK|flagRST|flagFIN) == 0 && f.mayBeginAt(base) && (f.beganRightAt(base) || f.tookData(seg)):
		s.comesLate(f, seg)
	default:
		s.syn(seg)
		s.fromBeside(f, base)
	}
}

// fromBeside takes what waits beside f's stream and begins where a SYN does that has come only now:
// it proves the next connection. What is behind it is of that one as well.
func (s *Stack) fromBeside(f *flow, base uint32) {
	begins := func(a aside) bool { return a.why < oddProbe && a.seq == base }
	if !f.synSeen || !slices.ContainsFunc(f.aside, begins) {
		return
	}
	var all []aside
	for i := 0; i < len(f.aside); {
		if within(f.aside[i].seq, base, nearby) {
			all = append(all, s.takeAside(f, i))
		} else {
			i++
		}
	}
	slices.SortFunc(all, func(a, b aside) int { return int(a.seq-base) - int(b.seq-base) })
	for i := range all {
		s.toFlow(&all[i].segment)
	}
}

// lateSYN is how far, in bytes, a stream that was picked up may begin behind a
// SYN that comes so late that the stream did not wait for it.
const lateSYN = 1 << 20

// mayBeSYNOf reports whether a SYN in front of base may be the late one of a stream that was
// picked up without, in a connection whose SYN was not seen. It is in front of all that came.
func (s *Stack) mayBeSYNOf(f *flow, base uint32) bool {
	ahead := f.origin() - base
	return f.picked && !f.framing.whole && ahead > 0 && ahead < lateSYN && s.now.Sub(f.opened) < s.cfg.GapTimeout
}

// comesLate starts a flow at its SYN, which was only late: the parked segments prove it.
func (s *Stack) comesLate(f *flow, seg *segment) {
	base, took := seg.seq+1, f.tookData(seg)
	s.counters.halfOpen++
	f.anew()
	f.ev.opens(seg, s.clock())
	s.unpark(f, base)
	if !took || f.removed {
		s.used(seg)
		return
	}
	data := *seg
	data.seq, data.flags = base, 0
	s.store(f, &data)
}

// tookData reports whether a parked flow shows that the server accepted the data in its SYN,
// which is late (RFC 7413): the client continues behind them.
func (f *flow) tookData(seg *segment) bool {
	behind := seg.seq + 1 + uint32(len(seg.payload))
	if first := f.q.first(); first != nil {
		return len(seg.payload) > 0 && first.seq == behind
	}
	return len(seg.payload) > 0 && f.finSeen && f.fin == behind
}

// cameBehind reports whether a flow came behind a SYN.
func (f *flow) cameBehind(syn *stub) bool { return f.behind.known && f.behind.at == syn.base }

// apartFrom reports whether a parked flow came behind a SYN that it is too far from to be of its
// connection.
func (f *flow) apartFrom(syn *stub) bool {
	return f.cameBehind(syn) && !near(f.base, syn.base)
}

// mayBeginAt reports whether a SYN in front of base may be that of the parked segments. It is not
// if they go on from bytes that came of a connection before, and the SYN is among those, or in
// front of them although that connection's SYN was seen.
func (f *flow) mayBeginAt(base uint32) bool {
	return f.past == (span{}) || !f.past.has(base-1) && !(f.framing.whole && seqLess(base-1, f.past.to))
}

// beganAt reports whether the parked segments can belong to a client that begins at base:
// some lie closely behind base, and none closely before it.
func (f *flow) beganAt(base uint32) bool {
	if f.q.len() == 0 {
		return true
	}
	for e := f.q.first(); e != nil; e = e.next() {
		if near(e.seq, base) {
			return !seqLess(e.seq, base)
		}
	}
	return f.q.first().seq-base < lateSYN
}

// beganRightAt is beganAt where nothing is missing in front of the parked segments. If
// something is, the SYN may be a stray: it counts when that comes.
func (f *flow) beganRightAt(base uint32) bool {
	return f.beganAt(base) && (f.q.len() == 0 || f.q.first().seq == base)
}

// beginsLate starts a flow at a SYN that came too late for it, now that what was missing
// behind the SYN has come.
func (s *Stack) beginsLate(f *flow, at *stub) {
	s.stubs.remove(&f.key)
	f.synSeen = false
	f.anew()
	if ev := at.ev; ev != nil {
		f.ev.client.scale, f.ev.client.scaled = ev.client.scale, ev.client.scaled
		if ev.server.nxt.known {
			f.ev.server = ev.server
		}
		f.ev.server.scaled = f.ev.server.scaled || ev.server.scaled
	}
	s.unpark(f, at.base)
}

// replayed reports whether a SYN with the flow's own number begins another connection: the
// client has ended the first one, or has been silent, for so long that the SYN is no copy made by
// the mirror.
func (f *flow) replayed(captured time.Time) bool {
	return captured.Sub(f.last) >= time.Second || (f.finSeen || f.virtual.finished || f.rstSeen) && captured.Sub(f.last) >= repeatsFor(f.ev.server.nxt.known)
}

// anew forgets the connection before the one that begins now: its framing says nothing
// about the new one.
func (f *flow) anew() {
	if f.past != (span{}) {
		f.past, f.first, f.picked, f.ev = span{}, mark{}, false, evidence{}
	}
}

// unpark starts a flow whose SYN came after its other segments. It drops segments that an
// older connection on the same ports left behind.
func (s *Stack) unpark(f *flow, base uint32) {
	held := f.q.len()
	for f.q.len() > 0 && f.q.first().seq-base >= maxWindow {
		s.lost(f, 1, outcome.DropOutOfWindow)
	}
	if first := f.q.first(); first == nil || first.seq != base { // what ended it may be the older one's
		f.ending, f.reason, f.final = false, outcome.EndComplete, false
	}
	if held > 0 && f.q.len() == 0 { // and so may these
		f.finSeen, f.rstSeen = f.finSeen && f.fin != base, f.rstSeen && f.rst != base
	}
	f.q.acked = false // what left the front was not of this connection
	for f.q.len() > 0 && f.q.last().seq-base >= maxWindow {
		s.lostLast(f, outcome.DropOutOfWindow)
	}
	for e := f.q.first(); e != nil; e = e.next() {
		e.single = false
	}
	f.finSeen = f.finSeen && f.fin-base < maxWindow
	s.charge(f)
	f.rstSeen = f.rstSeen && f.rst-base < maxWindow
	s.begin(f, base)
}
