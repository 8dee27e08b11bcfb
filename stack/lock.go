package stack

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"
)

// tableLock guards the flow table. The capture does not wait for it: a goroutine that has it
// may be kept from running for tens of milliseconds, by Go's scheduler or the kernel's.
// A batch that comes in that time is copied, and whoever has the lock takes it to the flows.
// Nor does serve wait for it: the mutex would be given to a goroutine that does not run yet.
//
// Lock and Unlock begin and end with what was handed over. So whoever takes the lock after
// InjectAt has returned finds its batch in the flows.
type tableLock struct {
	sync.Mutex
	of     *Stack
	newest atomic.Pointer[parcel] // what was handed over
	bytes  atomic.Int64           // memory of it
	asked  atomic.Bool            // serve has found the lock taken
}

// maxHandedOver is how many bytes may be handed over at a time, and handedOverShare the part
// of a small budget. The capture waits beyond it: packets are better left in the ring, which
// has a limit, and counts what it loses.
const (
	maxHandedOver   = 4 << 20
	handedOverShare = 16
)

// parcel is a batch that was handed over, with its packets in memory of its own.
type parcel struct {
	before   *parcel
	segments []Segment
	memory   []byte
	captured time.Time
}

// parcels are used again: while another goroutine has the lock, there are many.
var parcels = sync.Pool{New: func() any { return new(parcel) }}

// Lock waits for the lock, takes what was handed over to the flows, and pumps those that
// wait for another batch.
func (l *tableLock) Lock() {
	l.Mutex.Lock()
	l.unpack()
	l.of.pumpWaiting()
}

// Unlock does what others have asked the holder for, and releases the lock. What they ask for
// meanwhile is left to serve, or the holder would never come back to its own work.
func (l *tableLock) Unlock() {
	l.unpack()
	if l.asked.Load() {
		l.asked.Store(false)
		l.of.lookAfterFlows()
	}
	l.Mutex.Unlock()
	if l.newest.Load() != nil || l.asked.Load() {
		l.of.signal()
	}
}

// tryLook takes the lock for serve. Where it is taken, it reports false, and the holder looks
// after the flows.
func (l *tableLock) tryLook() bool {
	if !l.Mutex.TryLock() {
		l.asked.Store(true)
		if !l.Mutex.TryLock() {
			return false // the holder sees asked when it unlocks
		}
		l.asked.Store(false)
	}
	l.unpack()
	return true
}

// handOver leaves a batch to whoever has the lock. It reports false where too much waits.
func (l *tableLock) handOver(batch []Segment, captured time.Time) bool {
	if l.bytes.Load() >= min(maxHandedOver, int64(l.of.cfg.TotalBytes)/handedOverShare) {
		return false
	}
	p := parcels.Get().(*parcel)
	p.fill(batch, captured)
	l.bytes.Add(p.size())
	for p.before = l.newest.Load(); !l.newest.CompareAndSwap(p.before, p); {
		p.before = l.newest.Load()
	}
	if l.Mutex.TryLock() { // the holder may have looked before, for the last time
		l.Unlock()
	}
	return true
}

// fill copies a batch.
func (p *parcel) fill(batch []Segment, captured time.Time) {
	n := 0
	for i := range batch {
		n += len(batch[i].IP)
	}
	p.captured = captured
	p.segments = append(p.segments[:0], batch...)
	p.memory = slices.Grow(p.memory[:0], n)
	for i := range p.segments {
		from := len(p.memory)
		p.memory = append(p.memory, p.segments[i].IP...)
		p.segments[i].IP = p.memory[from:len(p.memory):len(p.memory)]
	}
}

func (p *parcel) size() int64 {
	return int64(len(p.memory)) + int64(len(p.segments))*int64(unsafe.Sizeof(Segment{}))
}

// unpack takes what was handed over to the flows, in the order in which it was. The lock is
// held.
func (l *tableLock) unpack() {
	if l.newest.Load() == nil {
		return
	}
	var oldest *parcel
	for p := l.newest.Swap(nil); p != nil; {
		p, p.before, oldest = p.before, oldest, p
	}
	for p := oldest; p != nil; {
		next := p.before
		l.of.late = l.of.read(p.segments, l.of.late)
		l.of.ingest(l.of.late, p.captured)
		l.of.pumpDirty()
		l.bytes.Add(-p.size())
		p.before = nil
		clear(p.segments)
		parcels.Put(p)
		p = next
	}
}
