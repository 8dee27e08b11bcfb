package stack

import (
	"time"

	"netmirror/outcome"
)

// proceeds notes a client's packet. A flow is proven when its stream has begun and a
// second one with data has come, a FIN, or an acknowledgement of more than the first:
// the server has answered.
func (s *Stack) proceeds(f *flow, seg *segment) {
	p := &f.standing
	if p.rank == proven {
		s.table.refresh(f, s.now)
		return
	}
	if seg.flags&flagRST != 0 {
		return
	}
	switch {
	case seg.flags&flagFIN != 0,
		p.acked && seg.flags&flagACK != 0 && seqLess(p.ack, seg.ack),
		p.hasSeq && len(seg.payload) > 0 && seg.seq != p.seq:
		s.prove(f)
		return
	}
	p.shows(seg)
}

// shows notes what the first packets show.
func (p *standing) shows(seg *segment) {
	if seg.flags&flagACK != 0 && !p.acked {
		p.acked, p.ack = true, seg.ack
	}
	if len(seg.payload) > 0 && !p.hasSeq {
		p.hasSeq, p.seq = true, seg.seq
		if seg.flags&flagSYN != 0 {
			p.seq++
		}
	}
}

// prove notes what shows that the flow is one of a connection.
func (s *Stack) prove(f *flow) {
	f.standing.goesOn = true
	switch {
	case f.standing.rank == proven:
		s.table.refresh(f, s.now)
	case f.state != parked:
		s.table.raise(f, proven, s.now)
	case !f.hasBase:
		f.due = earlier(f.due, s.now) // it need not wait for its turn any more
	}
}

// began gives a flow whose stream begins the rank that it has earned.
func (s *Stack) began(f *flow) {
	switch {
	case f.standing.rank == proven:
	case f.standing.goesOn:
		s.table.raise(f, proven, s.now)
	case f.standing.rank == stray && !f.picked: // the SYN was late
		s.table.raise(f, opened, s.now)
	}
}

// A stream costs a connection to the target. While the table is under pressure, strays
// that have shown nothing else begin one at a limited rate, and wait for their turn.

// turns counts the streams that strays may begin.
type turns struct {
	left float64
	at   time.Time // when left was counted
}

const (
	// strayRate is the part of a table's flows that may begin so in a second.
	strayRate = 1. / 20
	// strayRetry is how long one waits before it asks again.
	strayRetry = 100 * time.Millisecond
)

// take takes one of so many turns a second.
func (t *turns) take(rate float64, now time.Time) bool {
	most := max(rate/10, 1)
	if t.left += now.Sub(t.at).Seconds() * rate; t.at.IsZero() || t.left > most {
		t.left = most
	}
	t.at = now
	if t.left < 1 {
		return false
	}
	t.left--
	return true
}

// pressed reports whether the table is under pressure: nearly full, or with more strays
// than there are where connections are only older than netmirror.
func (s *Stack) pressed() bool {
	return s.table.ranks[stray].n > s.strayShare() || s.nflows > s.cfg.MaxFlows-s.strayShare()
}

// mayBegin reports whether a stream may begin in a parked flow. One that may not is
// looked at again later, or ended where it has waited for long.
func (s *Stack) mayBegin(f *flow) bool {
	p := &f.standing
	if p.rank != stray || p.goesOn || f.taken || s.stopping || !s.pressed() ||
		s.table.turns.take(float64(s.cfg.MaxFlows)*strayRate, s.now) {
		return true
	}
	if s.now.Sub(f.opened) >= s.patience(f)+s.cfg.GapTimeout {
		s.displaceParked(f, outcome.DropUnproven)
		return false
	}
	f.due = s.now.Add(strayRetry)
	return false
}

// roomForStrays keeps what the strays hold within an eighth of the budget, and reports
// whether f is still there.
func (s *Stack) roomForStrays(f *flow, need int) bool {
	t := &s.table
	for f.standing.rank == stray && !f.removed && t.held[stray]+need > s.cfg.TotalBytes/8 {
		v := t.ranks[stray].ready()
		if v != nil && v.state == parked { // also one that came with this batch
			s.displaceParked(v, outcome.DropUnproven)
		} else if !s.displace(v, outcome.DropUnproven) {
			break
		}
	}
	return !f.removed
}
