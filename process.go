package main

import (
	"io"
	"log/slog"
	"slices"

	"netmirror/limits"
	"netmirror/machine"
	"netmirror/output"
	"netmirror/settings"
	"netmirror/status"
)

// process is what mirroring and replaying begin with.
type process struct {
	out     *output.Output
	log     *slog.Logger
	inForce []settings.Setting // as they were asked for
	own     []settings.Setting // of single services
	warn    func(*slog.Logger) // of budgets that do not fit
}

// prepare sets the process up as the options say, and fits their budgets to the machine. The
// caller closes out.
func prepare(o *settings.Options, stderr io.Writer) (p process, err error) {
	if err := useProcessors(o); err != nil {
		return p, err
	}
	if err := mayMark(o); err != nil {
		return p, err
	}
	p.out = output.New(stderr, o.Reporting.Live != "off" && o.Reporting.LogFormat == "text")
	p.log = newLogger(o, p.out)
	p.inForce, p.own = o.InForce(), o.OwnSettings()
	p.warn = limits.Fit(o, machine.Memory())
	return p, nil
}

// shown is the settings for the status page.
func (p *process) shown() []status.Setting { return shown(slices.Concat(p.inForce, p.own)) }

// announce logs the settings, and what is to be said about them.
func (p *process) announce(o *settings.Options) {
	logSettings(p.log, p.inForce)
	p.warn(p.log)
	warnOfVariables(o, p.log)
	warnOfOverlaps(o, p.log)
}
