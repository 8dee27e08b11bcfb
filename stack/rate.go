package stack

import "netmirror/outcome"

// A service may bound how many of its connections begin in a second. One beyond that is
// left out whole: nothing of it begins a stream later, and what is left of it is a stub.

// withinRate reports whether a stream may begin in f, by the rate of its service. One
// that may not is removed. The rest of a connection whose stream was given up is none
// that begins.
func (s *Stack) withinRate(f *flow) bool {
	of := s.serviceOf(f)
	if f.past != (span{}) || of.Rate.Takes(s.now) {
		return true
	}
	of.stats.OverRate++
	s.counters.overRate++
	left := overRate
	if f.over() {
		left = over
	}
	s.discard(f, outcome.DropOverRate, left)
	return false
}

// begin is start for a connection that begins at base, where the rate of its service
// allows. It is false where f was removed.
func (s *Stack) begin(f *flow, base uint32) bool {
	f.hasBase, f.base = true, base
	if !s.withinRate(f) {
		return false
	}
	s.start(f, base)
	return true
}

// beginWith is begin, and takes the segment that has shown that it may.
func (s *Stack) beginWith(f *flow, base uint32, seg *segment) {
	if s.begin(f, base) {
		s.judged(f, seg)
	} else {
		s.unknown(seg)
	}
}
