package stack

import (
	"bytes"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"netmirror/stack/netstack"
)

// queueModel is a sendQueue and what it should hold, byte by byte.
type queueModel struct {
	q       sendQueue
	origin  uint32
	bytes   map[uint32]byte // by distance from origin
	sent    map[uint32]bool // of them
	packets int
}

const modelSpan = 2000 // bytes behind the origin that segments lie in

// store does what Stack.store does with a segment: what is new of it goes in.
func (m *queueModel) store(off uint32, payload []byte, ack uint32) {
	seg := &segment{seq: m.origin + off, ack: ack, flags: flagACK, payload: payload}
	m.packets++
	packets := uint32(1)
	seq, end := seg.seq, seg.seq+uint32(len(payload))
	if m.q.extend(seg, len(payload), 0) {
		packets, seq = 0, end
	}
	for seqLess(seq, end) {
		before, from, to, ok := m.q.lacks(seq, end)
		if !ok {
			break
		}
		e := m.q.insert(before, new(Stack).carry(seg, from, to, packets))
		if e.late() {
			m.send(e)
		}
		packets, seq = 0, to
	}
	if packets == 1 {
		m.packets-- // a duplicate
	}
	for i, b := range payload {
		if _, ok := m.bytes[off+uint32(i)]; !ok {
			m.bytes[off+uint32(i)] = b
		}
	}
}

func (m *queueModel) send(e *entry) {
	m.q.markSent(e)
	for seq := e.seq; seq != e.end(); seq++ {
		m.sent[seq-m.origin] = true
	}
}

// gone forgets the bytes from seq on and before end.
func (m *queueModel) gone(seq, end uint32) {
	for ; seq != end; seq++ {
		delete(m.bytes, seq-m.origin)
		delete(m.sent, seq-m.origin)
	}
}

// agrees compares the queue, read in both directions, with the model.
func (m *queueModel) agrees(t *rapid.T) {
	held, sent := map[uint32]byte{}, map[uint32]bool{}
	mem, packets, entries := 0, 0, []*entry{}
	unsent := false
	for e := m.q.first(); e != nil; e = e.next() {
		if prev := e.prev(); prev != nil && seqLess(e.seq, prev.end()) {
			t.Fatalf("the entry at %d begins before %d, where the one in front ends", e.seq, prev.end())
		}
		if unsent = unsent || e == m.q.unsent; e.sent == unsent {
			t.Fatalf("the entry at %d: sent is %v, unsent is in front of it: %v", e.seq, e.sent, unsent)
		}
		for i, b := range e.payload() {
			held[e.seq-m.origin+uint32(i)] = b
			if e.sent {
				sent[e.seq-m.origin+uint32(i)] = true
			}
		}
		mem += e.memory()
		packets += int(e.packets)
		entries = append(entries, e)
	}
	for e := m.q.last(); e != nil; e = e.prev() {
		if last := len(entries) - 1; last < 0 || entries[last] != e {
			t.Fatalf("from the end, the entry at %d is not in the same place", e.seq)
		}
		entries = entries[:len(entries)-1]
	}
	if len(entries) > 0 || unsent != (m.q.unsent != nil) {
		t.Fatalf("%d entries cannot be reached from the end; unsent, %v, was met: %v", len(entries), m.q.unsent, unsent)
	}
	if !maps.Equal(held, m.bytes) || !maps.Equal(sent, m.sent) {
		t.Fatalf("holds %d bytes, %d of them sent, want %d and %d", len(held), len(sent), len(m.bytes), len(m.sent))
	}
	if m.q.bytes != len(held) || m.q.mem != mem || m.q.count != packets || packets != m.packets {
		t.Fatalf("sums are %d bytes, %d of memory, %d packets; want %d, %d, %d", m.q.bytes, m.q.mem, m.q.count, len(held), mem, m.packets)
	}
}

// lacks compares what the queue says it lacks of a range with the model.
func (m *queueModel) lacks(t *rapid.T, off, n uint32) {
	from := off
	for ; from < off+n; from++ {
		if _, ok := m.bytes[from]; !ok {
			break
		}
	}
	to := from
	for ; to < off+n; to++ {
		if _, ok := m.bytes[to]; ok {
			break
		}
	}
	before, gotFrom, gotTo, ok := m.q.lacks(m.origin+off, m.origin+off+n)
	if ok != (from < to) || ok && (gotFrom-m.origin != from || gotTo-m.origin != to) {
		t.Fatalf("of [%d, %d) it lacks [%d, %d), %v; want [%d, %d)", off, off+n, gotFrom-m.origin, gotTo-m.origin, ok, from, to)
	}
	if !ok {
		return
	}
	want := m.q.first()
	for want != nil && want.seq-m.origin < to {
		want = want.next()
	}
	if before != want {
		t.Fatalf("[%d, %d) goes before %+v, want %+v", from, to, before, want)
	}
}

// scatter stores many small segments in random order.
func (m *queueModel) scatter(t *rapid.T) {
	dice := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "dice"), 0))
	for range rapid.IntRange(1, 500).Draw(t, "segments") {
		off := uint32(dice.IntN(modelSpan - 2))
		m.store(off, pattern(modelSpan)[off:off+1+uint32(dice.IntN(2))], 1)
	}
}

