package stack

import (
	"math"
	"time"
	"unsafe"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"netmirror/outcome"
	"netmirror/service"
)

// stubKind says what is remembered of a connection that has no flow.
type stubKind uint8

const (
	halfOpen  stubKind = iota // a SYN was seen, and nothing that proves it
	over                      // the connection has ended
	midStream                 // it goes on; a stream may begin at its next request
	opaque                    // it goes on, but no stream can begin in it any more
	overRate                  // it goes on, but began beyond the rate of its service: none of it is forwarded
)

const (
	// halfOpenTimeout is how long an unproven SYN is remembered: longer than
	// a client goes on retransmitting the end of its handshake unanswered.
	halfOpenTimeout = 30 * time.Second
	// overTimeout is how long the end of a flow is remembered, so that what
	// the client retransmits of it is known for what it is.
	overTimeout = 60 * time.Second
	// repeats is how long after the end of a connection a mirror may still show its SYN
	// again. A SYN that comes later is the next connection's, also with the same number,
	// as where a capture is replayed in a loop.
	// The server's direction makes sure of it sooner: it has ended as well.
	repeats      = 4 * time.Millisecond
	repeatsAlone = 50 * time.Millisecond
	// repeatedFor is how long after the end of the next connection on the same ports a mirror may
	// show again what came of one.
	repeatedFor = time.Second
	// connTimeout is how long a silent connection without a flow is
	// remembered: one that is as silent as that has nothing to be late.
	connTimeout = 10 * time.Minute
)

// stub is the least that has to be known of a connection without a flow, so
// that a flood of SYNs costs a few bytes each.
type stub struct {
	kind   stubKind
	twoWay bool   // the mirror showed the server
	whole  bool   // base is behind a SYN that was seen
	base   uint32 // sequence number of the first byte
	end    uint32 // behind the last one that came in one piece; over: all that was seen, with the FIN; not of halfOpen
	syn    syn    // halfOpen: what is known besides, as long as ev is nil
	put    moment
	last   moment    // when its last packet was captured
	ev     *evidence // what is known besides; nil: nothing
	prior  span      // what was seen of the connection before
	prev   *stub     // halfOpen: what was known before the SYN, which may be a stray one
	left   *leftOff  // midStream and opaque: how the stream was left
	data   *[]byte   // halfOpen: what came with a SYN beside a flow on these ports (RFC 7413); nil: nothing
}

// leftOff is where a stream was given up, and what is in front of it.
type leftOff struct {
	lostFor outcome.Drop // what it was given up for
	counted uint32       // the holes before it were counted
	ack     uint32       // what the client's last data acknowledged
	acked   bool         // ack is set
	pastACK front        // the last of what came in one piece
	skipped stretch      // the last bytes that were passed over
	framing framing      // where the next request begins
	strayed span         // where a segment goes on that was dropped
}

// synData is what came with the SYN.
func (s *stub) synData() []byte {
	if s.data == nil {
		return nil
	}
	return *s.data
}

// moment is a point in time in eight bytes, where a time.Time takes 24: nanoseconds
// since the program began. 0 is long ago.
type moment time.Duration

var programBegan = time.Now()

func momentOf(t time.Time) moment { return moment(t.Sub(programBegan)) }

func (m moment) time() time.Time { return programBegan.Add(time.Duration(m)) }

// age is how long before t the moment was.
func (m moment) age(t time.Time) time.Duration {
	if m == 0 {
		return math.MaxInt64
	}
	return t.Sub(programBegan) - time.Duration(m)
}

// life is how long a stub is good for.
func (k stubKind) life() time.Duration {
	switch k {
	case halfOpen:
		return halfOpenTimeout
	case over:
		return overTimeout
	}
	return connTimeout
}

func (s *stub) expired(now time.Time) bool { return s.put.age(now) > s.kind.life() }

// isNear reports whether a sequence number is near where the connection has come to, in one
// piece or with what was passed over.
func (s *stub) isNear(seq uint32) bool {
	return near(seq, s.end) || s.left != nil && near(seq, s.left.counted)
}

// seen is what the connection has sent as far as it was seen, its SYN included,
// but no more than can be told from what is still to come.
func (s *stub) seen() span {
	if from := s.base - 1; s.end-from <= maxWindow {
		return span{from, s.end}
	}
	return span{s.end - maxWindow, s.end}
}

func repeatsFor(twoWay bool) time.Duration {
	if twoWay {
		return repeats
	}
	return repeatsAlone
}

// began reports whether a SYN in front of base is a late or repeated one of the
// connection, and not of the next on the same ports.
func (s *stub) began(base uint32, now, captured time.Time) bool {
	switch {
	case s.kind == halfOpen:
		return base == s.base
	case s.kind == over && base == s.base:
		return s.last.age(captured) < repeatsFor(s.twoWay)
	case base == s.base: // its end may have been lost
		return s.last.age(captured) < time.Second
	}
	return !s.whole && s.base-base < lateSYN && s.put.age(now) < time.Second
}

