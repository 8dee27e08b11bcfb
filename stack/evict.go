package stack

import (
	"slices"
	"time"

	"netmirror/outcome"
)

// victim is something whose memory can be taken: a flow, or a stream whose flow
// has ended.
type victim struct {
	holds int
	flow  *flow
	conn  *Conn
}

// weighEvery is how often a stack finds out what its heaviest flow holds while the
// budget is nearly spent: it takes a look at all.
const weighEvery = 100 * time.Millisecond

// shareMemory exchanges with the other stacks what all of them hold, and gives up what they
// have asked for.
func (s *Stack) shareMemory() {
	s.others = s.share.Tell(s.use())
	if bytes, than := s.share.Asked(); bytes > 0 {
		s.giveUpMemory(bytes, than)
	}
	s.returnFlows()
	if s.others.Held > 0 && s.holding() > s.budget()-s.limit()/4 && s.now.Sub(s.weighed) >= weighEvery {
		s.victims()
	}
}

// maxFlows is how many flows the stack may have: its share, and what the others leave.
func (s *Stack) maxFlows() int { return max(s.cfg.MaxFlows, s.all.Flows()-s.others.Flows) }

// returnFlows gives back what the others want of their share.
func (s *Stack) returnFlows() {
	for s.nflows > s.maxFlows() {
		v := s.leastUnproven(nil, opened)
		if v == nil {
			v = s.leastProven(nil, opened)
		}
		if !s.displace(v, outcome.DropFlowLimit) {
			return
		}
	}
}

// victims are all whose memory can be taken, what holds most first.
func (s *Stack) victims() (all []victim) {
	for f := range s.allFlows() {
		s.trim(f)
		v := victim{f.cost, f, f.virtual.conn}
		if f.virtual.conn != nil {
			v.holds += f.virtual.conn.unread()
		}
		all = append(all, v)
	}
	for c := range s.lingering {
		if n := c.unread(); n > 0 {
			all = append(all, victim{n, nil, c})
		}
	}
	slices.SortFunc(all, func(a, b victim) int { return b.holds - a.holds })
	s.weighed = s.now
	s.weigh(all)
	return all
}

// weigh tells the other stacks what the first of the victims holds.
func (s *Stack) weigh(all []victim) {
	heaviest := 0
	if len(all) > 0 {
		heaviest = all[0].holds
	}
	s.share.Weigh(heaviest)
}

// take ends a stream and takes its memory.
func (s *Stack) take(v *victim) {
	if v.flow != nil {
		s.end(v.flow, outcome.EndShed, outcome.DropTotalBudget)
	}
	if v.conn != nil {
		v.conn.forget(outcome.EndShed, outcome.DropTotalBudget)
	}
}

// slack is what is left of the budget for the time that another stack needs to give
// memory up.
func (s *Stack) slack() int {
	if s.others.Held == 0 {
		return 0
	}
	return s.limit() / 16
}

// relieve makes room for need where the budget is spent but for the slack. Another
// stack that was asked to is given a moment to do so.
func (s *Stack) relieve(need int) {
	late := s.holding()+need > s.budget()
	if late || s.now.Sub(s.asked) >= tick {
		s.evict(need, late)
	}
}

// evict takes the memory of the streams that hold most, until there is room for
// need and for some time to come: finding them takes a look at all. Where another stack
// has one that holds more, it is left to that one, but for the last resort.
func (s *Stack) evict(need int, own bool) {
	all := s.victims()
	enough := s.limit()/16*15 - s.slack() - s.others.Held
	for len(all) > 0 && all[0].holds > 0 && s.holding()+need > enough {
		if !own && s.share.Ask(s.holding()+need-enough, all[0].holds) {
			s.asked = s.now
			break
		}
		s.take(&all[0])
		all = all[1:]
	}
	s.weigh(all)
}

// giveUpMemory takes so many bytes from the streams that hold more than than.
func (s *Stack) giveUpMemory(bytes, than int) {
	all := s.victims()
	enough := s.holding() - bytes
	for len(all) > 0 && all[0].holds > than && s.holding() > enough {
		s.take(&all[0])
		all = all[1:]
	}
	s.weigh(all)
	s.others = s.share.Tell(s.use())
}
