package pipeline

import (
	"sync/atomic"
	"time"

	"netmirror/source"
)

// clock is the time by which packets are judged: the host's, or the stamps' of a source
// that has its own.
type clock struct {
	stamp atomic.Pointer[time.Time] // of the batch at hand; nil: the host's
}

func (c *clock) now() time.Time {
	if at := c.stamp.Load(); at != nil {
		return *at
	}
	return time.Now()
}

// follow takes the time from a source with stamps, whose batch is at hand. It does not
// go back. It is false for another source.
func (c *clock) follow(src source.Source) (at time.Time, stamped bool) {
	if src.Clock() != source.Stamps {
		return time.Time{}, false
	}
	at = src.BatchTime()
	if was := c.stamp.Load(); was != nil && at.Before(*was) {
		at = *was
	}
	c.stamp.Store(&at)
	return at, true
}
