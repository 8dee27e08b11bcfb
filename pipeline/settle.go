package pipeline

import (
	"slices"
	"time"
)

// bridgeRests is how long after its replacement a bridge is kept at least: longer than a
// stream may be on its way to it.
const bridgeRests = time.Minute

// settle cuts off what has outlasted its service, and forgets what has come to its end.
// p.changes is held.
func (p *Pipeline) settle(now time.Time) {
	for _, s := range slices.Clone(p.ids) {
		switch {
		case s == nil:
		case s.cut.IsZero():
			p.forgetBridges(s, now)
		case p.released(s):
			p.forget(s)
		case !now.Before(s.cut):
			p.cutOff(s)
		}
	}
}

// released reports whether nothing of a removed service is left in the stacks.
func (p *Pipeline) released(s *served) bool {
	all := true
	for _, st := range p.stacks {
		all = st.ReleaseService(s.id) && all
	}
	return all
}

// cutOff resets what is open of a removed service.
func (p *Pipeline) cutOff(s *served) {
	s.closeBridges()
	for _, st := range p.stacks {
		st.CutService(s.id)
	}
}

func (s *served) closeBridges() {
	s.bridge.Close()
	for _, e := range s.figures.earlier {
		e.bridge.Close()
	}
}

// forget gives the ID of a removed service back; what was counted of it stays.
func (p *Pipeline) forget(s *served) {
	s.closeBridges()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.past.Add(s.snapshot())
	p.ids[s.id] = nil
}

// forgetBridges forgets the replaced bridges of a service that have nothing open.
func (p *Pipeline) forgetBridges(s *served, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s.figures.earlier = slices.DeleteFunc(s.figures.earlier, func(e earlier) bool {
		figures := e.bridge.Stats()
		if figures.Open+figures.Waiting > 0 || now.Sub(e.since) < bridgeRests {
			return false
		}
		e.bridge.Close()
		s.figures.past.Add(figures)
		return true
	})
}
