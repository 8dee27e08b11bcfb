// Package defrag joins IP fragments (RFC 791, section 3.2; RFC 8200,
// section 4.5; RFC 5722), within a budget, and counts each way to lose one.
//
// It works on what was captured and opens nothing. Every input may be hostile: a
// fragment that contradicts another spoils its datagram.
package defrag

import (
	"cmp"
	"time"

	"netmirror/wire"
)

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

const (
	defaultBytes   = 4 << 20
	defaultTimeout = 2 * time.Second
)

// AnyProtocol is no IPv4 packet's: it stands for all.
const AnyProtocol = wire.ProtoHopByHop

// Config says what to put together, and with how much memory. Zero in a field
// means its default.
type Config struct {
	// Protocol is what the datagrams carry (IANA protocol numbers), or AnyProtocol.
	// IPv4 fragments of another are left alone; those of IPv6 are not asked, as
	// extension headers may hide it.
	Protocol uint8
	// InOrder is a protocol whose later fragments are left alone where the first of
	// their datagram is not there: who asks for few of its datagrams gives their first
	// fragments alone. 0 means none.
	InOrder uint8
	// Bytes is the memory for fragments that wait for the rest of their datagram,
	// rounded up to whole chunks of 2 KiB; 0 means 4 MiB. At the limit the oldest
	// datagram is dropped and counted. It is taken with the first fragment.
	Bytes int
	// Timeout is how long the first fragment to arrive waits for the rest of its
	// datagram; 0 means 2 s.
	Timeout time.Duration
	// Now is the time; nil means time.Now.
	Now func() time.Time
}

// Outer is the Config for the packets of a mirror itself: UDP, or any protocol if they may come
// in GRE.
func Outer(m wire.Mirror) Config {
	if m.GRE() {
		return Config{Protocol: AnyProtocol}
	}
	return Config{Protocol: wire.ProtoUDP}
}

// Inner is the Config for mirrored packets. Of their UDP only overlay networks matter, which the
// first fragment of a datagram shows.
func Inner() Config { return Config{Protocol: AnyProtocol, InOrder: wire.ProtoUDP} }

// Reassembler joins the fragments of IP datagrams. The kernel could do so
// (PACKET_FANOUT_FLAG_DEFRAG), but it does not report what it drops, leaves IPv6 alone,
// and does not look into the mirror's packets. A Reassembler is for one goroutine at a time.
//
// Its memory is bounded. Fragments use a fixed number of chunks. There are at most as many
// datagrams, because each has at least one chunk, or keeps the place of one that was spoiled.
// The joined frames of a batch hold only what chunks held before, and what came in the batch.
type Reassembler struct {
	chunks         chunks
	live           map[datagramKey]*datagram
	oldest, newest *datagram // of live, by their first fragment's arrival
	spare          *datagram // linked by newer
	begun          uint64    // datagrams, ever
	out            []byte    // joined packets of the current batch
	repeats        repeats
	protocol       uint8
	inOrder        uint8
	timeout        time.Duration
	now            func() time.Time
	stats          Stats
}

// datagram is one whose fragments are not all there yet.
type datagram struct {
	key          datagramKey
	older, newer *datagram
	since        time.Time // its first fragment arrived
	number       uint64    // in the order of beginning

	first, last int32 // its pieces, a list by offset
	pieces      int
	repeated    int // of them, copies of those of a datagram that was joined
	wire        int // bytes of the frames that they came in
	have        int // bytes of data
	size        int // of all its data, bytes, or unknown

	// spoilt by a fragment that was dropped for reason: those that come later
	// are dropped as well (RFC 5722, section 4).
	spoilt bool
	reason Drop
}

// New makes a Reassembler.
func New(c Config) *Reassembler {
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Reassembler{
		chunks:   newChunks(cmp.Or(c.Bytes, defaultBytes)),
		live:     make(map[datagramKey]*datagram),
		repeats:  newRepeats(),
		protocol: c.Protocol,
		inOrder:  c.InOrder,
		timeout:  cmp.Or(c.Timeout, defaultTimeout),
		now:      c.Now,
	}
}

// Stats gives the counters.
func (r *Reassembler) Stats() Stats { return r.stats }

