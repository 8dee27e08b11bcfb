package main

import (
	"cmp"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"netmirror/link"
	"netmirror/settings"
	"netmirror/status"
)

func newLogger(o *settings.Options, stderr io.Writer) *slog.Logger {
	h := &slog.HandlerOptions{Level: o.Reporting.Level()}
	if o.Reporting.LogFormat == settings.LogJSON {
		h.ReplaceAttr = asText
		return slog.New(slog.NewJSONHandler(stderr, h))
	}
	return slog.New(slog.NewTextHandler(stderr, h))
}

// asText has values in JSON as they are in text: "8080" and "10s", not the fields of a type of
// netmirror's and nanoseconds.
func asText(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		a.Value = slog.StringValue(a.Value.Duration().String())
	} else if s, ok := a.Value.Any().(fmt.Stringer); ok && a.Value.Kind() == slog.KindAny {
		a.Value = slog.StringValue(s.String())
	}
	return a
}

// shown converts settings for the status page.
func shown(settings []settings.Setting) (all []status.Setting) {
	for _, s := range settings {
		all = append(all, status.Setting(s))
	}
	return all
}

// logSettings logs the settings in force.
func logSettings(log *slog.Logger, all []settings.Setting) {
	args := []any{"version", version()}
	log.Info("settings", append(args, settingArgs(all)...)...)
}

// settingArgs are settings as a line of the log has them.
func settingArgs(all []settings.Setting) (args []any) {
	for _, s := range all {
		args = append(args, strings.ReplaceAll(s.Flag, "-", "_"), s.Value)
	}
	return args
}

// logServices logs each service with the settings of its own. The line msg=settings says all of a
// single one without a name.
func logServices(o *settings.Options, log *slog.Logger) {
	if o.Alone() {
		return
	}
	for _, s := range o.Services {
		args := []any{"service", s.Name, "vni", s.VNIs.String(), "port", s.Ports.String(), "to", s.Target}
		log.Info("service", append(args, settingArgs(s.Own)...)...)
	}
}

// warnOfVariables warns about variables that set nothing because they belong to no flag.
func warnOfVariables(o *settings.Options, log *slog.Logger) {
	if len(o.UnknownVariables) > 0 {
		log.Warn("environment variables that match no flag are ignored", "variables", strings.Join(o.UnknownVariables, ", "),
			"do", "correct or remove them; netmirror --help has the flags, of which --gap-timeout is NETMIRROR_GAP_TIMEOUT")
	}
}

// watched adds to a snapshot what the interfaces have dropped since this call.
func watched(o *settings.Options, snapshot func() status.Snapshot) func() status.Snapshot {
	names := o.Capture.Iface
	if o.OnAnyInterface() {
		names = nil
	}
	before, err := link.Drops(names...)
	return func() status.Snapshot {
		s := snapshot()
		if err != nil {
			return s // it does without
		}
		if now, err := link.Drops(names...); err == nil {
			s.InterfaceDrops = now - min(before, now)
		}
		return s
	}
}

// alert is the limits below which the headline is amber and red.
func alert(o *settings.Options) (a status.Alert) {
	a.Amber, a.Red = o.Reporting.AlertBelow.Shares()
	return a
}

// captured is the status page's description of the capture.
func captured(o *settings.Options) status.Capture {
	host, _ := os.Hostname() // without a name, the page shows none
	return status.Capture{
		Host: host, Interface: cmp.Or(strings.Join(o.Capture.Iface, ","), settings.AnyInterface),
		VNI: fmt.Sprint(o.Captured().VNIs), Port: fmt.Sprint(o.Captured().Ports),
	}
}
