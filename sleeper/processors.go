package sleeper

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// busyRate is how many bytes a second are too much for one core: 2 Gbit/s, of
	// which one does several times as much where nothing else keeps it from it.
	busyRate = 250_000_000
	// busyFor is what the rate is taken over, and how long batches may go on to leave
	// another one waiting. What waits because this process was kept from running is
	// worked off sooner.
	busyFor = 10 * time.Millisecond
	// busyAge is how long a packet may wait beyond what it is asked to. Where others
	// had the one core all that time, the ring runs empty soon when it is its turn.
	busyAge = 50 * time.Millisecond
	// quietAfter is how long load must stay low before the process is limited to one core.
	// It doubles each time that this proves wrong within a minute, up to maxQuiet.
	quietAfter = 5 * time.Second
	maxQuiet   = 5 * time.Minute
)

// Processors limits the process to one core while that is enough.
type Processors struct {
	all   int           // how many there may be
	fixed bool          // all are in use for good
	set   func(int)     // runtime.GOMAXPROCS
	late  time.Duration // the age at which a packet shows that one is not enough

	begin time.Time
	busy  atomic.Int64 // when there was last too much for one, since begin

	one atomic.Bool // only one is in use

	bytes    atomic.Int64 // since from
	counting sync.Mutex   // guards from
	from     time.Time    // since when bytes were counted

	mu    sync.Mutex // guards changes of one, and the fields below
	quiet time.Duration
	since time.Duration // when one was chosen, since begin
}

// NewProcessors begins with all cores that the runtime uses. With fixed, that never changes.
// wait is how long a source may let a packet wait.
func NewProcessors(fixed bool, wait time.Duration) *Processors {
	p := &Processors{
		fixed: fixed, all: runtime.GOMAXPROCS(0), set: func(n int) { runtime.GOMAXPROCS(n) },
		late: busyAge + 4*wait, begin: time.Now(),
	}
	p.busy.Store(-int64(quietAfter))
	return p
}

// Load is what one capture loop has to do.
type Load struct {
	behind time.Time // since when each batch left another one waiting; zero: the last did not
}

// Batch notes a batch of so many bytes. age is how long ago its first packet was captured,
// and more says that another batch waits. If one core is not enough, Batch gives all cores
// back.
func (p *Processors) Batch(l *Load, bytes int, age time.Duration, more bool, now time.Time) {
	switch {
	case !more:
		l.behind = time.Time{}
	case l.behind.IsZero():
		l.behind = now
	}
	if !p.fast(bytes, now) && age < p.late && (l.behind.IsZero() || now.Sub(l.behind) < busyFor) {
		return
	}
	p.busy.Store(int64(now.Sub(p.begin)))
	if p.one.Load() {
		p.useAll(now)
	}
}

// fast counts bytes and says whether those of all capture loops come faster than
// busyRate.
func (p *Processors) fast(bytes int, now time.Time) bool {
	p.bytes.Add(int64(bytes))
	if !p.counting.TryLock() {
		return false // another loop looks
	}
	defer p.counting.Unlock()
	took := now.Sub(p.from)
	if took < busyFor {
		return false
	}
	p.from = now
	return float64(p.bytes.Swap(0)) >= busyRate*took.Seconds()
}

// Look limits the process to one core after a time in which one would have been enough.
func (p *Processors) Look(now time.Time) {
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

func (p *Processors) useAll(now time.Time) {
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
