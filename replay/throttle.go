package replay

import (
	"context"
	"time"
)

// Load is how much the pipeline has to do.
type Load struct {
	Held   int64  // bytes that wait for a missing packet or for the target
	Ending int    // connections that their clients have ended, and that are not delivered to their ends
	Conns  int    // connections to the target that are open
	Done   uint64 // grows with every byte that a target has taken and every connection that has ended
}

// Waiting is what a load waits for.
type Waiting struct {
	Target int64 // bytes of it that wait for the target
	Alive  int   // connections that have not ended in the file
}

// Backlog tells of the pipeline behind a file, and from when on the file has to wait
// for it.
type Backlog struct {
	Load func() Load // is asked often
	// Waiting is asked where nothing is done while the load is too much.
	Waiting func() Waiting

	MaxHeld  int64
	MaxConns int
}

const (
	throttleEvery = time.Millisecond // between two looks at a load that is too much
	// throttlePatience is how long nothing is done before it is asked what is waited
	// for.
	throttlePatience = 100 * time.Millisecond
	// pauseLeast is the shortest pause in a capture that is kept, in part.
	pauseLeast = 10 * time.Millisecond
	// pauseMost is how much of one is kept.
	pauseMost = 100 * time.Millisecond
	// throttleStep is the part of the limits that is read between two looks.
	throttleStep = 8
)

// throttle keeps a file from being read faster than it can be forwarded. It looks at
// the load only when what was read since the last look could have made it too much.
type throttle struct {
	Backlog       // Load is nil: nothing is waited for
	bytes   int64 // that may be read before the next look
	conns   int   // that may begin before the next look
}

// wait waits until there is room for the frames, or ctx ends, whose error it gives.
func (t *throttle) wait(ctx context.Context, frames [][]byte) error {
	for _, f := range frames {
		t.bytes -= int64(len(f))
	}
	t.conns -= len(frames) // each may begin one
	if t.Load == nil || t.bytes > 0 && t.conns > 0 {
		return ctx.Err()
	}
	tick := time.NewTicker(throttleEvery)
	defer tick.Stop()
	last, since := t.Load(), time.Now()
	for now := last; !t.admit(now); now = t.Load() {
		if now.Done != last.Done {
			last, since = now, time.Now()
		}
		if time.Since(since) >= throttlePatience {
			if t.needed(now) {
				return ctx.Err()
			}
			since = time.Now()
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return ctx.Err()
}

// pause is a pause in the capture, of which what was captured before takes as much as it
// needs to be delivered. Where a connection is opened again on its ports, or goes on
// after a packet is lost, it matters how far its stream has got.
func (t *throttle) pause(ctx context.Context, length time.Duration) error {
	if t.Load == nil || length < pauseLeast {
		return ctx.Err()
	}
	over := time.NewTimer(min(length, pauseMost))
	defer over.Stop()
	tick := time.NewTicker(throttleEvery)
	defer tick.Stop()
	for l := t.Load(); l.Held > 0 || l.Ending > 0; l = t.Load() {
		select {
		case <-tick.C:
		case <-over.C:
			return ctx.Err()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return ctx.Err()
}

// admit says whether there is room, and takes it: a look for each few bytes near the
// limit would cost more than it brings.
func (t *throttle) admit(l Load) bool {
	t.bytes, t.conns = t.MaxHeld-l.Held, t.MaxConns-l.Conns
	return t.bytes >= t.MaxHeld/throttleStep && t.conns >= t.MaxConns/throttleStep
}

// needed says whether the file has to go on though the load is too much, because
// nothing else can make it less: a missing packet is given up by the file's time, and
// connections that are open in the file end there.
func (t *throttle) needed(l Load) bool {
	w := t.Waiting()
	if w.Target >= t.MaxHeld/2 || l.Conns-w.Alive >= t.MaxConns/throttleStep {
		return false
	}
	t.bytes, t.conns = t.MaxHeld/throttleStep, max(t.MaxConns/throttleStep, 1)
	return true
}
