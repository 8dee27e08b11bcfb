package bridge

import (
	"cmp"
	"log/slog"
	"sync"
	"time"

	"netmirror/outcome"
	"netmirror/target"
)

const (
	// outagePeriod is the time between two warnings about a cause that lasts.
	outagePeriod = time.Minute
	// maxRelapses is how often in that time a cause that is over may begin anew and be told of.
	// After that it counts as one that lasts.
	maxRelapses = 3
)

// outage turns streams that got no connection into a bounded log: for each cause
// a warning at first, one a minute while it lasts, and a line when it is over.
type outage struct {
	log    *slog.Logger
	target string
	health health

	mu    sync.Mutex // guards the fields below
	spell [len(causes)]spell
	name  spell // of look-ups that fail while addresses are known
}

// spell is how long a cause has been keeping streams from the target.
type spell struct {
	down     bool      // a warning is the last that was logged
	refusal  uint64    // streams given up since the last warning
	next     time.Time // no warning before, but for relapses
	relapses int       // how often it has begun anew before next
}

// flaps reports whether a cause comes and goes so often that it counts as one that lasts.
func (s *spell) flaps(now time.Time) bool { return s.relapses == maxRelapses && now.Before(s.next) }

// causes are why a stream gets no connection, in words.
var causes = [...]struct {
	end                 outcome.End
	begins, lasts, over string
	do                  string
	untried             string // in place of begins, where no stream has come yet; "": the same
}{
	{outcome.EndTargetRefused, "target does not answer", "target still does not answer", "target answers again", "",
		"target does not answer; its streams are given up until it does"},
	{outcome.EndNoDescriptor, "no file descriptor is left to connect to the target with", "still no file descriptor is left to connect to the target with",
		"there are file descriptors for the target's connections again",
		outcome.EndNoDescriptor.Words().Remedy, ""},
	{outcome.EndNoPort, "no local port is left to connect to the target from", "still no local port is left to connect to the target from",
		"there are local ports for the target's connections again",
		outcome.EndNoPort.Words().Remedy, ""},
}

// refused notes that a stream got no connection.
func (o *outage) refused(now time.Time, err error) { o.failed(now, err, 1) }

// failed notes that so many streams got no connection.
func (o *outage) failed(now time.Time, err error, streams uint64) {
	why := dialEnd(err)
	if why == outcome.EndTargetRefused {
		o.health.note(now, err)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for i := range causes {
		if causes[i].end == why {
			o.warn(i, now, err, streams)
		}
	}
}

// warn counts streams of a cause, and logs it if it is time. o.mu is held.
func (o *outage) warn(i int, now time.Time, err error, streams uint64) {
	s, c := &o.spell[i], &causes[i]
	s.refusal += streams
	relapse := now.Before(s.next)
	if relapse && s.down {
		return
	}
	msg := c.begins
	switch {
	case s.down:
		msg = c.lasts
	case streams == 0:
		msg = cmp.Or(c.untried, c.begins)
	}
	o.log.Warn(msg, "dst", o.target, "streams", s.refusal, "err", err, "do", cmp.Or(c.do, target.Remedy(err)))
	if relapse {
		s.down, s.refusal, s.relapses = true, 0, s.relapses+1
		return
	}
	*s = spell{down: true, next: now.Add(outagePeriod)}
}

// answered notes that the target took a connection.
func (o *outage) answered(now time.Time) {
	o.health.note(now, nil)
	o.mu.Lock()
	defer o.mu.Unlock()
	for i := range o.spell {
		if s := &o.spell[i]; s.down && !s.flaps(now) {
			s.down = false
			o.log.Info(causes[i].over, "dst", o.target, "streams_refused_since_warning", s.refusal)
		}
	}
}

// unnamed notes that a look-up of the target's name failed, and that its streams go where they
// went before.
func (o *outage) unnamed(now time.Time, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if now.Before(o.name.next) {
		return
	}
	msg := "target's name cannot be looked up; its addresses from before are used"
	if o.name.down {
		msg = "target's name still cannot be looked up; its addresses from before are used"
	}
	o.log.Warn(msg, "dst", o.target, "err", err, "do", target.Remedy(err))
	o.name = spell{down: true, next: now.Add(outagePeriod)}
}

// named notes that a look-up succeeded.
func (o *outage) named() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.name.down {
		o.name.down = false
		o.log.Info("target's name can be looked up again", "dst", o.target)
	}
}
