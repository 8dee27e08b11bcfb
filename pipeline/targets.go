package pipeline

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	// targetEvery is how often a target that does not answer is tried while no stream
	// tries it.
	targetEvery = 15 * time.Second
	// targetsAtOnce is how many are tried at a time.
	targetsAtOnce = 8
)

// watchTargets tries each target at the start, and logs those that cannot be reached: they
// may come up later, but the address may be a typing mistake. From then on it tries targets
// that did not answer now and then, so that Health does not stay wrong on a quiet service.
func (p *Pipeline) watchTargets(ctx context.Context) {
	first := func(s *served) {
		if !s.bridge.Health().Tried {
			s.bridge.Begin(ctx)
		}
	}
	p.tryTargets(first)
	again := time.NewTicker(targetEvery)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.untried:
			p.tryTargets(first)
		case now := <-again.C:
			p.tryTargets(func(s *served) {
				if h := s.bridge.Health(); !h.Answers && now.Sub(h.Last) >= targetEvery/2 {
					_ = s.bridge.Check(ctx) // Health has what came of it
				}
			})
		}
	}
}

// tryTargets calls try for each service, some at a time.
func (p *Pipeline) tryTargets(try func(*served)) {
	var tries errgroup.Group
	tries.SetLimit(targetsAtOnce)
	for _, s := range p.table.Load().services {
		tries.Go(func() error {
			try(s)
			return nil
		})
	}
	_ = tries.Wait() // which never fails
}
