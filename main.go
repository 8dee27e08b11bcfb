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
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"

	"netmirror/bridge"
	"netmirror/check"
	"netmirror/decap"
	"netmirror/stack"
	"netmirror/tap"
)

func main() {
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

// version is what the build recorded: the module's version, or the revision
// that it was built from.
func version() string {
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

// ringBlock is the unit of the ring. A block is handed over, however little is
// in it, when --ring-wait has passed, so that many small ones bridge a longer
// absence of the reader than few big ones.
const ringBlock = 128 << 10

// mirror opens every stage, the capture last, and runs them until ctx ends.
func mirror(ctx context.Context, o *options, stderr io.Writer) error {
	logger := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: logLevels[o.Reporting.LogLevel]}))
	if o.Run.Threads > 0 {
		runtime.GOMAXPROCS(o.Run.Threads)
	}
	vnis := o.vnis()
	servicePort := uint16(o.Selection.Port)
	decoder, err := decap.New(decap.Config{UDPPort: uint16(o.Capture.VXLANPort), VNIs: vnis, Port: servicePort})
	if err != nil {
		return err
	}
	br, err := bridge.New(o.bridgeConfig(logger))
	if err != nil {
		return err
	}
	workers := o.workers()
	heap := memory{total: int64(o.Budgets.TotalMiB) << 20}
	heap.follow(0)
	p := &pipeline{log: logger, decoder: decoder, bridge: br, memory: heap}
	for range workers {
		st, err := stack.New(o.stackConfig(vnis, heap.stackBytes(), workers))
		if err != nil {
			return err
		}
		defer st.Close()
		p.workers = append(p.workers, &worker{stack: st})
	}
	rings, err := tap.OpenGroup(tap.Config{
		Interface: o.Capture.Iface, Port: uint16(o.Capture.VXLANPort), VNIs: vnis, InnerPort: servicePort,
		RingBytes: o.Capture.RingMiB << 20, BlockBytes: ringBlock, BlockTimeout: o.Capture.RingWait,
		BusyPoll: o.Capture.BusyPoll,
	}, workers)
	if err != nil {
		return err
	}
	for i, ring := range rings {
		defer ring.Close()
		p.workers[i].ring = ring
	}
	logger.Info("capturing", "iface", o.Capture.Iface, "vni", o.Selection.VNI, "port", o.Selection.Port, "to", o.Target.To)
	defer p.report()
	return p.run(ctx, o.Reporting.StatsInterval, o.Run.ShutdownTimeout)
}

func (o *options) vnis() []uint32 {
	vnis := make([]uint32, len(o.Selection.VNI))
	for i, v := range o.Selection.VNI {
		vnis[i] = uint32(v)
	}
	return vnis
}

func (o *options) checkConfig(program string) check.Config {
	return check.Config{
		Interface: o.Capture.Iface, VXLANPort: uint16(o.Capture.VXLANPort), VNIs: o.vnis(), Port: uint16(o.Selection.Port),
		Target: o.Target.To, DialTimeout: o.Target.DialTimeout, Time: o.checking.Time, Program: program,
	}
}

func (o *options) bridgeConfig(logger *slog.Logger) bridge.Config {
	retries := o.Target.MaxRetries
	if retries == 0 {
		retries = -1 // to bridge, 0 is the default
	}
	return bridge.Config{
		Target: o.Target.To, DialTimeout: o.Target.DialTimeout, Retries: retries,
		WriteTimeout: o.Target.WriteTimeout, LingerTimeout: o.Target.LingerTimeout,
		MaxConns: o.Budgets.MaxConns, Logger: logger,
	}
}

// stackConfig is that of one of n stacks, among which the budgets are divided.
func (o *options) stackConfig(vnis []uint32, bytes, n int) stack.Config {
	share := func(all int) int { return (all + n - 1) / n }
	return stack.Config{
		Port: uint16(o.Selection.Port), VNIs: vnis,
		MaxFlows: share(o.Budgets.MaxFlows), MaxStubs: share(o.Budgets.MaxHalfOpen),
		FlowBytes: o.Budgets.FlowKiB << 10, TotalBytes: share(bytes),
		OnGap: onGaps[o.Fidelity.OnGap], Midstream: midstreams[o.Fidelity.Midstream],
		Checksums:  checksums[o.Fidelity.VerifyChecksums],
		MaxPending: o.Fidelity.MaxPendingPackets, GapTimeout: o.Fidelity.GapTimeout,
		IdleTimeout: o.Budgets.IdleTimeout,
	}
}
