package status

import (
	"cmp"
	"net/http"
	"time"

	"netmirror/bridge"
	"netmirror/outcome"
)

// report is /status.json.
type report struct {
	Version  string          `json:"version"`
	Started  int64           `json:"started"` // Unix milliseconds, like every time here
	Now      int64           `json:"now"`
	Phase    Phase           `json:"phase"`
	Ready    bool            `json:"ready"`
	Why      string          `json:"why,omitempty"` // it is not ready
	Capture  Capture         `json:"capture"`
	Headline headlineReport  `json:"headline"`
	Problems []Problem       `json:"problems"` // the most serious first
	Target   target          `json:"target"`
	Totals   totals          `json:"totals"`
	Services []serviceReport `json:"services"`
	Settings []Setting       `json:"settings"`
	Reloads  reloadsReport   `json:"reloads"`
}

// target is what is known of a target. Of several together, it is how the one is that is
// worst off.
type target struct {
	Address     string `json:"address"`
	State       string `json:"state"` // "unknown", "answers", "fails"
	Since       int64  `json:"since,omitempty"`
	Error       string `json:"error,omitempty"`
	Connections int64  `json:"connections"`
	Dials       uint64 `json:"dials"`
	DialErrors  uint64 `json:"dial_errors"`
}

// totals are counts since the start and, from Flows on, figures of the moment.
type totals struct {
	Packets          uint64            `json:"packets"`
	PacketsForwarded uint64            `json:"packets_forwarded"`
	BytesReceived    uint64            `json:"bytes_received"`
	BytesForwarded   uint64            `json:"bytes_forwarded"`
	ServerBytes      uint64            `json:"server_bytes"`
	Holes            uint64            `json:"holes"`
	MissingBytes     uint64            `json:"missing_bytes"`
	Streams          uint64            `json:"streams"`
	PickedUp         uint64            `json:"picked_up"`
	Ended            map[string]uint64 `json:"ended"` // streams by outcome, all of them
	Lost             map[string]uint64 `json:"lost"`  // packets by reason; those that count nothing are left out

	Flows       int    `json:"flows"`
	PacketsHeld uint64 `json:"packets_held"`
	BytesHeld   uint64 `json:"bytes_held"`
	RingWaiting int    `json:"ring_waiting"` // blocks; bytes with --capture udp
	RingBlocks  int    `json:"ring_blocks"`
}

func (m *Monitor) report() report {
	m.mu.Lock()
	defer m.mu.Unlock()
	now, s := time.Now(), &m.last
	r := report{
		Version: m.cfg.Version, Started: m.begin.UnixMilli(), Now: m.milli(now),
		Phase: m.phase, Capture: m.cfg.Capture, Headline: m.cfg.headline(s), Problems: m.watch.problems(now), Settings: m.cfg.Settings, Reloads: m.reloadsReport(),
		Target: newTarget(m.cfg.Target, &s.Bridge), Services: m.services(s),
		Totals: totals{
			Packets: s.Frames, PacketsForwarded: s.Stack.Used,
			BytesReceived: s.Stack.Bytes, BytesForwarded: s.Bridge.BytesWritten, ServerBytes: s.Stack.ServerBytes,
			Holes: s.Stack.Holes, MissingBytes: s.Stack.MissingBytes,
			Streams: s.Stack.FlowsOpened, PickedUp: s.Stack.PickedUp, Ended: endedStreams(s), Lost: lostPackets(s),
			Flows: s.Stack.Flows, PacketsHeld: s.Stack.Held, BytesHeld: s.Stack.BytesHeld,
			RingWaiting: s.Ring.Waiting, RingBlocks: s.Ring.Room,
		},
	}
	r.Ready, r.Why = m.readyLocked(now)
	m.tellHealth(&r.Target, s.target())
	return r
}

// tellHealth says how a target is.
func (m *Monitor) tellHealth(t *target, h bridge.Health) {
	if !h.Tried {
		return
	}
	t.State, t.Since = "answers", m.milli(h.Since)
	if !h.Answers {
		t.State, t.Error = "fails", h.Err.Error()
	}
}

func endedStreams(s *Snapshot) map[string]uint64 {
	ended := make(map[string]uint64, len(s.Bridge.Outcomes))
	for e, n := range s.Bridge.Outcomes {
		ended[outcome.End(e).String()] = n
	}
	return ended
}

func (m *Monitor) serveReport(w http.ResponseWriter, _ *http.Request) { writeJSON(w, m.report()) }

// serveHistory answers /history.json: the samples behind the time in since, or
// all that there are.
func (m *Monitor) serveHistory(w http.ResponseWriter, r *http.Request) {
	since, err := number(cmp.Or(r.FormValue("since"), "0"))
	if err != nil {
		http.Error(w, "since: "+err.Error(), http.StatusBadRequest)
		return
	}
	m.mu.Lock()
	samples := m.history.since(since)
	m.mu.Unlock()
	writeJSON(w, map[string]any{
		"started": m.begin.UnixMilli(), "interval": sampleEvery.Milliseconds(), "span": historySpan.Milliseconds(), "samples": samples,
	})
}
