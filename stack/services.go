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
	// Rate is how many connections may begin in a second, by Config.Now; those beyond
	// it are left out whole (outcome.DropOverRate). Stacks may share one. nil: all.
	Rate *service.Rate
}

// serviceState is a service, and what its connections have shown.
type serviceState struct {
	Service
	stage   stage
	proxied bool // one of them began with a PROXY protocol header
	conns   int  // streams that were handed out and not given up by their reader
	stats   ServiceStats
}

// stage is how far a service has got in its life.
type stage uint8

const (
	unused  stage = iota // there is no service of this number
	serving              // its connections are followed
	ending               // its streams end, and none begins
)

// ServiceStats are figures of one service's connections; Stats has those of all together.
type ServiceStats struct {
	Bytes        uint64 // payload bytes from clients, taken in
	OverRate     uint64 // connections that began beyond the rate
	Flows        int    // gauge: connections being followed
	MissingBytes uint64
	// Lost is bytes that came and joined no stream, like Stats.DroppedBytes, with two
	// differences. Bytes that came after their stream was given up count under the reason
	// for that, not as outcome.DropMidStream. Bytes that holes have counted already count
	// as outcome.DropDuplicate.
	Lost [outcome.NumDrops]uint64
}

// add adds the figures of a service.
func (s *ServiceStats) add(o ServiceStats) {
	s.Bytes += o.Bytes
	s.OverRate += o.OverRate
	s.Flows += o.Flows
	s.MissingBytes += o.MissingBytes
	for why, n := range o.Lost {
		s.Lost[why] += n
	}
}

// PastServices are the figures of the services that ReleaseService has forgotten.
func (s *Stack) PastServices() ServiceStats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.gone
}

// Services are the figures of each service by its ID. Those of services that no longer exist
// are 0.
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
	for i := range states {
		states[i].stage = serving
	}
	for i, service := range all {
		states[i].Service = service
	}
	return states
}

// loses counts n bytes that go into no stream: under why in Stats, and under as in the
// ServiceStats of their service.
func (s *Stack) loses(of service.ID, why, as outcome.Drop, n uint64) {
	s.counters.droppedBytes[why] += n
	if int(of) < len(s.services) {
		s.services[of].stats.Lost[as] += n
	}
}

// serviceOf is the service that a flow is for.
func (s *Stack) serviceOf(f *flow) *serviceState { return &s.services[f.key.service] }

// serves reports whether connections of a service are followed.
func (s *Stack) serves(id service.ID) bool {
	return int(id) < len(s.services) && s.services[id].stage == serving
}

// stops reports whether no stream of a service begins any more.
func (s *Stack) stops(id service.ID) bool {
	return s.stopping || s.services[id].stage != serving
}

// SetService adds a service, if its ID is not in use. Otherwise it changes how the service with
// this ID is followed; what was decided for its connections stays.
func (s *Stack) SetService(id service.ID, as Service) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.services) <= int(id) {
		s.services = append(s.services, serviceState{})
	}
	if of := &s.services[id]; of.stage == serving {
		of.Service = as
	} else {
		*of = serviceState{Service: as, stage: serving}
		s.stubs.begins(id, s.cfg.Now())
	}
}

// EndConnections ends the connections of a service for which keep returns false: each stream
// gets what its client has sent so far and then ends with outcome.EndShutdown. keep is called
// during the call only, and must not call the stack.
func (s *Stack) EndConnections(id service.ID, keep func(*FlowInfo) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.catchUp()
	s.endFlows(id, keep)
}

// EndService is EndConnections for all connections of a service. The service takes no segment
// from then on. Its ID stays in use until ReleaseService.
func (s *Stack) EndService(id service.ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.catchUp()
	s.services[id].stage = ending
	s.dropWaiting()
	s.endFlows(id, func(*FlowInfo) bool { return false })
}

// endFlows is EndConnections. s.mu is held.
func (s *Stack) endFlows(id service.ID, keep func(*FlowInfo) bool) {
	for f := range s.allFlows() {
		if f.key.service != id {
			continue
		}
		if told := s.tell(f); !keep(&told) {
			s.endWhenDelivered(f, outcome.EndShutdown)
		}
	}
	s.pumpDirty()
	s.signal()
}

// CutService ends at once the streams that EndService has left open.
func (s *Stack) CutService(id service.ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.catchUp()
	for f := range s.allFlows() {
		if f.key.service == id {
			s.end(f, outcome.EndShutdown, outcome.DropShutdown)
		}
	}
	s.pumpDirty()
	s.signal()
}

// ReleaseService forgets a service that EndService has ended, so that its ID may be used again.
// A second call does nothing. It reports false while any of the service's connections is
// followed, or any of its streams has not been given up by its reader.
func (s *Stack) ReleaseService(id service.ID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	of := &s.services[id]
	if of.stage == unused {
		return true
	}
	if of.stage != ending || of.stats.Flows > 0 || of.conns > 0 {
		return false
	}
	s.subflows.forgetService(id)
	s.gone.add(of.stats)
	*of = serviceState{}
	return true
}
