package pipeline

import (
	"errors"
	"sync/atomic"
	"time"

	"netmirror/decap"
	"netmirror/service"
	"netmirror/source"
	"netmirror/stack"
)

// Pipeline is the stages, opened.
type Pipeline struct {
	cfg      Config
	decoder  *decap.Decoder
	outer    *fragments     // of the mirror's packets
	parts    *fragments     // of the mirrored packets
	stacks   []*stack.Stack // one for each worker; nothing is shared between two at packet rate
	paths    *stack.Paths
	services []*served
	sources  atomic.Pointer[[]source.Source] // those of Run; nil before
	clock    clock
	counts   counts
	memory   memory
	cores    *processors
}

// New opens the stages. Close ends them.
func New(c Config) (*Pipeline, error) {
	if err := c.setDefaults(); err != nil {
		return nil, err
	}
	p := &Pipeline{cfg: c, cores: newProcessors(c.AllCores, c.SourceWait), memory: memory{total: c.TotalBytes}}
	p.outer, p.parts = newOuterFragments(c.Mirror, p.clock.now), newInnerFragments(p.clock.now)
	var err error
	if p.services, err = serve(&c); err != nil {
		return nil, err
	}
	if p.decoder, err = newDecoder(&c); err != nil {
		return nil, err
	}
	p.memory.follow(0)
	sc := c.stackConfig(p.memory.stackBytes())
	sc.CaughtUp = p.caughtUp
	p.paths = stack.NewPaths(sc.MaxFlows*2, sc.IdleTimeout)
	for range c.Workers {
		st, err := stack.New(sc)
		if err != nil {
			return nil, errors.Join(err, p.Close())
		}
		p.stacks = append(p.stacks, st)
	}
	return p, nil
}

// newDecoder is for the packets of all services.
func newDecoder(c *Config) (*decap.Decoder, error) {
	all := make([]service.Selection, len(c.Services))
	for i := range all {
		all[i] = c.Services[i].Selection
	}
	selector, err := service.NewSelector(all)
	if err != nil {
		return nil, err
	}
	return decap.New(decap.Config{Mirror: c.Mirror, Services: selector})
}

// Close ends every stream at once. The sources of Run must be closed before it is
// called, or Run must have returned.
func (p *Pipeline) Close() error {
	var errs []error
	for _, st := range p.stacks {
		errs = append(errs, st.Close())
	}
	return errors.Join(errs...)
}

// caughtUp is the time before which all that was captured is in the stacks.
func (p *Pipeline) caughtUp() time.Time {
	now := p.clock.now()
	up := now
	for _, src := range p.all() {
		if at := src.CaughtUp(now); at.Before(up) {
			up = at
		}
	}
	return up
}

// all are the sources.
func (p *Pipeline) all() []source.Source {
	if all := p.sources.Load(); all != nil {
		return *all
	}
	return nil
}
