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
	"time"

	"golang.org/x/sync/errgroup"

	"netmirror/bridge"
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
	if err == nil {
		err = mirror(ctx, o, stderr)
	}
	if err != nil {
		fmt.Fprintln(stderr, "netmirror:", err)
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
const ringBlock = 256 << 10

// mirror opens every stage, the capture last, and runs them until ctx ends.
func mirror(ctx context.Context, o *options, stderr io.Writer) error {
	logger := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: logLevels[o.Run.LogLevel]}))
	if o.Run.Threads > 0 {
		runtime.GOMAXPROCS(o.Run.Threads)
	}
	vnis := make([]uint32, len(o.Selection.VNI))
	for i, v := range o.Selection.VNI {
		vnis[i] = uint32(v)
	}
	servicePort := uint16(o.Selection.Port)
	decoder, err := decap.New(decap.Config{UDPPort: uint16(o.Capture.VXLANPort), VNIs: vnis, Port: servicePort})
	if err != nil {
		return err
	}
	retries := o.Target.MaxRetries
	if retries == 0 {
		retries = -1 // to bridge, 0 is the default
	}
	br, err := bridge.New(bridge.Config{
		Target: o.Target.To, DialTimeout: o.Target.DialTimeout, Retries: retries,
		WriteTimeout: o.Target.WriteTimeout, LingerTimeout: o.Target.LingerTimeout,
		MaxConns: o.Budgets.MaxConns, Logger: logger,
	})
	if err != nil {
		return err
	}
	heap := memory{total: int64(o.Budgets.TotalMiB) << 20}
	heap.follow(0)
	st, err := stack.New(stack.Config{
		Port: servicePort, VNIs: vnis,
		MaxFlows: o.Budgets.MaxFlows, MaxStubs: o.Budgets.MaxHalfOpen,
		FlowBytes: o.Budgets.FlowKiB << 10, TotalBytes: heap.stackBytes(),
		OnGap: onGaps[o.Fidelity.OnGap], Midstream: midstreams[o.Fidelity.Midstream],
		Checksums:  checksums[o.Fidelity.VerifyChecksums],
		MaxPending: o.Fidelity.MaxPendingPackets, GapTimeout: o.Fidelity.GapTimeout,
		IdleTimeout: o.Budgets.IdleTimeout,
	})
	if err != nil {
		return err
	}
	defer st.Close()
	ring, err := tap.Open(tap.Config{
		Interface: o.Capture.Iface, Port: uint16(o.Capture.VXLANPort),
		RingBytes: o.Capture.RingMiB << 20, BlockBytes: ringBlock, BlockTimeout: o.Capture.RingWait,
	})
	if err != nil {
		return err
	}
	defer ring.Close()
	p := &pipeline{log: logger, ring: ring, decoder: decoder, stack: st, bridge: br, memory: heap}
	logger.Info("capturing", "iface", o.Capture.Iface, "vni", o.Selection.VNI, "port", o.Selection.Port, "to", o.Target.To)
	defer p.report()
	return p.run(ctx, o.Run.StatsInterval, o.Run.ShutdownTimeout)
}

// pipeline is the stages, opened.
type pipeline struct {
	log     *slog.Logger
	ring    *tap.Ring
	decoder *decap.Decoder
	stack   *stack.Stack
	bridge  *bridge.Bridge
	counts  counts
	memory  memory
}

// run runs the stages. When ctx ends, the capture stops, what was captured is
// delivered, and whatever that takes longer than patience is cut off.
func (p *pipeline) run(ctx context.Context, interval, patience time.Duration) error {
	stages, sctx := errgroup.WithContext(context.WithoutCancel(ctx))
	serving, cut := context.WithCancel(sctx)
	defer cut()
	quiet, silence := context.WithCancel(sctx)
	stopRing := context.AfterFunc(ctx, func() {
		p.log.Info("stopping", "at_most", patience)
		p.ring.Stop()
		time.AfterFunc(patience, cut)
	})
	defer stopRing()
	stages.Go(func() error {
		defer p.stack.Shutdown()
		return p.capture()
	})
	stages.Go(func() error {
		defer silence()
		return p.bridge.Serve(serving, p.stack)
	})
	stages.Go(func() error {
		p.checkTarget(quiet)
		p.reportEvery(quiet, interval)
		return nil
	})
	return stages.Wait()
}

// checkTarget says so where the target cannot be reached at the start: it may
// come up later, but it may as well be a typing mistake.
func (p *pipeline) checkTarget(ctx context.Context) {
	if err := p.bridge.Check(ctx); err != nil && ctx.Err() == nil {
		p.log.Warn("target does not answer; its streams are given up until it does", "err", err)
	}
}

// capture takes frames to the stack until the ring is stopped and empty.
func (p *pipeline) capture() error {
	var packet decap.Packet
	var batch []stack.Segment
	for {
		frames, err := p.ring.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		batch = batch[:0]
		for _, frame := range frames {
			reason := p.decoder.Decode(frame, &packet)
			p.counts.frame(reason, len(frame))
			if reason == decap.OK {
				batch = append(batch, stack.Segment(packet))
			}
		}
		p.stack.Inject(batch)
	}
}
