package main

import (
	"context"
	"io"
	"log/slog"
	"net"
	"slices"

	"netmirror/bridge"
	"netmirror/check"
	"netmirror/decap"
	"netmirror/stack"
	"netmirror/status"
	"netmirror/tap"
)

// ringBlock is the unit of the ring. A block is handed over, however little is
// in it, when --ring-wait has passed, so that many small ones bridge a longer
// absence of the reader than few big ones.
const ringBlock = 128 << 10

// open opens the stages. What closeAll closes is open even where err is not nil.
func (p *pipeline) open(o *options, metrics *status.Metrics) (closeAll func(), err error) {
	var opened []io.Closer
	closeAll = func() {
		for _, c := range slices.Backward(opened) {
			c.Close() // the program is at its end
		}
	}
	vnis, servicePort := o.vnis(), uint16(o.Selection.Port)
	if p.decoder, err = decap.New(decap.Config{Mirror: o.mirror(), VNIs: vnis, Port: servicePort}); err != nil {
		return closeAll, err
	}
	bc := o.bridgeConfig(p.log)
	p.timed = o.Reporting.HTTP != ""
	if p.timed {
		bc.DialTime = metrics.DialTime
	}
	if p.bridge, err = bridge.New(bc); err != nil {
		return closeAll, err
	}
	workers := o.workers()
	p.memory.follow(0)
	sc := o.stackConfig(vnis, p.memory.stackBytes(), workers)
	if p.timed {
		sc.Latency = metrics.Latency
	}
	sc.CaughtUp = p.caughtUp
	p.paths = stack.NewPaths(sc.MaxFlows*2, sc.IdleTimeout)
	for range workers {
		st, err := stack.New(sc)
		if err != nil {
			return closeAll, err
		}
		opened = append(opened, st)
		p.workers = append(p.workers, &worker{stack: st})
	}
	rings, err := tap.OpenGroup(tap.Config{
		Interface: o.Capture.Iface, Mirror: o.mirror(), VNIs: vnis, InnerPort: servicePort,
		RingBytes: o.Capture.RingMiB << 20, BlockBytes: ringBlock, BlockTimeout: o.Capture.RingWait,
		BusyPoll: o.Capture.BusyPoll,
	}, workers)
	for i, ring := range rings {
		opened = append(opened, ring)
		p.workers[i].ring = ring
	}
	return closeAll, err
}

// serve starts answering at --http. stop ends it.
func (p *pipeline) serve(ln net.Listener, metrics *status.Metrics, profiles bool) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := p.monitor.Serve(ctx, ln, metrics.Handler(p.monitor), profiles); err != nil {
			p.log.Error("the status page is gone; forwarding goes on", "err", err)
		}
	}()
	p.log.Info("status page", "http", ln.Addr().String())
	return func() {
		cancel()
		<-done
	}
}

func (o *options) vnis() []uint32 {
	vnis := make([]uint32, len(o.Selection.VNI))
	for i, v := range o.Selection.VNI {
		vnis[i] = uint32(v)
	}
	if len(vnis) == 0 && o.mirror().Bare() {
		vnis = []uint32{0} // what nothing is around has none
	}
	return vnis
}

func (o *options) checkConfig(program string) check.Config {
	return check.Config{
		Interface: o.Capture.Iface, Mirror: o.mirror(), VNIs: o.vnis(), Port: uint16(o.Selection.Port),
		Target: o.Target.To, DialTimeout: o.Target.DialTimeout, Midstream: o.Fidelity.Midstream, Time: o.checking.Time, Program: program,
	}
}

func (o *options) bridgeConfig(logger *slog.Logger) bridge.Config {
	return bridge.Config{
		Target: o.Target.To, DialTimeout: o.Target.DialTimeout, Retries: orNone(o.Target.MaxRetries),
		WriteTimeout: o.Target.WriteTimeout, LingerTimeout: o.Target.LingerTimeout,
		MaxConns: o.Budgets.MaxConns, Logger: logger,
	}
}

// orNone is n as the stages take it, to whom 0 is the default and less is none.
func orNone(n int) int {
	if n == 0 {
		return -1
	}
	return n
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
		MaxPending: orNone(o.Fidelity.MaxPendingPackets), GapTimeout: o.Fidelity.GapTimeout,
		IdleTimeout: o.Budgets.IdleTimeout,
	}
}
