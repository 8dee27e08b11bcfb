package tap

import "time"

const (
	// spareTimeout is how long a block of the spare ring is open at most, so that few
	// packets do not use it up.
	spareTimeout = 100 * time.Millisecond
	// minSpare is how many blocks a spare ring has at least, and each of the rings
	// that it is for.
	minSpare = 4
	// spareLook is how often a reader looks for the packets of the spare ring that are
	// to come first.
	spareLook = time.Millisecond
	// straggling is for how long a packet may be on its way to the spare ring, for which
	// the kernel has chosen it: longer than a hypervisor keeps a processor from running.
	straggling = time.Second
)

// The spare ring of a group takes what another has no room for. The rings are made for a
// short latency: their blocks are closed soon, and with few packets in them used up
// soon. The spare one is made to last. Ring 0 reads it.
//
// Of several rings the kernel gives a packet to the next socket that has more than a
// quarter of its blocks free (PACKET_FANOUT_FLAG_ROLLOVER, packet(7)), if that of the
// packet's flow has none. A packet is lost for which it has chosen a ring whose last block
// is closed at that moment. A single ring never loses one so: see lead.
//
// Packets go back to a ring as soon as it has room again. So the order is by time, in
// units of blocks: no ring is read beyond packets in the spare one, unless there is
// hardly any room left in it, and those of the spare one come behind older ones of all
// rings.

// share gives the configuration of one of n rings, and of their spare one.
func (c Config) share(n int) Config {
	c.SpareBytes = roundUp(c.SpareBytes, c.BlockBytes)
	each := (c.RingBytes - c.SpareBytes) / n
	if min(each, c.SpareBytes) < minSpare*c.BlockBytes || n >= maxRings {
		c.SpareBytes = 0
		each = (c.RingBytes + n - 1) / n
	}
	c.RingBytes = roundUp(max(each, minBlocks*c.BlockBytes), c.BlockBytes)
	return c
}

// spareWait is how long the blocks of the spare ring are open at most: less than a ring lasts
// in which a block waits for them.
func (c Config) spareWait() time.Duration {
	half := time.Duration(c.RingBytes/c.BlockBytes/2) * c.BlockTimeout
	return max(min(spareTimeout, half.Truncate(time.Millisecond)), c.BlockTimeout)
}

// watchSpare notes that packets may go to the spare ring, which wakes nobody.
func (r *Ring) watchSpare(overflowing bool) {
	if r.group.spare != nil && (overflowing || r.half()) {
		r.watching = time.Now().Add(straggling)
	}
}

// lookAtSpare is done before the reader sleeps, and returns when to look again, zero for never.
func (r *Ring) lookAtSpare(now time.Time) time.Time {
	if !now.Before(r.watching) {
		return time.Time{}
	}
	r.group.spare.look()
	return now.Add(spareTimeout)
}

// alone says whether there is a single ring, and a spare one.
func (g *group) alone() bool { return g.spare != nil && len(g.rings) == 1 }

// overflowing says whether something is in the spare ring.
func (g *group) overflowing() bool { return g.spare != nil && !g.spare.empty() }

// take gives the block that is to be read next if the kernel has handed it over, else nil.
func (r *Ring) take() []byte {
	own := r.ready()
	overflowing := r.group.overflowing() // after own: what went there before that block was closed is seen
	r.watchSpare(overflowing)
	if r.group.alone() {
		r.lead()
	}
	switch {
	case own && (!overflowing || r.late || r.due()):
		r.from = &r.queue
	case overflowing && r.spare() != nil && r.group.spareDue():
		r.from = r.group.spare
	}
	if r.from == nil {
		return nil
	}
	return r.from.block()
}

// due says whether the current block may be read while there are packets in the spare ring.
func (r *Ring) due() bool {
	return r.first().Before(r.group.spare.first()) || r.low() && !(r.spare() != nil && r.group.spareDue())
}

// spareDue says whether the kernel has handed over the current block of the spare ring, and
// no ring but the first has anything older.
func (g *group) spareDue() bool {
	if !g.spare.ready() {
		return false
	}
	at := g.spare.first()
	for _, r := range g.rings[1:] {
		if r.older(at) {
			return false
		}
	}
	return true
}

// older says whether the block that is to be read next, or is being read, is of before a time.
func (r *Ring) older(at time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !r.closed && r.ready() && r.first().Before(at)
}

// spare is the spare ring, if r is the one whose reader reads it, else nil.
func (r *Ring) spare() *queue {
	if r != r.group.rings[0] {
		return nil
	}
	return r.group.spare
}

// pending says whether there is something for the reader to look at.
func (r *Ring) pending() bool {
	return r.ready() || r.spare() != nil && r.group.overflowing()
}

// openSpare makes the spare ring, if there is to be one.
func (g *group) openSpare(cfg Config) error {
	if cfg.SpareBytes == 0 {
		return nil
	}
	fd, err := newSocket()
	if err != nil {
		return err
	}
	g.spare = &queue{fd: fd}
	return g.spare.open(cfg.SpareBytes, cfg.BlockBytes, cfg.spareWait())
}
