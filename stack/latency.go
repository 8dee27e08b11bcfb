package stack

import (
	"sync/atomic"
	"time"
)

// stopwatch measures how long one byte of a stream is on its way, from its
// capture until the reader has passed it on; then the next one. It is started
// under Stack.mu and stopped by the stream's reader.
type stopwatch struct {
	seq atomic.Uint32 // the place behind the byte, as Conn.position counts
	at  atomic.Int64  // when it was captured, since Stack.epoch; 0 while it stands
}

func (w *stopwatch) running() bool { return w.at.Load() != 0 }

func (w *stopwatch) start(seq uint32, at time.Duration) {
	w.seq.Store(seq)
	w.at.Store(int64(max(at, 1)))
}

// cancel stops the stopwatch: its byte has been passed on, or the stream's sequence numbers
// have moved.
func (w *stopwatch) cancel() { w.at.Store(0) }

// timed starts the stopwatch at the end of what came just now, where latencies
// are wanted.
func (s *Stack) timed(f *flow, end uint32) {
	if s.cfg.Latency != nil && !f.watch.running() {
		f.watch.start(end-f.virtual.shift, s.captured.Sub(s.epoch))
	}
}

// passedOn is called when the reader has done with what it read last.
func (c *Conn) passedOn() {
	w := &c.flow.watch
	if w.running() && !seqLess(c.position(), w.seq.Load()) {
		c.stack.cfg.Latency(c.stack.cfg.Now().Sub(c.stack.epoch) - time.Duration(w.at.Load()))
		w.cancel()
	}
}
