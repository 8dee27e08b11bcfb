package udp

import (
	"fmt"
	"runtime"
	"time"

	"netmirror/link"
)

// linkInterval is how often interfaces are looked at while nothing arrives: no socket is told that
// one is gone.
const linkInterval = time.Second

// wait returns when there may be something to receive, or with the error that ends the
// capture. now is the time.
func (r *Receiver) wait(now time.Time) error {
	dense := r.dense(now)
	r.got, r.waited, r.paused = 0, now, dense
	if r.busyPoll(now) {
		return nil
	}
	if dense {
		return waitError(r.sleeper.UntilAlarm(now.Add(r.pause), r.stopped))
	}
	var until time.Time
	if len(r.group.indexes) > 0 {
		until = now.Add(linkInterval)
	}
	if err := r.sleeper.UntilEvent(until, r.awake); err != nil {
		return waitError(err)
	}
	if until.IsZero() || time.Now().Before(until) {
		return nil
	}
	return r.checkLinks()
}

// dense says whether packets come so closely that waking up for each takes more than what
// is to be done for it: the reader then looks away for a while.
func (r *Receiver) dense(now time.Time) bool {
	if r.paused {
		return r.got > 1
	}
	return r.got > 0 && now.Sub(r.waited) < r.pause
}

// busyPoll looks for packets over and over for Config.BusyPoll, and lets other goroutines
// run in between. It is true when something came.
func (r *Receiver) busyPoll(now time.Time) bool {
	if r.cfg.BusyPoll == 0 {
		return false
	}
	for end := now.Add(r.cfg.BusyPoll); !r.stopping.Load() && time.Now().Before(end); runtime.Gosched() {
		for _, s := range r.sockets {
			if m, err := s.memory(); err == nil && m.used > 0 {
				return true
			}
		}
	}
	return false
}

func waitError(err error) error {
	if err != nil {
		err = fmt.Errorf("waiting for packets: %w", err)
	}
	return err
}

// checkLinks sees whether one of the interfaces is gone, which ends the capture.
func (r *Receiver) checkLinks() error {
	for i, index := range r.group.indexes {
		if _, err := link.Up(r.sockets[0].fd, index); err != nil {
			return fmt.Errorf("%w: %s was removed while capturing; start again when it is back", err, r.cfg.Interfaces[i])
		}
	}
	return nil
}
