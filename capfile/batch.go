package capfile

import (
	"math"
	"time"
)

const (
	batchFrames = 64
	batchBytes  = 1 << 20
	// batchTime is short: where a client's packets and the server's answer to them come
	// in one batch, the answer is judged before the stream has taken what it answers to.
	batchTime = 100 * time.Microsecond
	// maxBackstep is how far times may go back without that being a step of the
	// clock: packets of several interfaces or cores are written a little out of order.
	maxBackstep = time.Second
)

// latest is the last time of which Unix nanoseconds fit into 64 bits.
var latest = time.Unix(0, math.MaxInt64)

// Batch is packets that were captured within 0.1 ms, 64 at most. A packet does not
// wait for others that a pipe may bring later.
type Batch struct {
	// Time is that of the first. It never goes back from batch to batch: a packet
	// that was captured before the one in front of it counts as captured with it,
	// and where the clock was set back, time goes on from there.
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

	last  time.Time     // the latest time given
	shift time.Duration // from the file's clock to the times given
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

// fetch has a packet in next, unless there is none any more.
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

// fits says whether the next packet belongs into the batch.
func (b *Batcher) fits(batch *Batch) bool {
	if len(batch.Frames) == 0 {
		return true
	}
	return len(batch.Frames) < batchFrames && len(b.memory)+len(b.next.Data) <= batchBytes && b.at.Sub(batch.Time) < batchTime
}

// forward is the file's time made one that does not go back.
func (b *Batcher) forward(at time.Time) time.Time {
	if at = at.Add(b.shift); at.After(latest) {
		at = latest
	}
	if back := b.last.Sub(at); back > 0 && !b.last.IsZero() {
		if back > maxBackstep {
			b.shift += back
		}
		return b.last
	}
	b.last = at
	return at
}
