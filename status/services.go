package status

import (
	"netmirror/bridge"
	"netmirror/outcome"
	"netmirror/service"
)

// Service is the figures of one service.
type Service struct {
	ID   service.ID // as the connections have it
	Name string
	service.Selection
	To      string                     // its target
	LeftOut [service.NumLeftOut]uint64 // packets that it does not take
	Bytes   uint64                     // payload of its clients, taken in
	Flows   int                        // its connections that are followed
	Bridge  bridge.Stats
	Target  bridge.Health

	OverRate uint64 // connections that began beyond its rate, and are left out

	MissingBytes uint64                   // holes in its clients' streams
	Lost         [outcome.NumDrops]uint64 // its clients' bytes that went into no stream, by what they are lost for

	Start, Minute Delivery // what a Monitor makes of it, as in Snapshot
}

// Past is the figures of services that there are no more, as far as they are in no
// others of all services together.
type Past struct {
	LeftOut      [service.NumLeftOut]uint64
	Bridge       bridge.Stats
	MissingBytes uint64
	Lost         [outcome.NumDrops]uint64
}

// Add adds the figures of a service.
func (p *Past) Add(s Service) {
	p.Bridge.Add(s.Bridge)
	for why, n := range s.LeftOut {
		p.LeftOut[why] += n
	}
	p.MissingBytes += s.MissingBytes
	for why, n := range s.Lost {
		p.Lost[why] += n
	}
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
	Level          string            `json:"level"` // of the headline, as in headlineReport
	Minute         shareReport       `json:"minute"`
	Start          shareReport       `json:"start"`
	Lost           map[string]uint64 `json:"lost"`      // bytes, by place
	LeftOut        map[string]uint64 `json:"left_out"`  // packets by reason
	OverRate       uint64            `json:"over_rate"` // connections that began beyond --max-rate
	Requests       map[string]uint64 `json:"requests"`  // what was done to them; those that count nothing are left out
}

// services are those of a snapshot, for the report.
func (m *Monitor) services(s *Snapshot) []serviceReport {
	all := make([]serviceReport, len(s.Services))
	for i := range s.Services {
		f := &s.Services[i]
		r := serviceReport{
			Name: f.Name, VNI: f.VNIs.String(), Port: f.Ports.String(), Target: newTarget(f.To, &f.Bridge),
			Flows: f.Flows, Streams: f.Bridge.Streams, BytesReceived: f.Bytes, BytesForwarded: f.Bridge.BytesWritten,
			Level: m.cfg.Alert.levelOf(&f.Minute, f.Minute.rejected()), Minute: newShare(&f.Minute), Start: newShare(&f.Start),
			Lost: make(map[string]uint64), LeftOut: make(map[string]uint64), OverRate: f.OverRate, Requests: make(map[string]uint64),
		}
		for _, f := range requestFigures(&f.Bridge.Requests) {
			r.Requests[f.name] = f.n
		}
		m.tellHealth(&r.Target, f.Target)
		for at, n := range f.Start.Lost {
			if n > 0 {
				r.Lost[outcome.Place(at).String()] = n
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
func (s *Snapshot) leftOut(why service.LeftOut) uint64 {
	n := s.Past.LeftOut[why]
	for i := range s.Services {
		n += s.Services[i].LeftOut[why]
	}
	return n
}

// names are what the services are called; none before they are known, and none of those
// that there are no more.
func (m *Monitor) names() map[service.ID]string {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := make(map[service.ID]string)
	for i := range m.last.Services {
		all[m.last.Services[i].ID] = m.last.Services[i].Name
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
		attrs := append([]any{"service", f.Name}, headlineAttrs(&f.Start, &f.Minute)...)
		attrs = append(attrs,
			"flows_open", f.Flows, "target_conns", f.Bridge.Open, "streams", f.Bridge.Streams,
			"bytes_received", f.Bytes, "bytes_forwarded", f.Bridge.BytesWritten, "missing_bytes", f.MissingBytes,
		)
		attrs = some(attrs, "streams_waiting", uint64(f.Bridge.Waiting))
		for e, n := range f.Bridge.Outcomes {
			attrs = some(attrs, "end_"+outcome.End(e).String(), n)
		}
		for why, n := range f.LeftOut {
			attrs = some(attrs, "drop_"+service.LeftOut(why).String(), n)
		}
		attrs = some(attrs, "conns_over_rate", f.OverRate)
		attrs = requestAttrs(attrs, &f.Bridge.Requests)
		m.cfg.Log.Info("service stats", attrs...)
	}
}
