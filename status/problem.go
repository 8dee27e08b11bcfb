package status

import (
	"strings"

	"netmirror/outcome"
)

// Problem is something that an operator may want to look after.
type Problem struct {
	ID       string           `json:"id"`
	Severity outcome.Severity `json:"severity"`
	Count    uint64           `json:"count"`  // since the start
	Recent   uint64           `json:"recent"` // in the last minute
	Last     int64            `json:"last"`   // when it was last seen to grow, Unix milliseconds
	Text     string           `json:"text"`
	Remedy   string           `json:"remedy"`
	Services []string         `json:"services,omitempty"` // of several, those with the newest of it; where that is known

	iface string // of ProblemLinkDown: those that are down
}

func newProblem(p outcome.Problem) Problem {
	return Problem{ID: p.String(), Severity: p.Severity(), Text: p.Text(), Remedy: p.Remedy()}
}

// linkDown is that interfaces are down.
func linkDown(names []string) Problem {
	p := newProblem(outcome.ProblemLinkDown)
	p.iface = strings.Join(names, ",")
	p.Remedy = strings.ReplaceAll(p.Remedy, "NAME", strings.Join(names, " up; ip link set dev "))
	return p
}

// rule is how a problem is recognized: its count grows.
type rule struct {
	count   func(*Snapshot) uint64 // nil: it is there or not, as watch sees
	of      func(*Service) uint64  // how much of it a service has; nil: that is not known
	because []outcome.Problem      // others that it may come of: while they grow, the log leaves it out
}

func dropped(d outcome.Drop) func(*Snapshot) uint64 {
	return func(s *Snapshot) uint64 { return s.Stack.Dropped[d] }
}

// ended is that streams end so.
func ended(e outcome.End, because ...outcome.Problem) rule {
	return rule{
		count:   func(s *Snapshot) uint64 { return s.Bridge.Outcomes[e] },
		of:      func(f *Service) uint64 { return f.Bridge.Outcomes[e] },
		because: because,
	}
}

var rules = [outcome.NumProblems]rule{
	outcome.ProblemLinkDown:     {},
	outcome.ProblemSilence:      {},
	outcome.ProblemOneDirection: {},
	outcome.ProblemLeftOut:      {},

	outcome.ProblemRingFull: {count: func(s *Snapshot) uint64 { return s.Ring.Drops }},
	// Bridge itself logs this one and the next two.
	outcome.ProblemTargetRefused: ended(outcome.EndTargetRefused, outcome.ProblemTargetRefused),
	outcome.ProblemTargetRejects: {count: func(s *Snapshot) uint64 { return s.Rejected }},
	outcome.ProblemNoDescriptor:  ended(outcome.EndNoDescriptor, outcome.ProblemNoDescriptor),
	outcome.ProblemNoPort:        ended(outcome.EndNoPort, outcome.ProblemNoPort),
	outcome.ProblemTruncated:     {count: (*Snapshot).truncated},
	outcome.ProblemGap:           ended(outcome.EndGap, outcome.ProblemRingFull, outcome.ProblemTruncated),
	outcome.ProblemTargetSlow:    ended(outcome.EndTargetSlow),
	outcome.ProblemTargetClosed: {count: dropped(outcome.DropTargetEnded),
		because: []outcome.Problem{outcome.ProblemTargetRefused, outcome.ProblemTargetRejects, outcome.ProblemNoDescriptor, outcome.ProblemNoPort}},
	outcome.ProblemMaxConns:       {count: func(s *Snapshot) uint64 { return s.Bridge.TurnedAway }},
	outcome.ProblemMaxFlows:       {count: (*Snapshot).crowdedOut},
	outcome.ProblemTotalBudget:    {count: dropped(outcome.DropTotalBudget)},
	outcome.ProblemFlowBudget:     {count: dropped(outcome.DropFlowBudget)},
	outcome.ProblemBadChecksum:    {count: dropped(outcome.DropBadChecksum)},
	outcome.ProblemFragments:      {count: (*Snapshot).fragments},
	outcome.ProblemInnerFragments: {count: (*Snapshot).innerFragments},
	outcome.ProblemCut:            {count: func(s *Snapshot) uint64 { return s.Ring.Cut }},
	outcome.ProblemIdle:           ended(outcome.EndIdle),
	outcome.ProblemMPTCP:          {count: dropped(outcome.DropSubflow)},
	outcome.ProblemNotOpened:      {count: func(s *Snapshot) uint64 { return s.Stack.FlowsEnded[outcome.EndNotOpened] }},
	outcome.ProblemHeaderUnknown:  {count: func(s *Snapshot) uint64 { return s.Stack.HeaderUnknown }},
	outcome.ProblemHeadTooLarge:   {count: func(s *Snapshot) uint64 { return s.Bridge.Requests.TooLarge }},
	outcome.ProblemAmbiguous:      {count: func(s *Snapshot) uint64 { return s.Bridge.Requests.BytesAmbiguous }},
	outcome.ProblemBroken:         {count: (*Snapshot).broken},
	outcome.ProblemMidStream:      {count: dropped(outcome.DropMidStream), because: []outcome.Problem{outcome.ProblemTargetRejects}},
	outcome.ProblemHalfOpen:       {count: func(s *Snapshot) uint64 { return s.Stack.HalfOpenLost }},
}
