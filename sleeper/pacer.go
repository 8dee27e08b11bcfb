package sleeper

import (
	"slices"
	"sync"
	"time"
)

// maxPauses is after how many in a row a block is waited for once, to see when the
// kernel closes them.
const maxPauses = 64

// enough is how many blocks have to follow another one closely before the first pause. A short
// connection, and nothing beside it, makes two or three. The pauses behind them would wake the
// readers for nothing.
const enough = 3

// Pacer batches the wake-ups of a group's readers. If blocks follow one another closely,
// waking up costs more than processing them. Then the readers pause for some block timeouts
// at a time, and one of them, which has the timer, wakes all others. The first pause of a row
// begins when a block has just been closed, so each pause ends just after another one was.
type Pacer struct {
	Pauses time.Duration // how long each is; 0: there is none. Set before the first use

	mu    sync.Mutex
	last  time.Time // when the block before began, by the kernel's wall clock
	dense time.Time // when two that are close to one another were read last
	begin time.Time // when the row of pauses begins; zero: at the next block
	until time.Time // when the pause that runs ends, or the last one ended
	run   int       // blocks that followed the one before closely, up to enough
	row   int       // pauses since begin
	timed bool      // one of the readers has the timer
	away  []*Paced  // who rely on it
}

// Paced is one of the readers of a group.
type Paced struct {
	sleeper  *Sleeper
	ready    func() bool
	stopping func() bool
	stopped  func(bool) bool // stopping, made once
	look     chan struct{}   // holds a token when the reader is not to wait for another's timer
}

// Paced gives a reader that sleeps on s. ready tells whether there is something to read, and
// stopping whether the reader is to come back in any case; any reader's goroutine calls them.
func (s *Sleeper) Paced(ready, stopping func() bool) *Paced {
	return &Paced{s, ready, stopping, func(bool) bool { return stopping() }, make(chan struct{}, 1)}
}

// CallBack ends the pause of a reader that waits for another one's timer. Any goroutine may
// call it.
func (r *Paced) CallBack() {
	select {
	case r.look <- struct{}{}:
	default:
	}
}

// Block notes that a block, which began at at, is read now. It waits for no other reader: if
// it misses a block, the pauses begin later, at worst.
func (p *Pacer) Block(at, now time.Time) {
	if !p.mu.TryLock() {
		return
	}
	defer p.mu.Unlock()
	// Those of two rings may come in any order.
	switch near := at.Sub(p.last).Abs() < p.Pauses; {
	case near && p.run == enough:
		p.dense = now
	case near:
		p.run++
	case p.row == 0:
		p.run = 0
	}
	p.last = at
	if p.begin.IsZero() {
		p.begin = now
	}
}

// next says whether nobody needs to look before until. p.mu is held.
func (p *Pacer) next(now time.Time) bool {
	if p.begin.IsZero() || now.Sub(p.dense) >= 2*p.Pauses || p.row == maxPauses {
		p.begin, p.row = time.Time{}, 0
		return false
	}
	if !now.Before(p.until) {
		p.row++
		p.until = p.begin.Add((now.Sub(p.begin)/p.Pauses + 1) * p.Pauses)
	}
	return true
}

// Pause makes r, for which there is no block, wait until a reader has something to do. It
// reports false if no pause is due.
func (p *Pacer) Pause(r *Paced, now time.Time) (bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.next(now) {
		return false, nil
	}
	if p.timed {
		p.away = append(p.away, r)
		p.mu.Unlock()
		<-r.look
		p.mu.Lock()
		p.away = slices.DeleteFunc(p.away, func(a *Paced) bool { return a == r })
		return true, nil
	}
	p.timed = true
	var err error
	for again := true; again; {
		until := p.until
		p.mu.Unlock()
		err = r.sleeper.UntilAlarm(until, r.stopped)
		p.mu.Lock()
		again = p.next(time.Now())
		p.call(func(a *Paced) bool { return a.ready() })
		again = again && err == nil && !r.ready() && !r.stopping()
	}
	p.timed = false
	p.call(func(*Paced) bool { return true }) // the first to come back has the timer
	return true, err
}

// call ends the pause of each reader that meets a condition. p.mu is held.
func (p *Pacer) call(which func(*Paced) bool) {
	p.away = slices.DeleteFunc(p.away, func(a *Paced) bool {
		if !which(a) {
			return false
		}
		a.CallBack()
		return true
	})
}

// Pausing reports whether a reader has the timer.
func (p *Pacer) Pausing() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.timed
}
