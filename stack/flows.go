package stack

import (
	"net/netip"
	"time"

	"netmirror/service"
)

// FlowState is what a followed connection is doing.
type FlowState string

const (
	// FlowSeeking: it is not known where a stream could begin; what came is kept
	// for a moment.
	FlowSeeking FlowState = "seeking"
	// FlowOpening: the stream is about to be handed out.
	FlowOpening FlowState = "opening"
	// FlowOpen: all that came has been passed on, or the target is taking it.
	FlowOpen FlowState = "open"
	// FlowGap: a packet is missing and waited for.
	FlowGap FlowState = "gap"
	// FlowBacklog: more is waiting for the target than one read takes.
	FlowBacklog FlowState = "backlog"
)

// FlowStates are all states.
var FlowStates = []FlowState{FlowSeeking, FlowOpening, FlowOpen, FlowGap, FlowBacklog}

// backlog is how much may wait for the target in passing.
const backlog = 64 << 10

// FlowInfo describes a connection that is followed.
type FlowInfo struct {
	Service        service.ID
	VNI            uint32
	Client, Server netip.AddrPort // as the mirror shows them
	State          FlowState
	PickedUp       bool      // its stream did not begin at a SYN
	Received       uint64    // bytes in order, from the start of the stream
	Held           uint64    // bytes that wait for a missing packet or for the target
	Opened         time.Time // when it was first followed
	LastPacket     time.Time
}

// Flows describes every connection that is followed, in no order. The stack stops for a moment
// for each of them, so call it rarely.
func (s *Stack) Flows() []FlowInfo {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.catchUp()
	s.pumpDirty()
	all := make([]FlowInfo, 0, s.nflows)
	for f := range s.allFlows() {
		all = append(all, s.tell(f))
	}
	return all
}

func (s *Stack) tell(f *flow) FlowInfo {
	unread := 0
	if f.virtual.conn != nil {
		unread = f.virtual.conn.unread()
	}
	i := FlowInfo{
		Service: f.key.service, VNI: f.key.vni(),
		Client: f.key.client(), Server: f.key.server(),
		State: FlowOpen, PickedUp: f.picked,
		Received: uint64(f.virtual.got), Held: uint64(f.q.bytes + unread),
		Opened: f.opened, LastPacket: f.seen,
	}
	switch {
	case f.state == parked:
		i.State = FlowSeeking
	case f.state != open || f.virtual.conn == nil:
		i.State = FlowOpening
	case f.holed():
		i.State = FlowGap
	case i.Held > backlog:
		i.State = FlowBacklog
	}
	return i
}
