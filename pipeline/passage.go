package pipeline

import "time"

// tableFor returns the table for the batch at hand. Whoever replaces the table waits for the
// batches that use the old one: the capture waits for nobody.
func (p *Pipeline) tableFor(c *loop) *table {
	for {
		t := p.table.Load()
		c.table.Store(t)
		if p.table.Load() == t { // or it was replaced before it was seen to be in use
			return t
		}
	}
}

// awaitUnused waits until no batch uses a table that was replaced.
func (p *Pipeline) awaitUnused(old *table) {
	loops := p.loops.Load()
	if loops == nil {
		return
	}
	for _, c := range *loops {
		for c.table.Load() == old {
			time.Sleep(100 * time.Microsecond) // for one batch
		}
	}
}