// pop takes some entries off the front, or the last one.
func (m *queueModel) pop(t *rapid.T) {
	if e := m.q.last(); e != nil && rapid.IntRange(0, 3).Draw(t, "last") == 0 {
		m.packets -= int(e.packets)
		m.gone(e.seq, e.end())
		m.q.removeLast()
	}
	n := min(m.q.len(), rapid.SampledFrom([]int{1, 1, 10, 1000, modelSpan}).Draw(t, "entries"))
	packets, size := 0, 0
	e := m.q.first()
	for range n {
		packets, size = packets+int(e.packets), size+len(e.payload())
		m.gone(e.seq, e.end())
		e = e.next()
	}
	m.packets -= packets
	if p, b := m.q.drop(n); p != uint64(packets) || b != uint64(size) {
		t.Fatalf("%d packets and %d bytes went, want %d and %d", p, b, packets, size)
	}
}

func (m *queueModel) trim(t *rapid.T) {
	first := m.q.first()
	if first == nil {
		return
	}
	n := rapid.Uint32Range(0, first.n-1).Draw(t, "bytes")
	from := first.seq
	if got := m.q.trimFront(from + n); got != int(n) {
		t.Fatalf("%d bytes were cut off, want %d", got, n)
	}
	m.gone(from, from+n)
	if first.seq != from+n || n > 0 && first.first {
		t.Fatalf("the first entry is %+v, want it to begin at %d inside of a segment", first, from+n)
	}
	if m.q.trimFront(first.end()) != 0 || m.q.trimFront(first.seq) != 0 {
		t.Fatal("what is before or behind the first entry as a whole was cut")
	}
}

func TestSendQueue(t *testing.T) {
	content := pattern(modelSpan)
	rapid.Check(t, func(t *rapid.T) {
		m := &queueModel{
			origin: rapid.SampledFrom([]uint32{0, 1 << 31, 1<<32 - modelSpan/2}).Draw(t, "origin"),
			bytes:  map[uint32]byte{}, sent: map[uint32]bool{},
		}
		if rapid.Bool().Draw(t, "pooled") {
			m.q.pool = new(entryPool)
		}
		offset := rapid.Custom(func(t *rapid.T) uint32 {
			if last := m.q.last(); last != nil && rapid.Bool().Draw(t, "in order") {
				return min(last.end()-m.origin, modelSpan-1)
			}
			return rapid.Uint32Range(0, modelSpan-1).Draw(t, "offset")
		})
		t.Repeat(map[string]func(*rapid.T){
			"": m.agrees,
			"store": func(t *rapid.T) {
				off := offset.Draw(t, "at")
				n := rapid.Uint32Range(1, min(modelSpan-off, 200)).Draw(t, "bytes")
				// What comes twice need not be the same: the first wins.
				payload := bytes.Repeat(content[off:off+1], int(n))
				m.store(off, payload, rapid.Uint32Range(1, 2).Draw(t, "ack"))
			},
			"scatter": m.scatter,
			"pop":     m.pop,
			"trim":    m.trim,
			"lacks": func(t *rapid.T) {
				off := offset.Draw(t, "at")
				m.lacks(t, off, rapid.Uint32Range(1, modelSpan-off).Draw(t, "bytes"))
			},
			"send": func(t *rapid.T) {
				for range rapid.SampledFrom([]int{1, 10, 1000}).Draw(t, "entries") {
					if m.q.unsent != nil {
						m.send(m.q.unsent)
					}
				}
			},
			"resend": func(*rapid.T) {
				m.q.resend()
				clear(m.sent)
			},
			"moved": func(*rapid.T) {
				m.q = m.q.moved()
				clear(m.sent)
			},
		})
		m.q.drop(m.q.len())
	})
}

// The entries of a queue that stays short are used again.
func TestSendQueueReusesEntries(t *testing.T) {
	q := sendQueue{entryList: entryList{pool: new(entryPool)}}
	seq := uint32(0)
	next := func() {
		before, from, to, ok := q.lacks(seq, seq+100)
		if !ok {
			t.Fatal("a new segment is a duplicate")
		}
		q.markSent(q.insert(before, entry{seq: from, n: to - from}))
		seq = to
	}
	for range 8 {
		next()
	}
	if n := testing.AllocsPerRun(1000, func() { next(); q.pop() }); n > 0 {
		t.Errorf("%v allocations for each segment, want none", n)
	}
}

// What a burst of segments brought is not kept when they have gone.
func TestSendQueueLetsGo(t *testing.T) {
	q := sendQueue{entryList: entryList{pool: new(entryPool)}}
	s := new(Stack)
	order := rand.New(rand.NewPCG(1, 1)).Perm(3 * maxFreeEntries)
	for _, off := range order {
		seg := &segment{seq: uint32(off), payload: []byte{1}}
		before, from, to, _ := q.lacks(seg.seq, seg.seq+1)
		q.insert(before, s.carry(seg, from, to, 1))
	}
	q.drop(q.len())
	if q.ends.up != nil || q.ends.next != nil || q.unsent != nil || q.bytes+q.mem+q.count != 0 {
		t.Errorf("an empty queue holds %+v", q)
	}
	free := 0
	for e := q.pool.free; e != nil; e = e.next() {
		free++
		if e.bytes != (netstack.Payload{}) || slices.ContainsFunc(e.links.up[:cap(e.links.up)], func(n neighbors) bool { return n != neighbors{} }) {
			t.Fatalf("a free entry holds %+v", e)
		}
	}
	if free != maxFreeEntries {
		t.Errorf("%d free entries are kept, want %d", free, maxFreeEntries)
	}
}
