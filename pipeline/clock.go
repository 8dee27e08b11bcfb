package pipeline

import "time"

// clock is the time of what is captured.
type clock struct{}

func (c *clock) now() time.Time { return time.Now() }
