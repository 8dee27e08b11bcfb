package main

import (
	"fmt"
	"log/slog"

	"golang.org/x/sys/unix"

	"netmirror/bridge"
	"netmirror/machine"
	"netmirror/pipeline"
	"netmirror/requests"
	"netmirror/settings"
	"netmirror/source"
	"netmirror/stack"
	"netmirror/status"
	"netmirror/tap"
	"netmirror/target"
	"netmirror/udp"
)

// What the choices of the flags are called in stack.
var (
	onGaps     = map[string]stack.OnGap{"reset": stack.GapReset, "splice": stack.GapSplice}
	midstreams = map[string]stack.Midstream{"http": stack.MidstreamHTTP, "any": stack.MidstreamAny, "off": stack.MidstreamOff}
	checksums  = map[string]stack.Checksums{"auto": stack.ChecksumsAuto, "always": stack.ChecksumsAlways, "never": stack.ChecksumsNever}
)

// ringBlock is the size of a block of the ring, in bytes; it holds the largest frames. A block is
// handed over when --ring-wait has passed, however little is in it. So many small blocks last
// longer while the reader is away than few big ones.
const ringBlock = 128 << 10

// spareShare: one part in so many of the ring's memory is for packets that find no room in the
// workers' rings.
const spareShare = 4

// pipelineConfig has latencies measured where somebody can ask for them.
func pipelineConfig(o *settings.Options, logger *slog.Logger, metrics *status.Metrics) pipeline.Config {
	c := pipeline.Config{
		Services:   pipelineServices(o, logger, metrics),
		Mirror:     o.Mirror(),
		Workers:    o.Workers(),
		Stack:      stackConfig(o),
		MaxConns:   o.Budgets.MaxConns,
		TotalBytes: int64(o.Budgets.TotalMiB) << 20,
		SourceWait: o.Capture.RingWait,
		AllCores:   o.Capture.BusyPoll > 0, // which needs one for itself
		Patience:   o.Run.ShutdownTimeout,
		Log:        logger,
	}
	if o.Reporting.HTTP != "" {
		c.Stack.Latency = metrics.Latency
	}
	return c
}

// orNone is n as the stages take it: they use their default for 0, and none below 0.
func orNone(n int) int {
	if n == 0 {
		return -1
	}
	return n
}

func stackConfig(o *settings.Options) stack.Config {
	return stack.Config{
		MaxFlows: o.Budgets.MaxFlows, MaxStubs: o.Budgets.MaxHalfOpen, FlowBytes: o.Budgets.FlowKiB << 10,
		Checksums:  checksums[o.Fidelity.VerifyChecksums],
		MaxPending: orNone(o.Fidelity.MaxPendingPackets), GapTimeout: o.Fidelity.GapTimeout,
		IdleTimeout: o.Budgets.IdleTimeout,
	}
}

// pipelineServices are the services for the pipeline.
func pipelineServices(o *settings.Options, logger *slog.Logger, metrics *status.Metrics) []pipeline.Service {
	all := make([]pipeline.Service, len(o.Services))
	for i := range o.Services {
		f := &o.Services[i]
		s := &f.Settings
		log := logger
		if len(o.Services) > 1 {
			log = logger.With("service", f.Name)
		}
		sample, _ := s.ParseSample() // check has seen to these
		clients, _ := s.ParseClients()
		rules, _ := requests.New(s.Requests)
		all[i] = pipeline.Service{
			Name: f.Name, Selection: f.Selection, Sample: sample, Clients: clients, MaxRate: s.MaxRate,
			Stack: stack.Service{OnGap: onGaps[s.OnGap], Midstream: midstreams[s.Midstream]},
			Target: bridge.Config{
				Target: f.Target, Options: s.TargetOptions(), DialTimeout: s.DialTimeout, Retries: orNone(s.MaxRetries),
				WriteTimeout: s.WriteTimeout, LingerTimeout: s.LingerTimeout, Logger: log, Requests: rules,
			},
		}
		if o.Reporting.HTTP != "" {
			all[i].Target.DialTime = metrics.DialTime
		}
	}
	return all
}

// mayMark returns an error if the kernel does not let this process mark connections as the
// settings ask. Otherwise every stream would fail for it.
func mayMark(o *settings.Options) error {
	for i := range o.Services {
		mark := o.Services[i].Settings.Mark
		if mark != 0 {
			machine.UseCapability(unix.CAP_NET_ADMIN)
		}
		if err := target.CheckMark(mark); err != nil {
			return fmt.Errorf("service %s: --mark %d: %w", o.Services[i].Name, mark, err)
		}
	}
	return nil
}

// openSources starts the capture. With an error, it also returns the sources that are open; the
// caller closes them in any case.
func openSources(o *settings.Options) (all []source.Source, err error) {
	if o.Capture.Capture == settings.CaptureUDP {
		return sourcesOf(udp.OpenGroup(udpConfig(o), o.Workers()))
	}
	ring := o.Capture.RingMiB << 20 / len(o.Capture.Iface)
	for _, name := range o.Capture.Iface {
		c := tap.Config{
			Interface: name, Mirror: o.Mirror(), VNIs: o.Captured().VNIs, InnerPorts: o.Captured().Ports,
			RingBytes: ring, SpareBytes: ring / spareShare, BlockBytes: ringBlock, BlockTimeout: o.Capture.RingWait,
			BusyPoll: o.Capture.BusyPoll,
		}
		if o.OnAnyInterface() {
			c.Interface = tap.AnyInterface
		}
		rings, err := sourcesOf(tap.OpenGroup(c, o.Workers()))
		if all = append(all, rings...); err != nil {
			return all, err
		}
	}
	return all, nil
}

func udpConfig(o *settings.Options) udp.Config {
	c := udp.Config{
		Interfaces: o.Capture.Iface, Mirror: o.Mirror(), VNIs: o.Captured().VNIs, InnerPorts: o.Captured().Ports,
		Bytes: o.Capture.RingMiB << 20, Wait: o.Capture.RingWait, BusyPoll: o.Capture.BusyPoll,
	}
	if o.OnAnyInterface() {
		c.Interfaces = nil
	}
	return c
}

func sourcesOf[S source.Source](all []S, err error) ([]source.Source, error) {
	sources := make([]source.Source, len(all))
	for i, s := range all {
		sources[i] = s
	}
	return sources, err
}
