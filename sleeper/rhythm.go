package sleeper

import "time"

const (
	// Latest is how long events that are not urgent may go unnoticed while a loop is woken for
	// others.
	Latest = 20 * time.Millisecond
	// often is the number of wake-ups in that time beyond which a loop is not woken for such
	// events.
	often = 5
)

// Rhythm tells whether a loop is woken often. If so, it need not be woken for events that can
// be fetched with the next ones. Its zero value is ready. It is for the loop's goroutine.
type Rhythm struct {
	since int64 // the time at hand, in the loop's time
	wakes int   // in it
	busy  bool  // in the one before
}

// Calm notes that the loop goes to sleep, at a time in nanoseconds by any clock, and reports
// whether it is not woken often.
func (r *Rhythm) Calm(now int64) bool {
	r.wakes++
	if now-r.since >= int64(Latest) {
		r.busy = r.wakes > often && now-r.since < 2*int64(Latest)
		r.since, r.wakes = now, 0
	}
	return !r.busy
}
