package stack

import (
	"time"

	"netmirror/outcome"
)

// The table of flows must not be filled by packets that belong to no connection. A
// flow earns its place: by a handshake, and by what comes behind it. Where there is no
// room, what has earned least goes first, and a client address that has more than its
// share before the others.

// rank says what a flow has shown of its connection.
type rank uint8

const (
	stray  rank = iota // a packet without a SYN
	opened             // a SYN, and a packet that acknowledges the server's
	proven             // it has begun and gone on: see proceeds
	numRanks
)

// standing is a flow's place in the table.
type standing struct {
	rank  rank
	host  *host
	in    [numListKinds]links
	since time.Time // when it came to the end of its lists

	// What it has shown.
	goesOn bool   // it is proven as soon as it begins
	acked  bool   // ack is set
	hasSeq bool   // seq is set
	ack    uint32 // what its first packet acknowledged
	seq    uint32 // where its first data begin
}

// table holds the flows in the order in which they give way.
type table struct {
	ranks [numRanks]flowList // proven: the longest silent first; else the oldest
	held  [numRanks]int      // Σ cost
	hosts hosts
	turns turns
}

func (t *table) init() {
	for r := range t.ranks {
		t.ranks[r].kind = ofTable
	}
}

// enter gives a new flow its place.
func (t *table) enter(f *flow, now time.Time) {
	f.standing.host = t.hosts.add(hostOf(&f.key))
	t.held[f.standing.rank] += f.cost
	t.line(f, now)
}

// leave takes away the place of a flow.
func (t *table) leave(f *flow) {
	t.unline(f)
	t.held[f.standing.rank] -= f.cost
	t.hosts.remove(f.standing.host)
	f.standing.host = nil
}

// line puts f at the end of the lists of its rank.
func (t *table) line(f *flow, now time.Time) {
	f.standing.since = now
	t.ranks[f.standing.rank].push(f)
	f.standing.host.flows[f.standing.rank].push(f)
}

func (t *table) unline(f *flow) {
	t.ranks[f.standing.rank].remove(f)
	f.standing.host.flows[f.standing.rank].remove(f)
}

// raise gives f a higher rank.
func (t *table) raise(f *flow, to rank, now time.Time) {
	t.unline(f)
	t.held[f.standing.rank] -= f.cost
	t.held[to] += f.cost
	f.standing.rank = to
	t.line(f, now)
}

// silence is how exact the order of the proven by their last packets is. To move a flow for
// each packet would touch three flows each time.
const silence = time.Second

// refresh notes a packet of f's.
func (t *table) refresh(f *flow, now time.Time) {
	if f.standing.rank == proven && now.Sub(f.standing.since) >= silence {
		t.unline(f)
		t.line(f, now)
	}
}

// unproven is how many flows are not proven.
func (t *table) unproven() int { return t.ranks[stray].n + t.ranks[opened].n }

// strayRoom, unprovenRoom and strayShare are how many of a table's flows the strays
// may be, those and the opened together, and how many strays do not give way to those
// who come with a SYN.
func (s *Stack) strayRoom() int    { return max(s.cfg.MaxFlows/4, 1) }
func (s *Stack) unprovenRoom() int { return max(s.cfg.MaxFlows/2, 1) }
func (s *Stack) strayShare() int   { return max(s.cfg.MaxFlows/8, 1) }

// makeRoom makes room for one more flow of a rank below proven. Where there is none,
// it says why and reports false.
func (s *Stack) makeRoom(key *flowKey, as rank) (why outcome.Drop, ok bool) {
	t := &s.table
	h := t.hosts.all[hostOf(key)]
	for s.nflows >= s.maxFlows() {
		v, why := s.leastUnproven(h, as), outcome.DropUnproven
		if v == nil {
			v, why = s.leastProven(h, as), outcome.DropFlowLimit
		}
		if !s.displace(v, why) {
			return outcome.DropFlowLimit, false
		}
	}
	for as == stray && t.ranks[stray].n >= s.strayRoom() {
		if !s.displace(t.oldest(h, stray), outcome.DropUnproven) {
			return outcome.DropUnproven, false
		}
	}
	for t.unproven() >= s.unprovenRoom() {
		if !s.displace(s.leastUnproven(h, as), outcome.DropUnproven) {
			return outcome.DropUnproven, false
		}
	}
	return 0, true
}

// leastUnproven is the unproven flow that gives way to a newcomer of h's; nil where
// there is none. Strays go first, but for their share: a flood of handshakes leaves
// them that, and a flood of strays gets no more.
func (s *Stack) leastUnproven(h *host, as rank) *flow {
	t := &s.table
	strays := t.ranks[stray].n
	if as == stray {
		strays++
	}
	if strays > s.strayShare() && t.ranks[stray].n > 0 || t.ranks[opened].n == 0 {
		return t.oldest(h, stray)
	}
	return t.oldest(h, opened)
}

// oldest is the oldest flow of a rank, or of h's where h has more than half of them.
func (t *table) oldest(h *host, r rank) *flow {
	if h != nil && h.flows[r].n > t.ranks[r].n/2 {
		return h.flows[r].ready()
	}
	return t.ranks[r].ready()
}

// leastProven is the flow that gives way to a newcomer of h's where all are proven:
// the longest silent one of the address that has most, if that is more than its share
// and more than h has. Who comes with a SYN always finds one.
func (s *Stack) leastProven(h *host, as rank) *flow {
	t := &s.table
	top, own := t.hosts.top(), 0
	if h != nil {
		own = h.n
	}
	share := s.cfg.MaxFlows / max(len(t.hosts.all), 1)
	switch {
	case top != nil && top.n > max(share, own):
		return top.flows[proven].ready()
	case as == stray:
		return nil
	case own > share:
		return h.flows[proven].ready()
	}
	return t.ranks[proven].ready()
}

// displace ends a flow to make room. It reports false for none, and for one that came
// with the batch at hand, which goes before another of the same batch.
func (s *Stack) displace(f *flow, why outcome.Drop) bool {
	if f == nil || f.standing.since.Equal(s.now) {
		return false
	}
	switch {
	case f.virtual.conn != nil:
		s.end(f, outcome.EndShed, why)
	case f.state != parked:
		s.counters.ended[outcome.EndShed]++
		s.missed(f, nil, f.floor(), f.sent())
		s.discard(f, why, s.remains(f))
	default:
		s.displaceParked(f, why)
	}
	return true
}

// displaceParked ends a flow that has not begun. There is nothing of it in a stream, so
// that nothing has to be remembered but what was known before.
func (s *Stack) displaceParked(f *flow, why outcome.Drop) {
	if f.past != (span{}) {
		s.discard(f, why, s.remains(f))
		return
	}
	handshake := f.hasBase && f.q.len() == 0
	s.discard(f, why, over)
	if f.newer != nil {
		return
	}
	switch known, ok := s.stubs.get(&f.key, s.now); {
	case ok && known.kind == halfOpen: // the next connection's
	case handshake:
		ev := f.ev
		s.stubs.put(&f.key, stub{kind: halfOpen, base: f.base, ev: &ev}, s.now)
	default:
		s.stubs.remove(&f.key)
	}
}
