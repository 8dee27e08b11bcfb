package main

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// busyBytes in one batch is half of a block, which at --ring-wait 1ms means
	// half a Gbit/s.
	busyBytes = ringBlock / 2
	// busyStreak is how many batches in a row may leave another one waiting.
	busyStreak = 4
	// quietAfter is how long there must have been neither before one processor will
	// do. Each time that this has to be undone within a minute it doubles, up to
	// maxQuiet.
	quietAfter = 5 * time.Second
	maxQuiet   = 5 * time.Minute
)

// processors has the process run on one core while that is enough. Go wakes an idle
// core for everything that becomes ready to run, and at a few thousand packets a
// second, where each batch is a hand of packets, the waking costs more than the
// work.
type processors struct {
	all   int       // how many there may be
	fixed bool      // all are in use for good
	set   func(int) // runtime.GOMAXPROCS

	begin time.Time
	busy  atomic.Int64 // when there was last too much for one, since begin

	one atomic.Bool // only one is in use

	mu    sync.Mutex // guards changes of one, and the fields below
	quiet time.Duration
	since time.Duration // when one was chosen, since begin
}

// newProcessors has all that the runtime has, until the first look. A capture that
// polls (--busy-poll) needs one for itself.
func newProcessors(polls bool) *processors {
	p := &processors{fixed: polls, all: runtime.GOMAXPROCS(0), set: func(n int) { runtime.GOMAXPROCS(n) }, begin: time.Now()}
	p.busy.Store(-int64(quietAfter))
	return p
}

// load is what one capture loop has to do.
type load struct{ streak int }

// batch takes in a batch of so many bytes, behind which another one waits or not,
// and gives all processors back where it shows that one is not enough.
func (p *processors) batch(l *load, bytes int, more bool, now time.Time) {
	l.streak++
	if !more {
		l.streak = 0
	}
	if bytes < busyBytes && l.streak < busyStreak {
		return
	}
	p.busy.Store(int64(now.Sub(p.begin)))
	if p.one.Load() {
		p.useAll(now)
	}
}

// look takes all processors but one away after a time that one would have done
// for.
func (p *processors) look(now time.Time) {
	if p.fixed || p.all == 1 || p.one.Load() {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.quiet = max(p.quiet, quietAfter)
	if at := now.Sub(p.begin); at-time.Duration(p.busy.Load()) >= p.quiet {
		p.since = at
		p.one.Store(true)
		p.set(1)
	}
}

func (p *processors) useAll(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.one.Swap(false) {
		return
	}
	if now.Sub(p.begin)-p.since < time.Minute {
		p.quiet = min(2*p.quiet, maxQuiet)
	} else {
		p.quiet = quietAfter
	}
	p.set(p.all)
}
