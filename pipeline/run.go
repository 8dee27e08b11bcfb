package pipeline

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"netmirror/bridge"
	"netmirror/source"
	"netmirror/status"
)

// Run forwards what comes from the sources, until all have ended and everything is delivered.
// It reads each source in a separate goroutine. When ctx ends, it stops the sources, delivers
// what they have captured, and cuts off what takes longer than Config.Patience. It closes no
// source. enter, if not nil, is called with each phase as it begins. Run may be called once.
func (p *Pipeline) Run(ctx context.Context, enter func(status.Phase), sources ...source.Source) error {
	if err := p.use(sources); err != nil {
		return err
	}
	if enter == nil {
		enter = func(status.Phase) {}
	}
	stages, sctx := errgroup.WithContext(context.WithoutCancel(ctx))
	serving, cut := context.WithCancel(sctx)
	defer cut()
	quiet, silence := context.WithCancel(sctx)
	defer context.AfterFunc(ctx, func() {
		enter(status.Draining)
		p.drain(serving, cut)
	})()
	enter(status.Capturing)
	stages.Go(p.captureAll)
	var bridging sync.WaitGroup
	for _, st := range p.stacks {
		bridging.Add(1)
		stages.Go(func() error {
			defer bridging.Done()
			return bridge.Serve(serving, st, p.bridgeOf)
		})
	}
	stages.Go(func() error {
		defer silence()
		bridging.Wait()
		return nil
	})
	stages.Go(func() error {
		p.watchTargets(quiet)
		return nil
	})
	stages.Go(func() error {
		p.tend(quiet)
		return nil
	})
	return stages.Wait()
}

// drain stops the sources, and cuts off what is not delivered within Config.Patience. serving
// ends when all is delivered.
func (p *Pipeline) drain(serving context.Context, cut func()) {
	p.stop()
	p.cfg.Log.Info("stopping", "at_most", p.cfg.Patience)
	select {
	case <-serving.Done():
	case <-time.After(p.cfg.Patience):
		p.cfg.Log.Warn("the time to stop is over: what the targets have not taken is cut off", "after", p.cfg.Patience, "streams", p.Snapshot().Bridge.Open,
			"do", "find out why the targets are slow, or raise --shutdown-timeout")
		cut()
	}
}

// use takes the sources.
func (p *Pipeline) use(sources []source.Source) error {
	if len(sources) == 0 {
		return errors.New("pipeline: no source")
	}
	for _, src := range sources {
		if src.Clock() == source.Stamps && len(sources) > 1 {
			return errors.New("pipeline: a source with a clock of its own must be the only one")
		}
	}
	p.sources.Store(&sources)
	return nil
}

// stop has every source come to its end.
func (p *Pipeline) stop() {
	for _, src := range p.all() {
		src.Stop()
	}
}

// tend does what is to be done once a second, until ctx ends.
func (p *Pipeline) tend(ctx context.Context) {
	p.cores.Look(time.Now()) // or all would be in use for the first second
	every := time.NewTicker(time.Second)
	defer every.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-every.C:
			p.memory.follow(p.budget.Fixed())
			p.changes.Lock()
			p.settle(now)
			p.changes.Unlock()
			p.outer.expire()
			p.parts.expire()
			p.cores.Look(now)
		}
	}
}
