// Netmirror replays mirrored TCP connections against a shadow service.
//
// It captures the packets that a cloud mirrors inside VXLAN, rebuilds the
// client's half of one service's connections, and plays every one of them,
// byte for byte, on a new connection to the target.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"

	"netmirror/check"
	"netmirror/machine"
	"netmirror/status"
)

func main() {
	// go-flags ends a program that finds this variable, wherever it comes from.
	if os.Getenv("NETMIRROR_COMPLETION") == "" {
		os.Unsetenv("GO_FLAGS_COMPLETION")
	}
	// Whoever reads the log may go; that is no reason to end.
	signal.Ignore(syscall.SIGPIPE)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	go func() {
		<-ctx.Done()
		stop() // from here on, a second signal ends the process at once
	}()
	os.Exit(run(ctx, os.Args, os.Getenv, os.Stdout, os.Stderr))
}

// run is netmirror from its command line to its exit status. It ends when ctx
// does, after what was captured has been delivered.
func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) int {
	o, err := parseOptions(args[0], args[1:], getenv, stdout)
	if errors.Is(err, errShown) {
		return 0
	}
	ok := true
	switch {
	case err != nil:
	case o.checking != nil:
		ok, err = check.Run(ctx, o.checkConfig(args[0]), stdout)
	default:
		err = mirror(ctx, o, stderr)
	}
	if err != nil {
		fmt.Fprintln(stderr, "netmirror:", err)
	}
	if err != nil || !ok {
		return 1
	}
	return 0
}

// release is the version that a package was built as; the linker sets it.
var release string

// version is what the build recorded: the package's or the module's version,
// or the revision that it was built from.
func version() string {
	if release != "" {
		return release + " " + runtime.Version()
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	revision := ""
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			revision = " " + s.Value
		}
	}
	return info.Main.Version + revision + " " + runtime.Version()
}

// mirror opens every stage, the capture last, and runs them until ctx ends.
func mirror(ctx context.Context, o *options, stderr io.Writer) error {
	out := newOutput(stderr, &o.Reporting)
	defer out.close()
	logger := o.logger(out)
	if o.Run.Threads > 0 {
		runtime.GOMAXPROCS(o.Run.Threads)
	}
	settings := o.settings()
	warn := o.fit(machine.Memory())
	defer ignoreHangups(logger)()
	p := &pipeline{log: logger, out: out, parts: newFragments(), cores: newProcessors(o.Capture.BusyPoll > 0, o.Capture.RingWait), memory: memory{total: int64(o.Budgets.TotalMiB) << 20}}
	p.monitor = status.NewMonitor(status.Config{
		Source:  status.Source{Snapshot: p.snapshot, Flows: p.flows},
		Log:     logger,
		Version: version(), Target: o.Target.To, Settings: settings, ReadyDrops: o.Reporting.ReadyDrops,
	})
	metrics := status.NewMetrics()
	closeAll, err := p.open(o, metrics)
	defer closeAll()
	if err != nil {
		return err
	}
	var ln net.Listener
	if o.Reporting.HTTP != "" {
		if ln, err = status.Listen(o.Reporting.HTTP); err != nil {
			return err
		}
	}
	logSettings(logger, settings)
	warn(logger)
	if ln != nil {
		defer p.serve(ln, metrics, o.Reporting.Pprof)()
	}
	logger.Info("capturing", "iface", o.Capture.Iface, "vni", o.Selection.VNI, "port", o.Selection.Port, "to", o.Target.To)
	defer p.report()
	return p.run(ctx, o.Reporting.StatsInterval, o.Run.ShutdownTimeout)
}

func (o *options) logger(stderr io.Writer) *slog.Logger {
	h := &slog.HandlerOptions{Level: logLevels[o.Reporting.LogLevel]}
	if o.Reporting.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(stderr, h))
	}
	return slog.New(slog.NewTextHandler(stderr, h))
}
