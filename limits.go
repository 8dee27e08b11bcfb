package main

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"netmirror/machine"
	"netmirror/status"
	"netmirror/udp"
)

// check says what is wrong with the flags, one thing at a time, and what to write
// instead.
func (o *options) check() error {
	if err := o.checkRequired(); err != nil {
		return err
	}
	if err := cmp.Or(o.checkMirror(), o.checkSockets()); err != nil {
		return err
	}
	for _, c := range o.numbers() {
		if c.value < c.least || c.value > c.most {
			return c.wrong()
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
	return o.resolve()
}

// minStatsInterval keeps the log from being nothing but figures.
const minStatsInterval = time.Millisecond

func (o *options) checkRequired() error {
	need := o.checking == nil // to check, all but the interface can be left to be found out
	mirror, ring := o.live(), o.Capture.Capture == captureRing
	switch {
	case mirror && ring && len(o.Capture.Iface) == 0:
		return errors.New("no interface: give the one that the mirror packets arrive on with --iface")
	case o.checking != nil && len(o.Capture.Iface) > 1:
		return fmt.Errorf("--iface is given %d times, and check looks at one interface at a time; leave all but one out", len(o.Capture.Iface))
	case o.checking != nil && ring && o.anyInterface():
		return errors.New("--iface any: check looks at one interface at a time; give the one that the mirror packets arrive on")
	case len(o.Capture.Iface) > 1 && o.anyInterface():
		return fmt.Errorf("--iface %s: any is all of them; leave the others out", strings.Join(o.Capture.Iface, ", "))
	case o.checking != nil && !o.oneService():
		return errors.New("check looks at one service at a time; give its one --port and --to, and no --forward")
	case o.simple() && mirror && need && len(o.Selection.VNI) == 0 && !o.mirror().Bare():
		return errors.New("no VNI: give the mirror session's VXLAN network identifier with --vni")
	case o.simple() && need && o.Selection.Port == "":
		return errors.New("no port: give the service's original TCP port, 1 to 65535, with --port")
	case o.simple() && need && len(o.Target.To) == 0:
		return errors.New("no target: give the shadow service as --to HOST:PORT")
	case o.replaying != nil:
		return o.replaying.check(o.files)
	}
	return nil
}

// live reports whether packets come from interfaces, not from files.
func (o *options) live() bool {
	return o.replaying == nil && (o.checking == nil || len(o.checking.Read) == 0)
}

// oneService reports whether what is given is of one service with one port.
func (o *options) oneService() bool {
	ports := o.ports()
	one := len(ports) == 0 || len(ports) == 1 && ports[0].First == ports[0].Last
	return o.simple() && one && len(o.Target.To) < 2
}

// number is a flag's value and what it may be.
type number struct {
	flag               string
	value, least, most int
}

func (c *number) wrong() error {
	return fmt.Errorf("--%s %d: need %d to %d", c.flag, c.value, c.least, c.most)
}

// numbers are the flags that have a number. No product of theirs is more than an
// int can hold; the least of a budget is what the smallest use takes.
func (o *options) numbers() []number {
	b, common := &o.Budgets, o.common()
	return []number{
		{"ring-mib", o.Capture.RingMiB, 1, 2048},
		common.retries(),
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
	common := o.common()
	all := append(common.times(), []interval{
		{"busy-poll", o.Capture.BusyPoll, 0, time.Second},
		{"ring-wait", o.Capture.RingWait, 1, time.Second},
		{"gap-timeout", o.Fidelity.GapTimeout, 1, always},
		{"idle-timeout", o.Budgets.IdleTimeout, 1, always},
		{"stats-interval", o.Reporting.StatsInterval, 0, always},
		{"shutdown-timeout", o.Run.ShutdownTimeout, 0, always},
	}...)
	if o.checking != nil {
		all = append(all, interval{"time", o.checking.Time, 1, always})
	}
	return all
}

// fit holds the budgets against what the process may have. Target connections are
// lowered to what the limit of open files allows; memory is left as it was asked
// for. warn says what to do where they do not fit: when it is known that the
// program starts.
func (o *options) fit(memory machine.Limit) (warn func(*slog.Logger)) {
	files, err := machine.RaiseDescriptors()
	asked := *o
	o.fitConns(files)
	return func(log *slog.Logger) {
		if err != nil {
			log.Warn("the limit of open files stays as it is", "err", err)
		}
		if conns := o.Budgets.MaxConns; conns < asked.Budgets.MaxConns {
			asked.warnOfConns(log, conns, files)
		}
		o.warnOfMemory(log, memory)
	}
}

// fitConns lowers --max-conns to what is left of the descriptors, 0 for unknown,
// so that --http and the log go on when all of them are taken.
func (o *options) fitConns(files int) {
	if files > 0 {
		o.Budgets.MaxConns = min(o.Budgets.MaxConns, max(files-o.reservedFiles(files), files/4, 1))
	}
}

// warnOfConns tells that there will be fewer connections than --max-conns.
func (o *options) warnOfConns(log *slog.Logger, conns, files int) {
	asked := o.Budgets.MaxConns
	log.Warn("the limit of open files is too low for --max-conns; there will be fewer connections to the target",
		"max_conns", asked, "connections", conns, "open_files", files,
		"do", fmt.Sprintf("raise the hard limit to %d (LimitNOFILE= in the unit, --ulimit nofile= of a container, ulimit -Hn in a shell), or lower --max-conns",
			asked+o.reservedFiles(asked)))
}

// reservedFiles are the descriptors of files that are kept for all but the target's
// connections.
func (o *options) reservedFiles(files int) int {
	n := 32 + 8*o.workers()*max(len(o.Capture.Iface), 1) // the standard streams, the runtime's, the rings and what wakes them
	if o.Capture.Capture == captureUDP {
		n += udp.MaxSpread * o.workers() * len(o.mirror().UDP())
	}
	if o.Reporting.HTTP != "" {
		n += status.MaxClients
	}
	if slices.ContainsFunc(o.services, forwarded.named) {
		n += min(files/8, 256) // a lookup takes two for a moment
	}
	return n
}

// named reports whether the target is to be looked up.
func (f forwarded) named() bool {
	host, _, err := net.SplitHostPort(f.Target)
	if err != nil {
		return false
	}
	_, err = netip.ParseAddr(host)
	return err != nil
}

// warnOfMemory warns where the budgets are more than there is.
func (o *options) warnOfMemory(log *slog.Logger, memory machine.Limit) {
	wanted, there := int64(o.Budgets.TotalMiB+o.Capture.RingMiB), memory.Bytes>>20
	if memory.Bytes == 0 || wanted <= there {
		return
	}
	lower := "lower --total-mib and --ring-mib"
	if left := there - int64(o.Capture.RingMiB); left >= 64 {
		lower = fmt.Sprintf("lower --total-mib to %d or less", left)
	}
	if memory.Name != "MemTotal" {
		lower += ", or raise the limit (MemoryMax= in the unit, resources.limits.memory, --memory of a container)"
	}
	log.Warn("--total-mib and --ring-mib together are more than the memory that there is; the kernel may kill netmirror",
		"wanted_mib", wanted, "there_mib", there, "limit", memory.Name, "do", lower)
}