// Begin starts a batch: the results of Frame and Packet are no longer valid. It drops the
// datagrams that have waited too long.
func (r *Reassembler) Begin() {
	r.out = r.out[:0]
	if r.oldest != nil {
		r.expire(r.now())
	}
}

// Frame takes a captured Ethernet frame, and returns what takes its place: a frame that is not
// a fragment, or cannot be read, itself; for the fragment that makes its datagram complete,
// the whole datagram in a frame with the first fragment's headers, which is valid until
// Begin; for any other fragment nil. An IPv6 fragment that is all of its datagram (RFC 6946)
// loses its fragment header. Frame writes to the frame's memory.
func (r *Reassembler) Frame(frame []byte) []byte {
	frame, f, v := parse(frame, r.protocol)
	return r.take(frame, &f, v)
}

// Packet is Frame for an IP packet without an Ethernet header, of the network vni:
// only fragments of the same network are joined.
func (r *Reassembler) Packet(vni uint32, packet []byte) []byte {
	var f fragment
	v := whole
	switch {
	case len(packet) == 0:
	case packet[0]>>4 == 4:
		packet, f, v = parseIPv4(packet, 0, r.protocol)
	case packet[0]>>4 == 6:
		packet, f, v = parseIPv6(packet, 0)
	}
	f.key.vni = vni
	return r.take(packet, &f, v)
}

// take adds what parse has found.
func (r *Reassembler) take(b []byte, f *fragment, v verdict) []byte {
	if v == whole || r.early(f, v) {
		return b
	}
	if f.named > 0 {
		f.header[f.named] = f.proto
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
	if !r.insert(d, f) || d.have != d.size {
		return nil
	}
	return r.finish(d)
}

// early says whether f is left alone because the first fragment is not there.
func (r *Reassembler) early(f *fragment, v verdict) bool {
	return r.inOrder != 0 && v == partial && f.proto == r.inOrder && f.offset != 0 && r.live[f.key] == nil
}

// insert makes f a piece of d, or drops it and counts why.
func (r *Reassembler) insert(d *datagram, f *fragment) bool {
	end := f.offset + len(f.data)
	if f.offset != 0 {
		f.header = nil // only the first fragment's are needed
	}
	if d.spoilt {
		r.count(d.reason, 1, f.wire)
		return false
	}
	if end > wire.MaxLength {
		return r.spoil(d, f, DropTooLong)
	}
	before, after := r.neighbors(d, f.offset)
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
	at := r.store(f)
	r.link(d, before, at)
	if !f.more {
		d.size = end
	}
	d.pieces++
	if r.repeats.has(d.key, r.chunks.pieces[at].print) {
		d.repeated++
	}
	d.have += len(f.data)
	d.wire += f.wire
	r.stats.FragmentsHeld++
	r.stats.FragmentBytesHeld += uint64(f.wire)
	return true
}

// neighbors are the pieces before and from offset on; the usual place, behind
// all others, is found at once.
func (r *Reassembler) neighbors(d *datagram, offset int) (before, after int32) {
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
func (r *Reassembler) link(d *datagram, before, at int32) {
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
func (r *Reassembler) store(f *fragment) int32 {
	at := r.chunks.store(f.header, f.data)
	r.chunks.pieces[at].offset, r.chunks.pieces[at].ip = f.offset, f.ip
	r.chunks.pieces[at].print = r.repeats.print(f)
	return at
}

// reserve makes room for f by dropping the oldest datagrams. It is false, and f
// dropped, if that took f's own.
func (r *Reassembler) reserve(d *datagram, f *fragment) bool {
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
func (r *Reassembler) finish(d *datagram) []byte {
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
	r.remember(d)
	r.clear(d)
	r.forget(d)
	return b
}

// room gives an empty slice with a capacity of n bytes at the end of out. Where
// out has no room, a larger one takes its place; the frames in the old one stay
// as they are.
func (r *Reassembler) room(n int) []byte {
	if cap(r.out)-len(r.out) < n {
		r.out = make([]byte, 0, max(2*cap(r.out), n))
	}
	at := len(r.out)
	return r.out[at : at : at+n]
}
