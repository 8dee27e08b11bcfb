package pipeline

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"netmirror/bridge"
	"netmirror/budget"
	"netmirror/defrag"
	"netmirror/sleeper"
	"netmirror/source"
	"netmirror/stack"
	"netmirror/status"
)

// Pipeline is the stages, opened.
type Pipeline struct {
	cfg     Config
	outer   *fragments     // of the mirror's packets
	parts   *fragments     // of the mirrored packets
	stacks  []*stack.Stack // one for each worker; nothing is shared between two at packet rate
	paths   *stack.Paths
	room    *bridge.Room
	sources atomic.Pointer[[]source.Source] // those of Run; nil before
	clock   clock
	counts  counts
	memory  memory
	budget  *budget.Shared // of the stacks
	cores   *sleeper.Processors

	table   atomic.Pointer[table]
	loops   atomic.Pointer[[]*loop] // of Run; nil before
	changes sync.Mutex              // held while the services are changed, or forgotten
	untried chan struct{}           // holds a token when there are targets that were not tried yet
	mu      sync.RWMutex            // guards the fields below, and those that say so
	ids     []*served               // by stack.Segment.Service, those that end included; nil: not in use
	past    status.Past             // figures of services that have ended
}

// New opens the stages. Close ends them.
func New(c Config) (*Pipeline, error) {
	if err := c.setDefaults(); err != nil {
		return nil, err
	}
	p := &Pipeline{cfg: c, cores: sleeper.NewProcessors(c.AllCores, c.SourceWait), memory: memory{total: c.TotalBytes}, untried: make(chan struct{}, 1)}
	p.outer, p.parts = newFragments(defrag.Outer(c.Mirror), p.clock.now), newFragments(defrag.Inner(), p.clock.now)
	services, err := p.serve()
	if err != nil {
		return nil, err
	}
	first, err := c.newTable(services)
	if err != nil {
		return nil, err
	}
	p.table.Store(first)
	p.memory.follow(0)
	sc := c.stackConfig(services, p.memory.stackBytes())
	p.budget = sc.Budget
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
