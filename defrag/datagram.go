package defrag

import "time"

// start begins a datagram, the newest.
func (r *Reassembler) start(key datagramKey, now time.Time) *datagram {
	if len(r.live) >= r.chunks.count {
		r.drop(r.oldest, DropBudget)
	}
	d := r.spare
	if d == nil {
		d = new(datagram)
	} else {
		r.spare = d.newer
	}
	r.begun++
	*d = datagram{
		key: key, older: r.newest, since: now, number: r.begun,
		first: none, last: none, size: unknown,
	}
	if r.newest == nil {
		r.oldest = d
	} else {
		r.newest.newer = d
	}
	r.newest = d
	r.live[key] = d
	return d
}

// expire drops the datagrams that have waited too long.
func (r *Reassembler) expire(now time.Time) {
	for d := r.oldest; d != nil; d = r.oldest {
		if now.Sub(d.since) < r.timeout && r.begun-d.number < maxYounger {
			return
		}
		r.drop(d, DropTimeout)
	}
}

// Flush drops every datagram: nothing more will come.
func (r *Reassembler) Flush() {
	for r.oldest != nil {
		r.drop(r.oldest, DropTimeout)
	}
}

// spoil drops f and what there is of its datagram, whose place is kept for
// those that are still to come. It is false, for insert to return.
func (r *Reassembler) spoil(d *datagram, f *fragment, why Drop) bool {
	r.count(why, d.pieces, d.wire)
	r.count(why, 1, f.wire)
	r.clear(d)
	d.spoilt, d.reason = true, why
	return false
}

// drop counts a datagram's fragments as lost and forgets it. All of one that was joined
// before are copies, with which nothing is lost.
func (r *Reassembler) drop(d *datagram, why Drop) {
	if d.repeated == d.pieces {
		why = DropDuplicate
	}
	r.count(why, d.pieces, d.wire)
	r.clear(d)
	r.forget(d)
}

// clear gives a datagram's memory back.
func (r *Reassembler) clear(d *datagram) {
	for at := d.first; at != none; {
		next := r.chunks.pieces[at].next
		r.chunks.release(at)
		at = next
	}
	r.stats.FragmentsHeld -= uint64(d.pieces)
	r.stats.FragmentBytesHeld -= uint64(d.wire)
	d.first, d.last, d.pieces, d.repeated, d.wire, d.have = none, none, 0, 0, 0, 0
}

// forget takes a datagram without pieces out of the table.
func (r *Reassembler) forget(d *datagram) {
	delete(r.live, d.key)
	if d.older == nil {
		r.oldest = d.newer
	} else {
		d.older.newer = d.newer
	}
	if d.newer == nil {
		r.newest = d.older
	} else {
		d.newer.older = d.older
	}
	d.older, d.newer = nil, r.spare
	r.spare = d
}

func (r *Reassembler) count(why Drop, fragments, bytes int) {
	r.stats.FragmentsDropped[why] += uint64(fragments)
	r.stats.FragmentBytesDropped[why] += uint64(bytes)
}
