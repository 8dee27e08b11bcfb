package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"

	"netmirror/pipeline"
	"netmirror/settings"
	"netmirror/status"
)

// onHangup calls f for each SIGHUP until stop; signals that come while f runs count as one.
// stopped is closed by stop. From then on the signal is ignored: otherwise it would end a
// program that is shutting down, with another exit status.
func onHangup(f func(stopped <-chan struct{})) (stop func()) {
	hangups := make(chan os.Signal, 1)
	stopped, done := make(chan struct{}), make(chan struct{})
	signal.Notify(hangups, syscall.SIGHUP)
	go func() {
		defer close(done)
		for range hangups {
			f(stopped)
		}
	}()
	return func() {
		signal.Ignore(syscall.SIGHUP)
		signal.Stop(hangups)
		close(stopped)
		close(hangups)
		<-done
	}
}

// ignoreHangups answers each SIGHUP in the log: a replay has nothing to read again.
func ignoreHangups(log *slog.Logger) (stop func()) {
	return onHangup(func(<-chan struct{}) {
		log.Info("SIGHUP is ignored: a replay reads its settings at the start only")
	})
}

// reloader reads the settings file again and applies it.
type reloader struct {
	call    settings.Call
	started *settings.Options // as they were at the start, and are in force but for the services
	log     *slog.Logger
	monitor *status.Monitor
	metrics *status.Metrics
	run     *pipeline.Pipeline
	running chan struct{} // closed once the pipeline runs
}

// enter passes a phase to the monitor. The first phase also allows reloads.
func (r *reloader) enter() func(status.Phase) {
	begun := sync.OnceFunc(func() { close(r.running) })
	return func(p status.Phase) {
		r.monitor.Enter(p)
		begun()
	}
}

// reload handles a SIGHUP. One that comes before the pipeline runs waits until it does.
func (r *reloader) reload(stopped <-chan struct{}) {
	select {
	case <-r.running:
	case <-stopped:
		return
	}
	next, err := settings.Again(r.call, r.started)
	if errors.Is(err, settings.ErrNoFile) {
		r.log.Info("SIGHUP: there is nothing to read again; --config names no settings file")
		return
	}
	var changes pipeline.Changes
	if err == nil {
		err = mayMark(next)
	}
	if err == nil {
		changes, err = r.run.Reload(pipelineServices(next, r.log, r.metrics))
	}
	if err != nil {
		r.monitor.ReloadFailed()
		r.log.Error("the settings stay as they are: what was read again is wrong", "file", r.started.Run.Config, "err", err,
			"do", "correct the setting that err names, and send SIGHUP again")
		return
	}
	if flags := r.started.NeedRestart(next); len(flags) > 0 {
		r.log.Warn("settings have changed that need a restart; they stay as they are", "settings", strings.Join(flags, ","),
			"do", "restart netmirror to apply them")
	}
	r.monitor.Reloaded(shown(append(r.inForce(next), next.OwnSettings()...)), next.Targets(), changes.Changed)
	r.log.Info("settings read again", "services", len(next.Services),
		"added", strings.Join(changes.Added, ","), "changed", strings.Join(changes.Changed, ","), "removed", strings.Join(changes.Removed, ","))
	if next.Alone() {
		logSettings(r.log, r.inForce(next))
	}
	logServices(next, r.log)
	warnOfOverlaps(next, r.log)
	warnOfLoops(context.Background(), next, r.log)
}

// inForce is the settings in force: those of the services are of next.
func (r *reloader) inForce(next *settings.Options) []settings.Setting {
	all, is := r.started.InForce(), next.InForce()
	for i, s := range all {
		if s.OfServices() {
			all[i] = is[i]
		}
	}
	return all
}

// newReloader makes the reloader of a pipeline that was started with these settings.
func newReloader(call settings.Call, o *settings.Options, p *pipeline.Pipeline, monitor *status.Monitor, metrics *status.Metrics, log *slog.Logger) *reloader {
	return &reloader{call: call, started: o, run: p, monitor: monitor, metrics: metrics, log: log, running: make(chan struct{})}
}
