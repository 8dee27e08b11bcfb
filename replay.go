package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"netmirror/capfile"
	"netmirror/output"
	"netmirror/pipeline"
	"netmirror/replay"
	"netmirror/service"
	"netmirror/settings"
	"netmirror/stack"
	"netmirror/status"
)

// play plays the files as often as is asked, and gives the exit status.
func play(ctx context.Context, o *settings.Options, stdin io.Reader, stdout, stderr io.Writer) (exit int, err error) {
	begun, err := prepare(o, stderr)
	if err != nil {
		return replay.StatusFailed, err
	}
	defer begun.out.Close()
	defer ignoreHangups(begun.log)()
	begin := sync.OnceFunc(func() { begun.announce(o) })
	if slices.Contains(o.Files, capfile.Stdin) {
		begin() // what it brings may take its time
	}
	for n := 1; n <= o.Replay.Loop && ctx.Err() == nil; n++ {
		r := playing{Options: o, process: begun, begin: begin, began: time.Now()}
		figures, err := r.pass(ctx, stdin)
		if err != nil {
			return replay.StatusFailed, err
		}
		begun.out.Flush() // both may go to one terminal
		if o.Replay.Loop > 1 {
			fmt.Fprintf(stdout, "pass %d of %d: ", n, o.Replay.Loop)
		}
		if err := figures.Write(stdout); err != nil {
			return replay.StatusFailed, err
		}
		exit = worse(exit, figures.Status())
	}
	return exit, nil
}

// worse is the status of two passes together.
func worse(a, b int) int {
	if a == replay.StatusFailed || b == replay.StatusFailed {
		return replay.StatusFailed
	}
	return max(a, b)
}

// playing is one pass through the files.
type playing struct {
	*settings.Options
	process
	begin func() // logs what is in force, the first time
	began time.Time
}

// pass plays the files once, with stages of its own: what is open at the end of the
// files has nothing to do with the same connections in the next pass.
func (r *playing) pass(ctx context.Context, stdin io.Reader) (figures replay.Figures, err error) {
	src, err := replay.Open(ctx, replay.Config{
		Paths: r.Files, Stdin: stdin, Speed: float64(r.Replay.Speed),
		Ports: r.Captured().Ports, Mirror: r.Mirror(), VNIs: r.namedVNIs(), EveryVNI: !r.open(),
	})
	if err != nil {
		return figures, err
	}
	defer src.Close()
	r.begin()
	metrics := status.NewMetrics()
	p, err := pipeline.New(r.config(src.Kind(), metrics))
	if err != nil {
		return figures, err
	}
	defer p.Close()
	src.Throttle(r.backlog(p))
	monitor := status.NewMonitor(r.watching(status.Source{Snapshot: p.Snapshot, Flows: p.Flows}))
	serve, err := listen(r.Options, r.log, monitor, metrics)
	if err != nil {
		return figures, err
	}
	defer serve()()
	r.announce(src.Kind())
	stopReport := start(func(ctx context.Context) {
		monitor.Report(ctx, r.Reporting.StatsInterval, progressLine{r.out, src, r.began})
	})
	stopProgress := start(func(ctx context.Context) { r.logProgress(ctx, src) })
	err = p.Run(ctx, monitor.Enter, src)
	stopProgress()
	stopReport()
	monitor.LogFigures()
	snapshot := p.Snapshot()
	return src.Figures(&snapshot, r.began), err
}

// watching is how a pass is shown. Nothing is ever full, so it is always ready.
func (r *playing) watching(source status.Source) status.Config {
	return status.Config{Source: source, Log: r.log, Version: version(), Target: r.Targets(), Settings: r.shown(), Alert: alert(r.Options)}
}

// open reports whether the networks of the service are those that the files show.
func (r *playing) open() bool { return r.Services[0].Open }

// namedVNIs are those of --vni, by which the files are known to hold a mirror's packets.
func (r *playing) namedVNIs() []uint32 {
	if r.Simple() {
		return r.VNIs()
	}
	return nil
}

// config is the pipeline's for files of a kind.
func (r *playing) config(kind replay.Kind, metrics *status.Metrics) pipeline.Config {
	c := pipelineConfig(r.Options, r.log, metrics)
	c.Mirror = kind.Mirror
	for i := range c.Services {
		if kind.Mirror.Bare() || r.Services[i].Open {
			c.Services[i].VNIs = service.VNIsOf(kind.VNIs...)
		}
	}
	c.AllCores = true
	return c
}

// announce says what the files hold, by their first packets.
func (r *playing) announce(kind replay.Kind) {
	attrs := []any{"files", len(r.Files), "port", r.Captured().Ports, "to", r.Targets()}
	switch {
	case !kind.Mirror.Bare():
		attrs = append(attrs, "holds", "packets of a mirror", "vni", kind.VNIs)
	case kind.Packets > 0:
		attrs = append(attrs, "holds", "packets of a host")
	}
	r.log.Info("replaying", attrs...)
	if kind.Packets > 0 && kind.Mirrored+kind.Plain == 0 {
		r.log.Warn("none of the first packets is of the service", "packets", kind.Packets,
			"do", "see that --port is the service's, as its clients know it; --vni and --vxlan-port say that the file has a mirror's packets")
	}
}

// backlog says at which load reading waits. Its limits are well below the budgets: packets on a
// wire cannot wait, those of a file can.
func (r *playing) backlog(p *pipeline.Pipeline) replay.Backlog {
	return replay.Backlog{
		MaxHeld:  int64(min(r.Budgets.FlowKiB<<10, r.Budgets.TotalMiB<<20/4) / 4),
		MaxConns: max(r.Budgets.MaxConns*3/4, 1),
		Load: func() replay.Load {
			s := p.Snapshot()
			done := s.Bridge.BytesWritten
			for _, n := range s.Bridge.Outcomes {
				done += n
			}
			return replay.Load{
				Held: int64(s.Stack.BytesHeld + s.Stack.Held*packetOverhead), Ending: p.Ending(), Conns: int(s.Bridge.Open + s.Bridge.Waiting), Done: done,
			}
		},
		Waiting: func() (w replay.Waiting) {
			for _, f := range p.Flows() {
				w.Alive++
				if f.State != stack.FlowGap && f.State != stack.FlowSeeking {
					w.Target += int64(f.Held)
				}
			}
			return w
		},
	}
}

// packetOverhead is about what a packet takes while it is held, beside its bytes.
const packetOverhead = 256

// logProgress logs at each interval how far the files were read, until ctx ends.
func (r *playing) logProgress(ctx context.Context, src *replay.Source) {
	if r.Reporting.StatsInterval == 0 {
		return
	}
	due := time.NewTicker(r.Reporting.StatsInterval)
	defer due.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-due.C:
		}
		read, total := src.Progress()
		attrs := []any{"bytes_read", read}
		if left, ok := (replay.Progress{Read: read, Total: total, Took: time.Since(r.began)}).Left(); ok {
			attrs = append(attrs, "bytes", total, "left", left.Round(time.Second))
		}
		r.log.Info("progress", attrs...)
	}
}

// progressLine is the live line with how far the files were read.
type progressLine struct {
	*output.Output
	src   *replay.Source
	began time.Time
}

// Show implements status.Line.
func (l progressLine) Show(line string) {
	if line != "" {
		read, total := l.src.Progress()
		line = fmt.Sprint(replay.Progress{Read: read, Total: total, Took: time.Since(l.began)}, "  ", line)
	}
	l.Output.Show(line)
}
