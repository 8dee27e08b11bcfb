package main

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"netmirror/decap"
	"netmirror/stack"
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

// reportEvery logs the figures at each interval, and what is wrong with the
// mirror when it shows, until ctx ends.
func (p *pipeline) reportEvery(ctx context.Context, interval time.Duration) {
	var due <-chan time.Time // never, where interval is 0
	if interval > 0 {
		t := time.NewTicker(interval)
		defer t.Stop()
		due = t.C
	}
	look := time.NewTicker(time.Second)
	defer look.Stop()
	var cut truncation
	for {
		select {
		case <-ctx.Done():
			return
		case <-due:
			p.report()
		case now := <-look.C:
			st := p.stackStats()
			p.memory.follow(st.Flows)
			cut.look(p, &st, now)
		}
	}
}

// warnPeriod is the least time between two warnings of a kind.
const warnPeriod = time.Minute

// truncation warns of packets that the mirror has cut.
type truncation struct {
	warned uint64    // packets that were warned of
	next   time.Time // no warning before
}

func (t *truncation) look(p *pipeline, st *stack.Stats, now time.Time) {
	n := p.counts.reasons[decap.InnerTruncated].Load() + p.counts.reasons[decap.TCPTruncated].Load() +
		st.Dropped[stack.DropTruncated]
	if n == t.warned || now.Before(t.next) {
		return
	}
	p.log.Warn("the mirror cuts packets, and the streams they are of are lost: keep the MTU of the mirrored hosts at 8947 or less "+
		"(a network load balancer passes on 8500 bytes at most), and set no PacketLength on the mirror session", "packets", n-t.warned)
	t.warned, t.next = n, now.Add(warnPeriod)
}

// report logs one line: what came, what became of it, and what was dropped,
// by reason. Reasons that nothing was dropped for are left out.
func (p *pipeline) report() {
	ring, st, br := p.ringStats(), p.stackStats(), p.bridge.Stats()
	attrs := []any{
		"packets_received", p.counts.frames.Load(),
		"packets_forwarded", st.Used,
		"packets_held", st.Held,
		"kernel_drops", ring.Drops,
		"flows_open", st.Flows,
		"flows_opened", st.FlowsOpened,
		"target_conns", br.Open,
		"bytes_received", st.Bytes,
		"bytes_forwarded", br.BytesWritten,
		"bytes_held", st.BytesHeld,
	}
	for outcome, n := range br.Outcomes {
		attrs = some(attrs, "end_"+outcome, n)
	}
	for r := decap.OK + 1; r < decap.NumReasons; r++ {
		attrs = some(attrs, "drop_"+r.String(), p.counts.reasons[r].Load())
	}
	for r := range tap.FragmentDrops {
		attrs = some(attrs, "drop_fragment_"+r.String(), ring.FragmentsDropped[r])
	}
	for d := range stack.NumDrops {
		attrs = some(attrs, "drop_"+d.String(), st.Dropped[d])
		attrs = some(attrs, "bytes_dropped_"+d.String(), st.DroppedBytes[d])
	}
	attrs = some(attrs, "picked_up", st.PickedUp)
	attrs = some(attrs, "spliced_holes", st.Spliced)
	attrs = some(attrs, "spliced_bytes", st.SplicedBytes)
	attrs = some(attrs, "half_open_forgotten", st.HalfOpenLost)
	attrs = some(attrs, "conns_turned_away", br.TurnedAway)
	attrs = some(attrs, "frames_cut", ring.Cut)
	p.log.Log(context.Background(), slog.LevelInfo, "stats", attrs...)
}

func some(attrs []any, key string, n uint64) []any {
	if n == 0 {
		return attrs
	}
	return append(attrs, key, n)
}
