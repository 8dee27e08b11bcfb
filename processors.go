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
	// do.
	quietAfter = 5 * time.Second
)

// processors has the process run on one core while that is enough. Go wakes an idle
// core for everything that becomes ready to run, and at a few thousand packets a
// second, where each batch is a hand of packets, the waking costs more than the
// work.
type processors struct {
	all int       // how many there may be
	set func(int) // runtime.GOMAXPROCS

	busy atomic.Int64 // when there was last too much for one, Unix nanoseconds

	mu  sync.Mutex  // guards changes of one
	one atomic.Bool // only one is in use
}

// newProcessors has all that the runtime has, until the first look.
func newProcessors() *processors {
	return &processors{all: runtime.GOMAXPROCS(0), set: func(n int) { runtime.GOMAXPROCS(n) }}
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
	p.busy.Store(now.UnixNano())
	if p.one.Load() {
		p.use(p.all)
	}
}

// look takes all processors but one away after a time that one would have done
// for.
func (p *processors) look(now time.Time) {
	if p.all > 1 && !p.one.Load() && now.Sub(time.Unix(0, p.busy.Load())) >= quietAfter {
		p.use(1)
	}
}

func (p *processors) use(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.one.Swap(n == 1) != (n == 1) {
		p.set(n)
	}
}
