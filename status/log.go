package status

import (
	"context"
	"slices"
	"strings"
	"time"

	"netmirror/decap"
	"netmirror/defrag"
	"netmirror/outcome"
	"netmirror/service"
)

// Line is the live line below the log.
type Line interface {
	Show(line string)  // in place of the last; "" takes it away
	LostLines() uint64 // of the log, since it last said so
}

// Report looks once a second, logs the problems that it finds and, at each interval,
// the figures, and keeps the live line, until ctx ends. 0 means no figures.
func (m *Monitor) Report(ctx context.Context, interval time.Duration, live Line) {
	var due <-chan time.Time // never, where interval is 0
	if interval > 0 {
		t := time.NewTicker(interval)
		defer t.Stop()
		due = t.C
	}
	look := time.NewTicker(time.Second)
	defer look.Stop()
	before := m.tell(live)
	for {
		select {
		case <-ctx.Done():
			live.Show("")
			return
		case <-due:
			m.LogFigures()
		case <-look.C:
			now := m.tell(live)
			live.Show(rates(before, now))
			before = now
		}
	}
}

// tell looks, and logs the problems.
func (m *Monitor) tell(live Line) *Snapshot {
	s, problems := m.Look()
	if n := live.LostLines(); n > 0 {
		m.cfg.Log.Warn("log lines were lost: nobody read them, or they could not be written", "count", n,
			"do", "resume the terminal, or read the pipe that the log goes to; if it goes to a file, keep room on its disk")
	}
	for _, name := range m.down {
		if !slices.Contains(s.Ring.Down, name) {
			m.cfg.Log.Info("an interface is up again, and the capture goes on", "iface", name)
		}
	}
	m.down = s.Ring.Down
	for _, name := range m.heard() {
		m.cfg.Log.Info("a service that was silent is heard now", "service", name)
	}
	for _, found := range problems {
		attrs := some(nil, "count", found.Count)
		if found.iface != "" {
			attrs = append(attrs, "iface", found.iface)
		}
		if len(found.Services) > 0 {
			attrs = append(attrs, "services", strings.Join(found.Services, ","))
		}
		m.cfg.Log.Warn(found.Text, append(attrs, "do", found.Remedy)...)
	}
	return s
}

// heard are the services that were heard after the log had them as silent, each once.
func (m *Monitor) heard() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	names := m.watch.unheard.heard
	m.watch.unheard.heard = nil
	return names
}

// LogFigures logs one line: the headline, what came, what became of it, and what was dropped,
// by reason. Reasons that nothing was dropped for are left out. It returns the figures.
func (m *Monitor) LogFigures() *Snapshot {
	now := m.now()
	ring, st, br := &now.Ring, &now.Stack, &now.Bridge
	attrs := append(headlineAttrs(&now.Start, &now.Minute),
		"packets_received", now.Frames,
		"packets_forwarded", st.Used,
		"packets_held", st.Held,
		"kernel_drops", ring.Drops,
		"flows_open", st.Flows,
		"flows_opened", st.FlowsOpened,
		"target_conns", br.Open,
		"bytes_received", st.Bytes,
		"bytes_forwarded", br.BytesWritten,
		"missing_bytes", st.MissingBytes,
		"bytes_held", st.BytesHeld,
	)
	attrs = some(attrs, "streams_waiting", uint64(br.Waiting))
	for e, n := range br.Outcomes {
		attrs = some(attrs, "end_"+outcome.End(e).String(), n)
	}
	attrs = dropAttrs(attrs, &now)
	attrs = some(attrs, "fragments_held", now.Inner.FragmentsHeld)
	attrs = some(attrs, "fragments_merged", now.Inner.FragmentsReassembled-now.Inner.Reassembled)
	attrs = some(attrs, "conns_over_rate", st.OverRate)
	attrs = some(attrs, "packets_copied", now.Copies)
	attrs = some(attrs, "server_bytes", st.ServerBytes)
	attrs = some(attrs, "holes", st.Holes)
	attrs = some(attrs, "picked_up", st.PickedUp)
	attrs = some(attrs, "header_unknown", st.HeaderUnknown)
	attrs = some(attrs, "not_opened", st.FlowsEnded[outcome.EndNotOpened])
	attrs = some(attrs, "mptcp_conns", st.Multipath)
	attrs = some(attrs, "mptcp_subflows", st.Subflows)
	attrs = some(attrs, "spliced_holes", st.Spliced)
	attrs = some(attrs, "spliced_bytes", st.SplicedBytes)
	attrs = some(attrs, "half_open_forgotten", st.HalfOpenLost)
	attrs = some(attrs, "conns_turned_away", br.TurnedAway)
	attrs = requestAttrs(attrs, &br.Requests)
	attrs = some(attrs, "frames_cut", ring.Cut)
	attrs = some(attrs, "frames_split", ring.Aggregates)
	attrs = some(attrs, "frames_unsplit", ring.Unsplit)
	m.cfg.Log.Info("stats", attrs...)
	m.logServices(&now)
	return &now
}

// dropAttrs adds what was dropped, by reason.
func dropAttrs(attrs []any, s *Snapshot) []any {
	for r := decap.OK + 1; r < decap.NumReasons; r++ {
		attrs = some(attrs, "drop_"+r.String(), s.Decap[r])
	}
	for r := range defrag.Drops {
		attrs = some(attrs, "drop_fragment_"+r.String(), s.Ring.FragmentsDropped[r])
		attrs = some(attrs, "drop_inner_fragment_"+r.String(), s.Inner.FragmentsDropped[r])
	}
	for d := range outcome.NumDrops {
		attrs = some(attrs, "drop_"+d.String(), s.Stack.Dropped[d])
		attrs = some(attrs, "bytes_dropped_"+d.String(), s.Stack.DroppedBytes[d])
	}
	for why := range service.NumLeftOut {
		attrs = some(attrs, "drop_"+why.String(), s.leftOut(why))
	}
	return attrs
}

// some adds a figure that is not zero.
func some(attrs []any, key string, n uint64) []any {
	if n == 0 {
		return attrs
	}
	return append(attrs, key, n)
}
