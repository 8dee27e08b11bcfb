package tap

import (
	"slices"
	"sync"
	"time"
)

const (
	// fastest is more than comes in during a pause, in bytes a second: 20 Gbit/s. A
	// ring has to have room for that, and not to run out of blocks.
	fastest  = 2_500_000_000
	minPaced = 16 // blocks
	longest  = 20 * time.Millisecond
	// maxPauses is after how many in a row a block is waited for once, to see when
	// the kernel closes them.
	maxPauses = 64
)

// pacer has the readers of a group look away from their rings. Where blocks follow
// one another closely, waking up takes more than what is in them: it is done for two
// blocks at a time, and for all rings together, by the one of the readers that has
// the timer. A pause is as long as two blocks are open that are not full, and the
// first of a row begins when one has just been closed, so that each of them ends
// just after.
type pacer struct {
	pauses time.Duration // how long each is; 0: there is none

	mu    sync.Mutex
	last  time.Time // when the block before began, by the kernel's wall clock
	dense time.Time // when two that are close to one another were read last
	begin time.Time // when the row of pauses begins; zero: at the next block
	until time.Time // when the pause that runs ends, or the last one ended
	row   int       // pauses since begin
	timed bool      // one of the readers has the timer
	away  []*Ring   // whose readers rely on it
}

// block takes note of a block that began at a time and is read now.
func (p *pacer) block(at, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	// Those of two rings may come in any order.
	if at.Sub(p.last).Abs() < p.pauses {
		p.dense = now
	}
	p.last = at
	if p.begin.IsZero() {
		p.begin = now
	}
}

// next says whether nobody needs to look before until. p.mu is held.
func (p *pacer) next(now time.Time) bool {
	if p.begin.IsZero() || now.Sub(p.dense) >= 2*p.pauses || p.row == maxPauses {
		p.begin, p.row = time.Time{}, 0
		return false
	}
	if !now.Before(p.until) {
		p.row++
		p.until = p.begin.Add((now.Sub(p.begin)/p.pauses + 1) * p.pauses)
	}
	return true
}

// pause keeps the reader of r, in which there is no block, away as long as nobody
// needs to look. It reports false where it did not.
func (p *pacer) pause(r *Ring, now time.Time) (bool, error) {
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
		p.away = slices.DeleteFunc(p.away, func(a *Ring) bool { return a == r })
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
		p.call((*Ring).pending)
		again = again && err == nil && !r.pending() && !r.stopping.Load()
	}
	p.timed = false
	p.call(func(*Ring) bool { return true }) // the first to come back has the timer
	return true, err
}

// call has the readers look that are away and meet a condition. p.mu is held.
func (p *pacer) call(which func(*Ring) bool) {
	p.away = slices.DeleteFunc(p.away, func(a *Ring) bool {
		if !which(a) {
			return false
		}
		a.callBack()
		return true
	})
}

// paced is how long the pauses are where each ring is as the configuration says; 0:
// there are none.
func (c Config) paced() time.Duration {
	pauses := 2 * c.BlockTimeout
	if c.BusyPoll > 0 || pauses > longest || c.RingBytes/c.BlockBytes < minPaced ||
		float64(c.RingBytes) < fastest*pauses.Seconds() {
		return 0
	}
	return pauses
}
