package tap

import "time"

const (
	// maxPieces is the most fragments of a datagram: 64 KiB over a link with an
	// MTU of 296 bytes. It bounds the search for a fragment's place.
	maxPieces = 256
	// maxYounger ends the wait for the rest of a datagram after which as many
	// more have begun. An IPv4 identification comes again after 65536 packets,
	// in less than a second on a fast mirror; what it would be joined to then
	// is another packet's (RFC 4963).
	maxYounger = 4096
	// unknown is the size of a datagram whose last fragment is not there yet.
	unknown = -1
)

// reassembler puts outer IP datagrams together again (RFC 791, section 3.2;
// RFC 8200, section 4.5; RFC 5722). Not the kernel (PACKET_FANOUT_FLAG_DEFRAG):
// it does not say what it drops, and does not do IPv6.
//
// Its memory is bounded: fragments by a fixed number of chunks, datagrams by
// the same number, as each has at least one chunk or keeps the place of one
// that was spoilt; the joined frames of a batch hold only what chunks held
// before it and what came in it.
type reassembler struct {
	chunks         chunks
	live           map[datagramKey]*datagram
	oldest, newest *datagram // of live, by their first fragment's arrival
	spare          *datagram // linked by newer
	begun          uint64    // datagrams, ever
	out            []byte    // joined frames of the current batch
	timeout        time.Duration
	now            func() time.Time
	stats          FragmentStats
}

// datagram is one whose fragments are not all there yet.
type datagram struct {
	key          datagramKey
	older, newer *datagram
	since        time.Time // its first fragment arrived
	number       uint64    // in the order of beginning

	first, last int32 // its pieces, a list by offset
	pieces      int
	wire        int // bytes of the frames that they came in
	have        int // bytes of data
	size        int // of all its data, bytes, or unknown

	// spoilt by a fragment that was dropped for reason: those that come later
	// are dropped as well (RFC 5722, section 4).
	spoilt bool
	reason FragmentDrop
}

func newReassembler(budget int, timeout time.Duration, now func() time.Time) *reassembler {
	return &reassembler{
		chunks:  newChunks(budget),
		live:    make(map[datagramKey]*datagram),
		timeout: timeout,
		now:     now,
	}
}

// begin starts a batch: the frames that add returned are no longer valid.
func (r *reassembler) begin() {
	r.out = r.out[:0]
	if r.oldest != nil {
		r.expire(r.now())
	}
}

// add takes a captured frame in. It returns what is to be handed out in its
// place: the frame itself unless it is a fragment; the whole datagram in a frame
// with the first fragment's headers if nothing of it is missing any more, which
// is valid until begin; else nil.
func (r *reassembler) add(frame []byte) []byte {
	frame, f, v := parse(frame)
	if v == whole {
		return frame
	}
	r.stats.FragmentsReceived++
	r.stats.FragmentBytesReceived += uint64(f.wire)
	if v == broken {
		r.count(DropMalformed, 1, f.wire)
		return nil
	}
	now := r.now()
	r.expire(now)
	d := r.live[f.key]
	if d == nil {
		d = r.start(f.key, now)
	}
	if !r.insert(d, &f) || d.have != d.size {
		return nil
	}
	return r.finish(d)
}

// insert makes f a piece of d, or drops it and counts why.
func (r *reassembler) insert(d *datagram, f *fragment) bool {
	end := f.offset + len(f.data)
	if f.offset != 0 {
		f.header = nil // only the first fragment's are needed
	}
	if d.spoilt {
		r.count(d.reason, 1, f.wire)
		return false
	}
	if end > maxIPBytes {
		return r.spoil(d, f, DropTooLong)
	}
	before, after := r.neighbours(d, f.offset)
	if at := after; at != none && r.chunks.pieces[at].offset == f.offset &&
		f.more == (end != d.size) && r.chunks.holds(at, f.data) {
		r.count(DropDuplicate, 1, f.wire)
		return false
	}
	if before != none && r.chunks.pieces[before].end() > f.offset ||
		after != none && r.chunks.pieces[after].offset < end {
		return r.spoil(d, f, DropOverlap)
	}
	// The last fragment has been here, or is f and others lie behind it.
	if d.size != unknown && (end > d.size || !f.more) || !f.more && after != none || d.pieces == maxPieces {
		return r.spoil(d, f, DropMalformed)
	}
	if !r.reserve(d, f) {
		return false
	}
	r.link(d, before, r.store(f))
	if !f.more {
		d.size = end
	}
	d.pieces++
	d.have += len(f.data)
	d.wire += f.wire
	r.stats.FragmentsHeld++
	r.stats.FragmentBytesHeld += uint64(f.wire)
	return true
}

// neighbours are the pieces before and from offset on; the usual place, behind
// all others, is found at once.
func (r *reassembler) neighbours(d *datagram, offset int) (before, after int32) {
	if d.last != none && r.chunks.pieces[d.last].offset < offset {
		return d.last, none
	}
	before, after = none, d.first
	for after != none && r.chunks.pieces[after].offset < offset {
		before, after = after, r.chunks.pieces[after].next
	}
	return before, after
}

// link puts the piece at behind before, or first.
func (r *reassembler) link(d *datagram, before, at int32) {
	p := &r.chunks.pieces[at]
	if before == none {
		p.next, d.first = d.first, at
	} else {
		q := &r.chunks.pieces[before]
		p.next, q.next = q.next, at
	}
	if p.next == none {
		d.last = at
	}
}

// store copies f.
func (r *reassembler) store(f *fragment) int32 {
	at := r.chunks.store(f.header, f.data)
	r.chunks.pieces[at].offset, r.chunks.pieces[at].ip = f.offset, f.ip
	return at
}

// reserve makes room for f by dropping the oldest datagrams. It is false, and f
// dropped, if that took f's own.
func (r *reassembler) reserve(d *datagram, f *fragment) bool {
	for need := r.chunks.need(f.header, f.data); r.chunks.left < need; {
		own := r.oldest == d
		r.drop(r.oldest, DropBudget)
		if own {
			r.count(DropBudget, 1, f.wire)
			return false
		}
	}
	return true
}

// finish joins the pieces of d, which are all there, and forgets it.
func (r *reassembler) finish(d *datagram) []byte {
	first := r.chunks.pieces[d.first]
	b := r.room(first.header + d.size)
	for at := d.first; at != none; at = r.chunks.pieces[at].next {
		b = r.chunks.appendTo(b, at)
	}
	if !join(b, first.ip) {
		r.drop(d, DropTooLong)
		return nil
	}
	r.out = r.out[:len(r.out)+len(b)]
	r.stats.Reassembled++
	r.stats.FragmentsReassembled += uint64(d.pieces)
	r.stats.FragmentBytesReassembled += uint64(d.wire)
	r.clear(d)
	r.forget(d)
	return b
}

// room gives an empty slice with a capacity of n bytes at the end of out. Where
// out has no room, a larger one takes its place; the frames in the old one stay
// as they are.
func (r *reassembler) room(n int) []byte {
	if cap(r.out)-len(r.out) < n {
		r.out = make([]byte, 0, max(2*cap(r.out), n))
	}
	at := len(r.out)
	return r.out[at : at : at+n]
}
