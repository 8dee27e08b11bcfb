package main

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"netmirror/decap"
	"netmirror/defrag"
	"netmirror/outcome"
	"netmirror/stack"
	"netmirror/status"
	"netmirror/tap"
)

// counts are what the capture loops count themselves.
type counts struct {
	frames  atomic.Uint64
	reasons [decap.NumReasons]atomic.Uint64 // of frames that went no further
}

// stackStats and ringStats are the figures of all workers together.
func (p *pipeline) stackStats() (sum stack.Stats) {
	for _, w := range p.workers {
		sum.Add(w.stack.Stats())
	}
	return sum
}

func (p *pipeline) ringStats() (sum tap.Stats) {
	for _, w := range p.workers {
		sum.Add(w.ring.Stats())
	}
	return sum
}

// snapshot is every figure of the moment.
func (p *pipeline) snapshot() status.Snapshot {
	s := status.Snapshot{
		Time: time.Now(), Frames: p.counts.frames.Load(),
		Ring: p.ringStats(), Inner: p.parts.stats(), Stack: p.stackStats(), Bridge: p.bridge.Stats(), Target: p.bridge.Health(),
	}
	for r := range s.Decap {
		s.Decap[r] = p.counts.reasons[r].Load()
	}
	for _, w := range p.workers {
		waiting, blocks := w.ring.Backlog()
		s.RingWaiting += waiting
		s.RingBlocks += blocks
		s.LinkDown = s.LinkDown || w.ring.LinkDown()
	}
	return s
}

// flows are the connections that are followed, of all workers.
func (p *pipeline) flows() (all []stack.FlowInfo) {
	for _, w := range p.workers {
		all = append(all, w.stack.Flows()...)
	}
	return all
}

// reportEvery logs the figures at each interval, and what is wrong when it
// shows, until ctx ends.
func (p *pipeline) reportEvery(ctx context.Context, interval time.Duration) {
	var due <-chan time.Time // never, where interval is 0
	if interval > 0 {
		t := time.NewTicker(interval)
		defer t.Stop()
		due = t.C
	}
	look := time.NewTicker(time.Second)
	defer look.Stop()
	before := p.look()
	for {
		select {
		case <-ctx.Done():
			p.out.show("")
			return
		case <-due:
			p.report()
		case <-look.C:
			now := p.look()
			p.out.show(rates(before, now))
			before = now
		}
	}
}

// look does what is to be done once a second.
func (p *pipeline) look() *status.Snapshot {
	s, problems := p.monitor.Look()
	p.memory.follow(s.Stack.Flows)
	p.parts.expire()
	p.cores.look(s.Time)
	if n := p.out.lostLines(); n > 0 {
		p.log.Warn("lines of the log are lost, as nobody took them", "count", n)
	}
	for _, found := range problems {
		p.log.Warn(found.Text, append(some(nil, "count", found.Count), "do", found.Remedy)...)
	}
	return s
}

// report logs one line: what came, what became of it, and what was dropped,
// by reason. Reasons that nothing was dropped for are left out.
func (p *pipeline) report() {
	now := p.snapshot()
	ring, st, br := &now.Ring, &now.Stack, &now.Bridge
	attrs := []any{
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
	}
	for e, n := range br.Outcomes {
		attrs = some(attrs, "end_"+outcome.End(e).String(), n)
	}
	for r := decap.OK + 1; r < decap.NumReasons; r++ {
		attrs = some(attrs, "drop_"+r.String(), now.Decap[r])
	}
	for r := range defrag.Drops {
		attrs = some(attrs, "drop_fragment_"+r.String(), ring.FragmentsDropped[r])
	}
	for r := range defrag.Drops {
		attrs = some(attrs, "drop_inner_fragment_"+r.String(), now.Inner.FragmentsDropped[r])
	}
	attrs = some(attrs, "fragments_held", now.Inner.FragmentsHeld)
	attrs = some(attrs, "fragments_merged", now.Inner.FragmentsReassembled-now.Inner.Reassembled)
	for d := range outcome.NumDrops {
		attrs = some(attrs, "drop_"+d.String(), st.Dropped[d])
		attrs = some(attrs, "bytes_dropped_"+d.String(), st.DroppedBytes[d])
	}
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
	attrs = some(attrs, "frames_cut", ring.Cut)
	attrs = some(attrs, "frames_split", ring.Aggregates)
	attrs = some(attrs, "frames_unsplit", ring.Unsplit)
	p.log.Log(context.Background(), slog.LevelInfo, "stats", attrs...)
}

func some(attrs []any, key string, n uint64) []any {
	if n == 0 {
		return attrs
	}
	return append(attrs, key, n)
}
