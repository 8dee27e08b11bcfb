package stack

import "time"

// syn is what a client's SYN says of its connection. It is small, because nobody knows
// yet whether there is one.
type syn struct {
	stamp   uint32
	sum     sum
	scale   uint8
	flags   uint8
	offered bool // scale is set
	stamped bool // stamp is set
	seen    bool
}

func synOf(seg *segment) syn {
	s := syn{stamp: seg.stamp, stamped: seg.stamped, sum: seg.sum, flags: seg.flags, seen: true}
	s.scale, s.offered = windowScale(seg.options)
	return s
}

// evidence is what the SYN says, which came at the time now since Stack.epoch.
func (s *syn) evidence(now time.Duration) *evidence {
	ev := new(evidence)
	ev.sums.trusts(s.sum, 0)
	ev.began(s, now)
	return ev
}
