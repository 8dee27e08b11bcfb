package main

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"netmirror/bridge"
	"netmirror/decap"
	"netmirror/stack"
	"netmirror/status"
	"netmirror/filter"
	"netmirror/tap"
)

// pipeline is the stages, opened.
type pipeline struct {
	log     *slog.Logger
	decoder *decap.Decoder
	parts   *fragments
	workers []*worker
	paths   *stack.Paths
	bridge  *bridge.Bridge
	counts  counts
	memory  memory
	cores   *processors
	monitor *status.Monitor
	out     *output // of log
	timed   bool    // latencies are wanted
}

// worker is a ring and the stack of the connections that the ring is to have.
// Workers share nothing at packet rate.
type worker struct {
	ring  *tap.Ring
	stack *stack.Stack
}

// run runs the stages. When ctx ends, the capture stops, what was captured is
// delivered, and whatever that takes longer than patience is cut off.
func (p *pipeline) run(ctx context.Context, interval, patience time.Duration) error {
	stages, sctx := errgroup.WithContext(context.WithoutCancel(ctx))
	serving, cut := context.WithCancel(sctx)
	defer cut()
	quiet, silence := context.WithCancel(sctx)
	stopRings := context.AfterFunc(ctx, func() {
		p.monitor.Enter(status.Draining)
		p.workers[0].ring.Stop() // and all others with it
		time.AfterFunc(patience, cut)
		p.log.Info("stopping", "at_most", patience)
	})
	defer stopRings()
	p.monitor.Enter(status.Capturing)
	stages.Go(p.captureAll)
	var bridging sync.WaitGroup
	for _, w := range p.workers {
		bridging.Add(1)
		stages.Go(func() error {
			defer bridging.Done()
			return p.bridge.Serve(serving, w.stack)
		})
	}
	stages.Go(func() error {
		defer silence()
		bridging.Wait()
		return nil
	})
	stages.Go(func() error {
		p.watchTarget(quiet)
		return nil
	})
	stages.Go(func() error {
		p.reportEvery(quiet, interval)
		return nil
	})
	return stages.Wait()
}

// targetEvery is how often a target that does not answer is tried while no stream
// tries it.
const targetEvery = 15 * time.Second

// watchTarget says so where the target cannot be reached at the start: it may
// come up later, but it may as well be a typing mistake. From then on a target that
// did not answer is tried again now and then, so that what is known of it does not
// stay wrong on a quiet service.
func (p *pipeline) watchTarget(ctx context.Context) {
	switch err := p.bridge.Check(ctx); {
	case err == nil || ctx.Err() != nil:
	case errors.Is(err, bridge.ErrNoDescriptor), errors.Is(err, bridge.ErrNoPort):
		p.log.Warn("the target could not be tried; streams are given up until it can be", "err", err)
	default:
		p.log.Warn("target does not answer; its streams are given up until it does", "err", err)
	}
	again := time.NewTicker(targetEvery)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-again.C:
			if h := p.bridge.Health(); !h.Answers && now.Sub(h.Last) >= targetEvery/2 {
				_ = p.bridge.Check(ctx) // Health has what came of it
			}
		}
	}
}

// captureAll captures until the rings are stopped and empty. Only then no stack
// gets anything any more.
func (p *pipeline) captureAll() error {
	defer func() {
		p.parts.flush()
		for _, w := range p.workers {
			w.stack.Shutdown()
		}
	}()
	var rings errgroup.Group
	for i := range p.workers {
		rings.Go(func() error {
			err := p.capture(i)
			if err != nil {
				p.workers[i].ring.Stop() // one that fails ends all
			}
			return err
		})
	}
	return rings.Wait()
}

// maxRingAge is longer than a packet waits in a ring: what is older is a step of the
// wall's clock, by which the kernel stamps it.
const maxRingAge = 10 * time.Second

// capture takes the frames of one ring to the stacks until the ring is stopped
// and empty. The kernel has shared them out by connection, but for those that it
// could not tell, which are in the first ring, and for what was captured several in
// one packet, which is where the first of them belongs.
func (p *pipeline) capture(from int) error {
	var packet decap.Packet
	var joined []byte // packets of the batch
	batches := make([][]stack.Segment, len(p.workers))
	ring := p.workers[from].ring
	var load load
	for {
		frames, err := ring.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		for i := range batches {
			batches[i] = batches[i][:0]
		}
		joined = joined[:0]
		p.counts.frames.Add(uint64(len(frames)))
		bytes, read := 0, time.Now()
		for _, frame := range frames {
			bytes += len(frame)
			if !p.decode(frame, &packet, &joined) {
				continue
			}
			to := from
			if len(batches) > 1 {
				to = p.owner(&packet, read)
			}
			batches[to] = append(batches[to], stack.Segment(packet))
		}
		now := time.Now()
		age := min(max(now.Sub(ring.BatchTime()), 0), maxRingAge) // by the wall's clock
		for i, batch := range batches {
			p.workers[i].stack.InjectAt(batch, now.Add(-age))
		}
		p.cores.batch(&load, bytes, age, ring.More(), now)
	}
}

// decode takes the encapsulation off a frame and, where a datagram becomes whole by
// it, joins that in memory, which is appended to. It is false where there is no
// packet to go on with: why is counted.
func (p *pipeline) decode(frame []byte, packet *decap.Packet, memory *[]byte) bool {
	reason := p.decoder.Decode(frame, packet)
	if reason == decap.InnerFragment {
		if !p.parts.join(packet, memory) {
			return false
		}
		reason = p.decoder.DecodeIP(packet.VNI, packet.IP, packet)
	}
	if reason != decap.OK {
		p.counts.reasons[reason].Add(1)
		return false
	}
	return true
}

// caughtUp is the time before which all that was captured is in the stacks.
func (p *pipeline) caughtUp() time.Time {
	now := time.Now()
	up := now
	for _, w := range p.workers {
		if at := w.ring.CaughtUp(now); at.Before(up) {
			up = at
		}
	}
	return up
}

// owner is the worker that a packet's connection belongs to. The first one has all MPTCP
// connections: the addresses of a subflow do not tell which connection it is part of.
func (p *pipeline) owner(packet *decap.Packet, now time.Time) int {
	if p.paths.Multipath((*stack.Segment)(packet), now) {
		return 0
	}
	return owner(packet, len(p.workers))
}

// owner is the worker that a packet's TCP connection belongs to.
func owner(p *decap.Packet, workers int) int {
	src, dst := p.IP[12:16], p.IP[16:20]
	if p.IP[0]>>4 == 6 {
		src, dst = p.IP[8:24], p.IP[24:40]
	}
	ports := p.IP[p.TCP:]
	h := filter.FlowHash(src, dst, binary.BigEndian.Uint16(ports), binary.BigEndian.Uint16(ports[2:]))
	return int(h % uint32(workers))
}
