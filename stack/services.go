package stack

import (
	"netmirror/outcome"
	"netmirror/service"
)

// Service is how the connections of a service are followed.
type Service struct {
	// Midstream says where a stream may begin but at a SYN.
	Midstream Midstream
	// OnGap says what becomes of a stream that has lost bytes.
	OnGap OnGap
}

// serviceState is a service, and what its connections have shown.
type serviceState struct {
	Service
	proxied bool // one of them began with a PROXY protocol header
	stats   ServiceStats
}

// ServiceStats are figures of one service's connections, which Stats has of all
// together.
type ServiceStats struct {
	Bytes        uint64 // payload bytes from clients, taken in
	Flows        int    // gauge: connections being followed
	MissingBytes uint64
	// Lost is bytes that came and went into no stream, like Stats.DroppedBytes. What
	// came of a connection after its stream was given up counts here under the reason
	// for that, and not as outcome.DropMidStream; what its holes had counted already,
	// as outcome.DropDuplicate.
	Lost [outcome.NumDrops]uint64
}

// Services are the figures of each service, in the order of Config.Services.
func (s *Stack) Services() []ServiceStats {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]ServiceStats, len(s.services))
	for i := range s.services {
		all[i] = s.services[i].stats
	}
	return all
}

func newServices(all []Service) []serviceState {
	states := make([]serviceState, max(len(all), 1))
	for i := range all {
		states[i].Service = all[i]
	}
	return states
}

// loses counts bytes that go into no stream: why they are dropped, and what they are lost
// for.
func (s *Stack) loses(of service.ID, why, as outcome.Drop, n uint64) {
	s.counters.droppedBytes[why] += n
	if int(of) < len(s.services) {
		s.services[of].stats.Lost[as] += n
	}
}

// serviceOf is the service that a flow is for.
func (s *Stack) serviceOf(f *flow) *serviceState { return &s.services[f.key.service] }
