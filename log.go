package main

import (
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"netmirror/settings"
	"netmirror/status"
)

func newLogger(o *settings.Options, stderr io.Writer) *slog.Logger {
	h := &slog.HandlerOptions{Level: o.Reporting.Level()}
	if o.Reporting.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(stderr, h))
	}
	return slog.New(slog.NewTextHandler(stderr, h))
}

// ignoreHangups keeps SIGHUP from ending the program: with other daemons it asks for
// the settings to be read again. Each is answered in the log, at most one that
// comes while the line is being written. stop ends that.
func ignoreHangups(log *slog.Logger) (stop func()) {
	hangups := make(chan os.Signal, 1)
	done := make(chan struct{})
	signal.Notify(hangups, syscall.SIGHUP)
	go func() {
		defer close(done)
		for range hangups {
			log.Info("SIGHUP is ignored: settings are read at the start only; restart netmirror to change them")
		}
	}()
	return func() {
		signal.Stop(hangups)
		close(hangups)
		<-done
	}
}

// inForce is what is in force as the status page shows it.
func inForce(o *settings.Options) (all []status.Setting) {
	for _, s := range o.InForce() {
		all = append(all, status.Setting(s))
	}
	return all
}

// logSettings tells what is in force.
func logSettings(log *slog.Logger, all []status.Setting) {
	args := []any{"version", version()}
	for _, s := range all {
		args = append(args, strings.ReplaceAll(s.Flag, "-", "_"), s.Value)
	}
	log.Info("settings", args...)
}

// logServices tells which services there are, where they are several.
func logServices(o *settings.Options, log *slog.Logger) {
	if len(o.Services) < 2 {
		return
	}
	for _, s := range o.Services {
		log.Info("service", "service", s.Name, "vni", s.VNIs.String(), "port", s.Ports.String(), "to", s.Target)
	}
}

// warnOfVariables tells of variables that set nothing because no flag is called so.
func warnOfVariables(o *settings.Options, log *slog.Logger) {
	if len(o.UnknownVariables) > 0 {
		log.Warn("environment variables of no flag are ignored", "variables", strings.Join(o.UnknownVariables, ", "),
			"do", "mend or remove them; netmirror --help has the flags, of which --gap-timeout is NETMIRROR_GAP_TIMEOUT")
	}
}
