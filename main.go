// Netmirror replays mirrored TCP connections against a shadow service.
//
// It captures the packets that a cloud mirrors inside VXLAN, rebuilds the
// client's half of one service's connections, and plays every one of them,
// byte for byte, on a new connection to the target.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"netmirror/machine"
	"netmirror/output"
	"netmirror/pipeline"
	"netmirror/source"
	"netmirror/status"
)

func main() {
	// go-flags ends a program that finds this variable, wherever it comes from.
	if os.Getenv("NETMIRROR_COMPLETION") == "" {
		os.Unsetenv("GO_FLAGS_COMPLETION")
	}
	machine.UseCapability(unix.CAP_NET_RAW)
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
	ok, exit := true, 0
	switch {
	case err != nil:
	case o.replaying != nil:
		exit, err = play(ctx, o, os.Stdin, stdout, stderr)
	case o.checking != nil:
		ok, err = o.runCheck(ctx, args[0], stdout)
	default:
		err = mirror(ctx, o, stderr)
	}
	if err != nil {
		fmt.Fprintln(stderr, "netmirror:", err)
	}
	if err != nil || !ok {
		return 1
	}
	return exit
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
	out := output.New(stderr, o.Reporting.Live != "off" && o.Reporting.LogFormat == "text")
	defer out.Close()
	logger := o.logger(out)
	if o.Run.Threads > 0 {
		runtime.GOMAXPROCS(o.Run.Threads)
	}
	settings := o.settings()
	warn := o.fit(machine.Memory())
	defer ignoreHangups(logger)()
	metrics := status.NewMetrics()
	p, err := pipeline.New(o.pipelineConfig(logger, metrics))
	if err != nil {
		return err
	}
	defer p.Close()
	sources, err := o.openSources()
	defer closeAll(sources)
	if err != nil {
		return err
	}
	monitor := status.NewMonitor(status.Config{
		Source: status.Source{Snapshot: o.watched(p.Snapshot), Flows: p.Flows}, Log: logger, Version: version(),
		Target: o.targets(), Capture: o.captured(), Settings: settings, ReadyDrops: o.Reporting.ReadyDrops,
	})
	serve, err := o.listen(logger, monitor, metrics)
	if err != nil {
		return err
	}
	logSettings(logger, settings)
	warn(logger)
	o.warnOfBuffer(logger, sources)
	defer serve()()
	logger.Info("capturing", "iface", cmp.Or(strings.Join(o.Capture.Iface, ","), anyInterface), "vni", o.capturedVNIs(), "port", o.capturedPorts(), "to", o.targets())
	o.logServices(logger)
	defer monitor.LogEnd()
	defer start(func(ctx context.Context) { monitor.Report(ctx, o.Reporting.StatsInterval, out) })()
	return p.Run(ctx, monitor.Enter, sources...)
}

// listen opens --http. serve answers there until stop; where nobody asked for it, it
// does nothing.
func (o *options) listen(logger *slog.Logger, monitor *status.Monitor, metrics *status.Metrics) (serve func() (stop func()), err error) {
	if o.Reporting.HTTP == "" {
		return func() func() { return func() {} }, nil
	}
	ln, err := status.Listen(o.Reporting.HTTP)
	if err != nil {
		return nil, err
	}
	return func() func() {
		logger.Info("status page", "http", ln.Addr().String())
		return start(func(ctx context.Context) {
			if err := monitor.Serve(ctx, ln, metrics.Handler(monitor), o.Reporting.Pprof); err != nil {
				logger.Error("the status page is gone; forwarding goes on", "err", err)
			}
		})
	}, nil
}

// start runs f until stop, which waits for it.
func start(f func(context.Context)) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		f(ctx)
	}()
	return func() {
		cancel()
		<-done
	}
}

func closeAll(sources []source.Source) {
	for _, src := range sources {
		src.Close() // the program is at its end
	}
}

func (o *options) logger(stderr io.Writer) *slog.Logger {
	h := &slog.HandlerOptions{Level: logLevels[o.Reporting.LogLevel]}
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
