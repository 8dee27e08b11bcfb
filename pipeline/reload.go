package pipeline

import (
	"slices"
	"time"

	"netmirror/service"
	"netmirror/source"
)

// Changes are the services that a Reload has changed, by name.
type Changes struct{ Added, Changed, Removed []string }

// Reload replaces the services that are forwarded. If it fails, nothing has changed. It may be
// called from any goroutine while Run runs.
//
// A service with the same selection and target as an old one, or else with the same name, is
// that service and continues: none of its packets is missed. If its settings changed, open
// streams keep their connections to the target. Streams of connections that the service no
// longer takes get what was captured of them, and are then reset. So are the streams of a
// removed service, which Config.Patience cuts off.
func (p *Pipeline) Reload(services []Service) (Changes, error) {
	p.changes.Lock()
	defer p.changes.Unlock()
	old := p.table.Load()
	next, err := p.plan(old.services, services)
	if err != nil {
		return Changes{}, err
	}
	before, after := service.Union(selections(old.services)...), service.Union(selections(next.table.services)...)
	both := service.Union(before, after)
	if err := p.choose(before, both); err != nil {
		_ = p.choose(both, before) // which was in force, and is at most wider now
		return Changes{}, err
	}
	p.awaitCaptured(time.Now())
	p.enact(next)
	if err := p.choose(both, after); err != nil {
		p.cfg.Log.Warn("the kernel's filter could not be narrowed; packets of no service cost more", "err", err,
			"do", "nothing is lost; restart netmirror if it costs too much")
	}
	return next.changes(), nil
}

// capturedSoon bounds how long a Reload waits for what was captured before it.
const capturedSoon = time.Second

// awaitCaptured waits until all that was captured by now is in the stacks: a service that
// is removed still gets it, as it would at the end of the run.
func (p *Pipeline) awaitCaptured(now time.Time) {
	for p.caughtUp().Before(now) && time.Since(now) < capturedSoon {
		time.Sleep(time.Millisecond) // a ring that is empty is no event
	}
}

// plan is what the services are to become.
type plan struct {
	table   *table
	added   []*served
	changed [][2]*served // was, is
	removed []*served
}

// plan finds out how services replace the old ones, and makes what they need. It puts
// nothing into force.
func (p *Pipeline) plan(old []*served, services []Service) (*plan, error) {
	next := &plan{removed: slices.Clone(old)}
	var all []*served
	free := p.freeIDs()
	for i, was := range match(old, services) {
		var is *served
		var err error
		if was == nil {
			is, err = newServed(services[i], free(), p.room)
			next.added = append(next.added, is)
		} else {
			is, err = was.become(services[i])
		}
		if err != nil {
			return nil, err
		}
		switch {
		case was == nil:
		case was.like(is):
			is = was
		default:
			next.changed = append(next.changed, [2]*served{was, is})
		}
		all = append(all, is)
		next.removed = slices.DeleteFunc(next.removed, func(s *served) bool { return s == was })
	}
	var err error
	next.table, err = p.cfg.newTable(all)
	return next, err
}

// freeIDs gives one ID after the other that is not in use.
func (p *Pipeline) freeIDs() func() service.ID {
	at := -1
	return func() service.ID {
		for at++; at < len(p.ids) && p.ids[at] != nil; {
			at++
		}
		return service.ID(at)
	}
}

// choose switches the sources from one selection to another.
func (p *Pipeline) choose(from, to service.Selection) error {
	if from.String() == to.String() {
		return nil
	}
	for _, src := range p.all() {
		if src, ok := src.(source.Selecting); ok {
			if err := src.Select(to); err != nil {
				return err
			}
		}
	}
	return nil
}

// enact puts a plan into force.
func (p *Pipeline) enact(next *plan) {
	for _, st := range p.stacks {
		for _, s := range next.added {
			st.SetService(s.id, s.Stack)
		}
		for _, c := range next.changed {
			st.SetService(c[1].id, c[1].Stack)
		}
	}
	p.swap(next)
	p.room.Resize(len(next.table.services))
	for _, st := range p.stacks {
		for _, s := range next.removed {
			st.EndService(s.id)
		}
		for _, c := range next.changed {
			if !c[0].takesLike(&c[1].Service) {
				st.EndConnections(c[1].id, c[1].keeps)
			}
		}
	}
	if p.cfg.Patience == 0 {
		p.settle(time.Now())
	}
	select {
	case p.untried <- struct{}{}:
	default:
	}
}

// swap replaces the services by those of a plan. When it returns, no packet comes to the
// stacks by the old table any more.
func (p *Pipeline) swap(next *plan) {
	old := p.table.Load()
	p.replace(next)
	p.awaitUnused(old)
}

// replace is swap without the wait for batches that still use the old table.
func (p *Pipeline) replace(next *plan) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	for _, s := range next.added {
		for len(p.ids) <= int(s.id) {
			p.ids = append(p.ids, nil)
		}
		p.ids[s.id] = s
	}
	for _, c := range next.changed {
		if p.ids[c[1].id] = c[1]; c[0].bridge != c[1].bridge {
			f := c[1].figures
			f.earlier = append(f.earlier, earlier{c[0].bridge, now})
		}
	}
	for _, s := range next.removed {
		ends := *s
		ends.cut = now.Add(p.cfg.Patience)
		p.ids[s.id] = &ends
	}
	p.table.Store(next.table)
}

// changes are the names of what a plan changes.
func (n *plan) changes() (c Changes) {
	for _, s := range n.added {
		c.Added = append(c.Added, s.Name)
	}
	for _, s := range n.changed {
		c.Changed = append(c.Changed, s[1].Name)
	}
	for _, s := range n.removed {
		c.Removed = append(c.Removed, s.Name)
	}
	return c
}