// ended is what is left of a connection that has no flow when it ends before
// the sequence number end.
func (s *stub) ended(end uint32) stub {
	if !within(end, s.end, nearby) {
		end = s.end // older, or of another time
	}
	return stub{kind: over, base: s.base, end: end, whole: s.whole, prior: s.prior, last: s.last, twoWay: s.twoWay}
}

// stubTable holds a limited number of stubs and lets the oldest go for a new
// one.
type stubTable struct {
	lru   *simplelru.LRU[flowKey, stub]
	epoch *time.Time // Stack.epoch

	since []moment // by service: when it began; those beyond have been there all the time

	halfOpenLost uint64 // half-open entries pushed out by newer ones
	dataBytes    int    // held with SYNs
	bytes        int    // Σ memory of all stubs
	maxBytes     int    // with more, the oldest are forgotten
}

// stubMemory is how many bytes stubs may take on average beside their places in the table.
// What is known of a connection that has lost a stream takes most of it.
const stubMemory = 512

// maxSYNData bounds what is held with SYNs, in bytes.
const maxSYNData = 1 << 20

func newStubTable(limit int) (*stubTable, error) {
	t := &stubTable{maxBytes: limit * stubMemory}
	var err error
	t.lru, err = simplelru.NewLRU(limit, func(_ flowKey, s stub) { t.counts(&s, -1) })
	return t, err
}

// memory is how many bytes a stub takes beside its place in the table.
func (s *stub) memory() (n int) {
	if s.ev != nil {
		n += int(unsafe.Sizeof(*s.ev))
	}
	if s.left != nil {
		n += int(unsafe.Sizeof(*s.left)) + len(s.left.framing.lead)
	}
	if s.prev != nil {
		n += int(unsafe.Sizeof(*s.prev)) + s.prev.memory()
	}
	return n + len(s.synData())
}

// counts adds a stub to the sums, or takes it out of them.
func (t *stubTable) counts(s *stub, sign int) {
	t.dataBytes += sign * len(s.synData())
	t.bytes += sign * s.memory()
}

// add puts s in place of what was known, and forgets the oldest for it.
func (t *stubTable) add(k *flowKey, s stub) {
	if old, ok := t.lru.Peek(*k); ok {
		t.counts(&old, -1)
	}
	t.counts(&s, 1)
	if _, oldest, _ := t.lru.GetOldest(); t.lru.Add(*k, s) && oldest.kind == halfOpen {
		t.halfOpenLost++
	}
	for t.bytes > t.maxBytes && t.lru.Len() > 1 {
		if _, oldest, _ := t.lru.RemoveOldest(); oldest.kind == halfOpen {
			t.halfOpenLost++
		}
	}
}

// get returns what is remembered, unless that is too long ago. It turns what a SYN said into
// evidence: somebody asks because another packet is there.
func (t *stubTable) get(k *flowKey, now time.Time) (stub, bool) {
	s, ok := t.peek(k)
	if ok && s.expired(now) {
		t.lru.Remove(*k)
		if s.prev == nil || s.prev.expired(now) {
			return stub{}, false
		}
		s = *s.prev // its SYN was a stray
		t.add(k, s)
	}
	if s.syn.seen {
		s.ev, s.syn = t.learned(&s), syn{}
		t.add(k, s)
	}
	return s, ok
}

// learned is the evidence of a stub that has none yet: what its SYN said, where that was seen.
func (t *stubTable) learned(s *stub) *evidence {
	if s.syn.seen {
		return s.syn.evidence(s.put.time().Sub(*t.epoch))
	}
	return new(evidence)
}

// put remembers s in place of what was known.
func (t *stubTable) put(k *flowKey, s stub, now time.Time) {
	s.put = momentOf(now)
	if old, _ := t.lru.Peek(*k); t.dataBytes-len(old.synData())+len(s.synData()) > maxSYNData {
		s.data = nil
	}
	t.add(k, s)
}

func (t *stubTable) remove(k *flowKey) { t.lru.Remove(*k) }

// begins says that a service begins anew: what was put before, which may be as much as
// the table holds, is another service's, and nothing any more.
func (t *stubTable) begins(of service.ID, now time.Time) {
	for len(t.since) <= int(of) {
		t.since = append(t.since, math.MinInt64)
	}
	t.since[of] = momentOf(now)
}

// peek returns what is remembered, however long ago.
func (t *stubTable) peek(k *flowKey) (stub, bool) {
	s, ok := t.lru.Peek(*k)
	if ok && int(k.service) < len(t.since) && s.put < t.since[k.service] {
		t.lru.Remove(*k)
		return stub{}, false
	}
	return s, ok
}

// evidence is what is known of the connection of a stub that is there, to be added to.
func (t *stubTable) evidence(k *flowKey) *evidence {
	s, _ := t.peek(k)
	if s.ev == nil {
		s.ev, s.syn = t.learned(&s), syn{}
		t.add(k, s)
	}
	return s.ev
}
