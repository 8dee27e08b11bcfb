package stack

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
	Bytes uint64 // payload bytes from clients, taken in
	Flows int    // gauge: connections being followed
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
	for i, service := range all {
		states[i].Service = service
	}
	return states
}

// serviceOf is the service that a flow is for.
func (s *Stack) serviceOf(f *flow) *serviceState { return &s.services[f.key.service] }
