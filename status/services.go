package status

import (
	"netmirror/bridge"
	"netmirror/outcome"
	"netmirror/service"
)

// Service is the figures of one service.
type Service struct {
	Name string
	service.Selection
	To      string                     // its target
	LeftOut [service.NumLeftOut]uint64 // packets that it does not take
	Bytes   uint64                     // payload of its clients, taken in
	Flows   int                        // its connections that are followed
	Bridge  bridge.Stats
	Target  bridge.Health
}

// serviceReport is a service in /status.json.
type serviceReport struct {
	Name           string            `json:"name"`
	VNI            string            `json:"vni"` // a list with commas, or "any"
	Port           string            `json:"port"`
	Target         target            `json:"target"`
	Flows          int               `json:"flows"`
	Streams        uint64            `json:"streams"`
	BytesReceived  uint64            `json:"bytes_received"`
	BytesForwarded uint64            `json:"bytes_forwarded"`
	Cut            uint64            `json:"cut"`      // streams that did not come whole
	LeftOut        map[string]uint64 `json:"left_out"` // packets by reason
	Requests       map[string]uint64 `json:"requests"` // what was done to them; those that count nothing are left out
}

// services are those of a snapshot, for the report.
func (m *Monitor) services(s *Snapshot) []serviceReport {
	all := make([]serviceReport, len(s.Services))
	for i := range s.Services {
		f := &s.Services[i]
		r := serviceReport{
			Name: f.Name, VNI: f.VNIs.String(), Port: f.Ports.String(), Target: newTarget(f.To, &f.Bridge),
			Flows: f.Flows, Streams: f.Bridge.Streams, BytesReceived: f.Bytes, BytesForwarded: f.Bridge.BytesWritten,
			LeftOut: make(map[string]uint64), Requests: make(map[string]uint64),
		}
		for _, f := range requestFigures(&f.Bridge.Requests) {
			r.Requests[f.name] = f.n
		}
		m.tellHealth(&r.Target, f.Target)
		for e, n := range f.Bridge.Outcomes {
			if !outcome.End(e).Words().Harmless {
				r.Cut += n
			}
		}
		for why, n := range f.LeftOut {
			r.LeftOut[service.LeftOut(why).String()] = n
		}
		all[i] = r
	}
	return all
}

// newTarget is a target that was not tried yet.
func newTarget(address string, b *bridge.Stats) target {
	return target{Address: address, State: "unknown", Connections: b.Open, Dials: b.Dials, DialErrors: b.DialErrors}
}

// target is the health of the target that is worst off.
func (s *Snapshot) target() (worst bridge.Health) {
	for i := range s.Services {
		if h := s.Services[i].Target; i == 0 || !h.Answers && worst.Answers || h.Tried && !h.Answers && !worst.Tried {
			worst = h
		}
	}
	return worst
}

// leftOut is how many packets services do not take, for a reason.
func (s *Snapshot) leftOut(why service.LeftOut) (n uint64) {
	for i := range s.Services {
		n += s.Services[i].LeftOut[why]
	}
	return n
}

// names are what the services are called; none before they are known.
func (m *Monitor) names() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := make([]string, len(m.last.Services))
	for i := range all {
		all[i] = m.last.Services[i].Name
	}
	return all
}

// logServices logs a line for each service, where they are several.
func (m *Monitor) logServices(s *Snapshot) {
	if len(s.Services) < 2 {
		return
	}
	for i := range s.Services {
		f := &s.Services[i]
		attrs := []any{
			"service", f.Name, "flows_open", f.Flows, "target_conns", f.Bridge.Open, "streams", f.Bridge.Streams,
			"bytes_received", f.Bytes, "bytes_forwarded", f.Bridge.BytesWritten,
		}
		for e, n := range f.Bridge.Outcomes {
			attrs = some(attrs, "end_"+outcome.End(e).String(), n)
		}
		for why, n := range f.LeftOut {
			attrs = some(attrs, "drop_"+service.LeftOut(why).String(), n)
		}
		attrs = requestAttrs(attrs, &f.Bridge.Requests)
		m.cfg.Log.Info("service stats", attrs...)
	}
}
