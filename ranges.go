package main

import (
	"errors"
	"fmt"
	"time"
)

// check says what is wrong with the flags, one thing at a time, and what to write
// instead.
func (o *options) check() error {
	if err := o.checkRequired(); err != nil {
		return err
	}
	if err := o.checkMirror(); err != nil {
		return err
	}
	for _, c := range o.numbers() {
		if c.value < c.least || c.value > c.most {
			return fmt.Errorf("--%s %d: need %d to %d", c.flag, c.value, c.least, c.most)
		}
	}
	for _, c := range o.times() {
		if c.value < c.least || c.value > c.most {
			return c.wrong()
		}
	}
	if every := o.Reporting.StatsInterval; every > 0 && every < minStatsInterval {
		return fmt.Errorf("--stats-interval %v: need 0 or at least %v", every, minStatsInterval)
	}
	if _, ok := logLevels[o.Reporting.LogLevel]; !ok {
		return fmt.Errorf("log level %q: need off, error, warn, info, debug or trace", o.Reporting.LogLevel)
	}
	if o.Target.To == "" {
		return nil
	}
	return o.Target.check()
}

// minStatsInterval keeps the log from being nothing but figures.
const minStatsInterval = time.Millisecond

func (o *options) checkRequired() error {
	need := o.checking == nil // to check, all but the interface can be left to be found out
	switch {
	case o.Capture.Iface == "":
		return errors.New("no interface: give the one that the mirror packets arrive on with --iface")
	case need && len(o.Selection.VNI) == 0 && !o.mirror().Bare():
		return errors.New("no VNI: give the mirror session's VXLAN network identifier with --vni")
	case need && o.Selection.Port == 0:
		return errors.New("no port: give the service's original TCP port, 1 to 65535, with --port")
	case need && o.Target.To == "":
		return errors.New("no target: give the shadow service as --to HOST:PORT")
	}
	return nil
}

// number is a flag's value and what it may be.
type number struct {
	flag               string
	value, least, most int
}

// numbers are the flags that have a number. No product of theirs is more than an
// int can hold; the least of a budget is what the smallest use takes.
func (o *options) numbers() []number {
	b := &o.Budgets
	return []number{
		{"ring-mib", o.Capture.RingMiB, 1, 2048},
		{"max-retries", o.Target.MaxRetries, 0, 30}, // the pause before each doubles
		{"max-pending-packets", o.Fidelity.MaxPendingPackets, 0, 1 << 20},
		{"max-flows", b.MaxFlows, 1, 1 << 24},
		{"max-half-open", b.MaxHalfOpen, 1, 1 << 24},
		{"flow-kib", b.FlowKiB, 64, 1 << 20}, // a packet; TCP's largest window
		{"total-mib", b.TotalMiB, 16, 1 << 20},
		{"max-conns", b.MaxConns, 1, 1 << 20},
		{"threads", o.Run.Threads, 0, 1024},
		{"workers", o.Run.Workers, 0, maxWorkers},
	}
}

// interval is the value of a flag that is a time, and what it may be.
type interval struct {
	flag               string
	value, least, most time.Duration
}

// always is more than any time can be.
const always = time.Duration(1<<63 - 1)

func (c *interval) wrong() error {
	switch {
	case c.most < always:
		return fmt.Errorf("--%s %v: need %v to %v", c.flag, c.value, c.least, c.most)
	case c.least == 0:
		return fmt.Errorf("--%s %v: must not be negative", c.flag, c.value)
	}
	return fmt.Errorf("--%s %v: must be more than 0", c.flag, c.value)
}

func (o *options) times() []interval {
	all := []interval{
		{"busy-poll", o.Capture.BusyPoll, 0, time.Second},
		{"ring-wait", o.Capture.RingWait, 1, time.Second},
		{"dial-timeout", o.Target.DialTimeout, 1, always},
		{"write-timeout", o.Target.WriteTimeout, 1, always},
		{"linger-timeout", o.Target.LingerTimeout, 1, always},
		{"gap-timeout", o.Fidelity.GapTimeout, 1, always},
		{"idle-timeout", o.Budgets.IdleTimeout, 1, always},
		{"stats-interval", o.Reporting.StatsInterval, 0, always},
		{"shutdown-timeout", o.Run.ShutdownTimeout, 0, always},
	}
	if o.checking != nil {
		all = append(all, interval{"time", o.checking.Time, 1, always})
	}
	return all
}
