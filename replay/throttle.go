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

// Waiting says what a load waits for.
type Waiting struct {
	Target int64 // bytes of it that wait for the target
	Alive  int   // connections that have not ended in the file
}

// Backlog tells how much the pipeline behind a file has to do, and from which amount on the
// file has to wait.
type Backlog struct {
	Load func() Load // is asked often
	// Waiting is called if nothing happens while the load is too high.
	Waiting func() Waiting

	MaxHeld  int64
	MaxConns int
}

const (
	throttleEvery = time.Millisecond // between two looks at a load that is too much
	// throttlePatience is how long nothing may happen before Waiting is called.
	throttlePatience = 100 * time.Millisecond
	// pauseLeast is the shortest pause in a capture that a replay waits in.
	pauseLeast = 10 * time.Millisecond
	// pauseMost is how long it waits in a pause.
	pauseMost = 100 * time.Millisecond
	// throttleStep is the part of the limits that may be read between two looks at the load.
	throttleStep = 8
)

// throttle keeps a file from being read faster than it can be forwarded. It looks at the load
// only when the bytes read since the last look could have made it too high.
type throttle struct {
	Backlog       // Load is nil: nothing is waited for
	bytes   int64 // that may be read before the next look
	conns   int   // that may begin before the next look
}

// wait waits until there is room for the frames, or until ctx ends, whose error it returns.
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

// pause waits during a pause in the capture until what was captured before it is delivered, at
// most as long as the pause. How far a stream has got matters if its connection is opened
// again on the same ports, or goes on after a lost packet.
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

// admit reports whether there is room, and takes it. Near the limit, looking again after every
// few bytes would cost more than it gains.
func (t *throttle) admit(l Load) bool {
	t.bytes, t.conns = t.MaxHeld-l.Held, t.MaxConns-l.Conns
	return t.bytes >= t.MaxHeld/throttleStep && t.conns >= t.MaxConns/throttleStep
}

// needed reports whether the file has to go on although the load is too high, because nothing
// else can lower it: a missing packet is given up by the file's time, and connections that are
// open in the file end there.
func (t *throttle) needed(l Load) bool {
	w := t.Waiting()
	if w.Target >= t.MaxHeld/2 || l.Conns-w.Alive >= t.MaxConns/throttleStep {
		return false
	}
	t.bytes, t.conns = t.MaxHeld/throttleStep, max(t.MaxConns/throttleStep, 1)
	return true
}
