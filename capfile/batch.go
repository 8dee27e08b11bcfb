package capfile

import (
	"math"
	"time"
)

const (
	batchFrames = 64
	batchBytes  = 1 << 20
	// batchTime is short: if a client's packets and the server's answer came in one batch, the
	// answer would be judged before the stream has taken what it answers.
	batchTime = 100 * time.Microsecond
	// maxBackstep is how far times may go back without counting as a step of the clock.
	// Packets of several interfaces or cores are written a little out of order.
	maxBackstep = time.Second
)

// latest is the last time whose Unix nanoseconds fit into 64 bits.
var latest = time.Unix(0, math.MaxInt64)

// Batch is at most 64 packets that were captured within 0.1 ms. A packet does not wait for
// others that a pipe may bring later.
type Batch struct {
	// Time is when the first packet was captured. It never goes back from batch to batch. A
	// packet with an earlier time than the one in front of it gets that one's time. If the
	// clock was set back, which a second packet has to show, time goes on from there.
	Time time.Time
	// Frames are the packets, as [Packet.Data] is, and Lengths their Lengths. They
	// are valid until the next call of Read.
	Frames  [][]byte
	Lengths []int
}

// Batcher reads a Reader's packets in batches.
type Batcher struct {
	r      *Reader
	next   Packet // that did not belong into the last batch
	at     time.Time
	more   bool // next is one
	err    error
	memory []byte

	last    time.Time     // the latest time given
	shift   time.Duration // from the file's clock to the times given
	stepped time.Duration // by how much the packet before has changed it
}

// NewBatcher makes a Batcher, which alone may call r.Next from then on.
func NewBatcher(r *Reader) *Batcher { return &Batcher{r: r} }

// Read gives the next batch, which is not empty. The error is that of [Reader.Next],
// after the last batch.
func (b *Batcher) Read(batch *Batch) error {
	batch.Frames, batch.Lengths = batch.Frames[:0], batch.Lengths[:0]
	b.memory = b.memory[:0]
	for (len(batch.Frames) == 0 || b.more || b.r.Ready()) && b.fetch() && b.fits(batch) {
		if len(batch.Frames) == 0 {
			batch.Time = b.at
		}
		start := len(b.memory)
		b.memory = append(b.memory, b.next.Data...)
		batch.Frames = append(batch.Frames, b.memory[start:len(b.memory):len(b.memory)])
		batch.Lengths = append(batch.Lengths, b.next.Length)
		b.more = false
	}
	if len(batch.Frames) == 0 {
		return b.err
	}
	return nil
}

// fetch reads a packet into next, unless none is left.
func (b *Batcher) fetch() bool {
	if b.more {
		return true
	}
	if b.err != nil {
		return false
	}
	if b.err = b.r.Next(&b.next); b.err != nil {
		return false
	}
	b.more = true
	b.at = b.forward(b.next.Time)
	return true
}

// fits reports whether the next packet belongs in the batch.
func (b *Batcher) fits(batch *Batch) bool {
	if len(batch.Frames) == 0 {
		return true
	}
	return len(batch.Frames) < batchFrames && len(b.memory)+len(b.next.Data) <= batchBytes && b.at.Sub(batch.Time) < batchTime
}

// forward turns the file's time into one that never goes back.
func (b *Batcher) forward(at time.Time) time.Time {
	if back := b.stepped; back != 0 {
		// One packet alone may have no time, or a wrong one. The clock was not set back if
		// the next packet goes on where those before that one were.
		b.stepped = 0
		if at.Add(b.shift-back).Sub(b.last).Abs() < at.Add(b.shift).Sub(b.last).Abs() {
			b.shift -= back
		}
	}
	if at = at.Add(b.shift); at.After(latest) {
		at = latest
	}
	if back := b.last.Sub(at); back > 0 && !b.last.IsZero() {
		if back > maxBackstep {
			b.shift += back
			b.stepped = back
		}
		return b.last
	}
	b.last = at
	return at
}
