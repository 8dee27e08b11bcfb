// Netmirror replays mirrored TCP connections against a shadow service.
//
// It captures the packets that a cloud, a switch or a host mirrors, in VXLAN or another
// encapsulation. It rebuilds the client's half of the connections of one or more services,
// and plays every one of them, byte for byte, on a new connection to the target.
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
	"time"

	"golang.org/x/sys/unix"

	"netmirror/limits"
	"netmirror/machine"
	"netmirror/pipeline"
	"netmirror/settings"
	"netmirror/source"
	"netmirror/status"
)

func main() {
	// go-flags ends any program that finds this variable, even one that was inherited by
	// accident.
	if os.Getenv("NETMIRROR_COMPLETION") == "" {
		os.Unsetenv("GO_FLAGS_COMPLETION")
	}
	machine.UseCapability(unix.CAP_NET_RAW)
	// A reader of the log may go away. That is no reason to end.
	signal.Ignore(syscall.SIGPIPE)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	go letGo(ctx, stop)
	os.Exit(run(ctx, os.Args, os.Getenv, os.Stdout, os.Stderr))
}

// sameRequest is how soon after the first signal to end another one belongs to the same request:
// timeout(1) signals its child and then its process group, and shells and supervisors do likewise.
const sameRequest = time.Second

// letGo waits for the first signal, which ends ctx. After sameRequest it stops catching signals,
// so that a further one ends the process at once.
func letGo(ctx context.Context, stop func()) {
	<-ctx.Done()
	time.Sleep(sameRequest)
	stop()
}

// run is netmirror from its command line to its exit status. It ends when ctx
// does, after what was captured has been delivered.
func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) int {
	call := settings.Call{Program: args[0], Args: args[1:], Environ: os.Environ(), Getenv: getenv, Stdout: stdout, Version: version()}
	o, err := settings.Parse(call)
	if errors.Is(err, settings.ErrShown) {
		return 0
	}
	ok, exit := true, 0
	lives := err == nil && o.Replay == nil && o.Check == nil
	switch {
	case err != nil:
	case o.Replay != nil:
		exit, err = play(ctx, o, os.Stdin, stdout, stderr)
	case o.Check != nil:
		ok, err = runCheck(ctx, o, args[0], stdout, stderr)
	default:
		err = mirror(ctx, call, o, stderr)
	}
	// Whoever reads the help, or a report, may have seen enough of it, as head has.
	if err != nil && (lives || !errors.Is(err, unix.EPIPE)) {
		sayFatal(o, err, stderr)
	}
	if err != nil || !ok {
		return 1
	}
	return exit
}

// sayFatal says why netmirror ends, whatever --log-level is. o is nil if the flags could not be
// read; the format of the log is then unknown.
func sayFatal(o *settings.Options, err error, stderr io.Writer) {
	if o == nil || o.Reporting.LogFormat != settings.LogJSON {
		fmt.Fprintln(stderr, "netmirror:", err)
		return
	}
	loud := settings.Options{Reporting: settings.Reporting{LogLevel: "error", LogFormat: settings.LogJSON}}
	newLogger(&loud, stderr).Error("netmirror has ended", "err", err)
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

// useProcessors applies --threads and --nice. Call it at the start, while there are few threads.
func useProcessors(o *settings.Options) error {
	if o.Run.Threads > 0 {
		runtime.GOMAXPROCS(o.Run.Threads)
	}
	if o.Run.Nice == 0 {
		return nil
	}
	return machine.Nice(o.Run.Nice)
}

// mirror opens every stage, the capture last, and runs them until ctx ends.
func mirror(ctx context.Context, call settings.Call, o *settings.Options, stderr io.Writer) error {
	asked := *o
	begun, err := prepare(o, stderr)
	if err != nil {
		return err
	}
	defer begun.out.Close()
	logger := begun.log
	metrics := status.NewMetrics()
	p, err := pipeline.New(pipelineConfig(o, logger, metrics))
	if err != nil {
		return err
	}
	defer p.Close()
	sources, err := openSources(o)
	defer closeAll(sources)
	if err != nil {
		return err
	}
	monitor := status.NewMonitor(status.Config{
		Source: status.Source{Snapshot: watched(o, p.Snapshot), Flows: p.Flows}, Log: logger, Version: version(),
		Target: o.Targets(), Capture: captured(o), Settings: begun.shown(), ReadyDrops: o.Reporting.ReadyDrops, Alert: alert(o),
	})
	again := newReloader(call, &asked, p, monitor, metrics, logger)
	defer onHangup(again.reload)()
	serve, err := listen(o, logger, monitor, metrics)
	if err != nil {
		return err
	}
	begun.announce(o)
	limits.WarnOfBuffer(o, logger, sources)
	defer serve()()
	logger.Info("capturing", "iface", cmp.Or(strings.Join(o.Capture.Iface, ","), settings.AnyInterface), "vni", o.Captured().VNIs, "port", o.Captured().Ports, "to", o.Targets())
	logServices(o, logger)
	defer start(func(ctx context.Context) { warnOfLoops(ctx, o, logger) })()
	defer monitor.LogEnd()
	defer start(func(ctx context.Context) { monitor.Report(ctx, o.Reporting.StatsInterval, begun.out) })()
	defer releaseStart(logger)()
	return p.Run(ctx, again.enter(), sources...)
}

// releaseStart gives back the program's pages two seconds after the start, which alone needs
// most of them. stop cancels that.
func releaseStart(logger *slog.Logger) (stop func()) {
	const over = 2 * time.Second
	due := time.AfterFunc(over, func() {
		if err := machine.ReleaseProgram(); err != nil {
			logger.Debug("the program's pages stay resident", "err", err)
		}
	})
	return func() { due.Stop() }
}

// listen opens --http. serve answers there until stop. Without --http, serve does nothing.
func listen(o *settings.Options, logger *slog.Logger, monitor *status.Monitor, metrics *status.Metrics) (serve func() (stop func()), err error) {
	if o.Reporting.HTTP == "" {
		return func() func() { return func() {} }, nil
	}
	ln, err := status.Listen(o.Reporting.HTTP)
	switch {
	case errors.Is(err, unix.EADDRNOTAVAIL):
		return nil, fmt.Errorf("%w; give an address that this host has, or 0.0.0.0 for all of IPv4", err)
	case errors.Is(err, unix.ENOENT):
		return nil, fmt.Errorf("%w; make the socket's directory, or choose another path", err)
	case err != nil:
		return nil, err
	}
	return func() func() {
		logger.Info("status page", "http", ln.Addr().String())
		return start(func(ctx context.Context) {
			if err := monitor.Serve(ctx, ln, metrics.Handler(monitor), o.Reporting.Pprof); err != nil {
				logger.Error("the status page is gone; forwarding goes on", "err", err,
					"do", "restart netmirror when convenient; nothing is lost")
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
