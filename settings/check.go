package settings

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"netmirror/capfile"
)

// check returns the first error in the flags, and says what to write instead.
func (o *Options) check() error {
	if err := cmp.Or(o.checkRequired(), o.checkTogether(), o.checkMirror(), o.checkSockets()); err != nil {
		return err
	}
	if err := o.checkHTTP(); err != nil {
		return ofFlag("http", err)
	}
	if err := checkBounds(o.numbers(), o.times()); err != nil {
		return err
	}
	if every := o.Reporting.StatsInterval; every > 0 && every < minStatsInterval {
		return ofFlag("stats-interval", fmt.Errorf("--stats-interval %v: need 0 or at least %v", every, minStatsInterval))
	}
	if _, ok := logLevels[o.Reporting.LogLevel]; !ok {
		return ofFlag("log-level", fmt.Errorf("--log-level %q: need off, error, warn, info, debug or trace", o.Reporting.LogLevel))
	}
	return o.resolve()
}

// minStatsInterval keeps the counters from filling the log.
const minStatsInterval = 100 * time.Millisecond

// checkRequired says all that is missing.
func (o *Options) checkRequired() error {
	need := o.Check == nil // to check, all but the interface can be left to be found out
	mirror, ring := o.live(), o.Capture.Capture == CaptureRing
	one := o.Simple() && need
	shared := o.Simple() && len(o.Target.To) > 1 // a selection of several services, which is not found out
	err := missing([]lack{
		{mirror && ring && len(o.Capture.Iface) == 0, "no interface: give the one that the mirror packets arrive on with --iface"},
		{one && mirror && len(o.Selection.VNI) == 0 && !o.Mirror().Bare(), "no VNI: give the mirror session's network identifier with --vni"},
		{(one || shared) && o.Selection.Port == "", "no port: give the service's original TCP port, 1 to 65535, with --port"},
		{one && len(o.Target.To) == 0, "no target: give the shadow service as --to HOST:PORT"},
		{o.Replay != nil && len(o.Files) == 0, "no file: give capture files as replay FILE..., or - for standard input"},
	})
	if err != nil && o.Run.Config != "" && (o.Replay == nil || len(o.Files) > 0) {
		return fmt.Errorf("%w; or set it in %s", err, o.Run.Config)
	}
	return err
}

// lack is a flag that may be missing, and what to say then.
type lack struct {
	is   bool
	says string
}

// missing is one error for everything that is missing, or nil.
func missing(all []lack) error {
	var says []string
	for _, l := range all {
		if l.is {
			says = append(says, l.says)
		}
	}
	if len(says) == 0 {
		return nil
	}
	return errors.New(strings.Join(says, "; "))
}

// checkTogether says which flags do not go with each other.
func (o *Options) checkTogether() error {
	looks := o.Check != nil && o.live()
	switch {
	case looks && len(o.Capture.Iface) > 1:
		return fmt.Errorf("--iface is given %d times, and check looks at one interface at a time; leave all but one out", len(o.Capture.Iface))
	case looks && o.Capture.Capture == CaptureRing && o.OnAnyInterface():
		return errors.New("--iface any: check looks at one interface at a time; give the one that the mirror packets arrive on")
	case len(o.Capture.Iface) > 1 && o.OnAnyInterface():
		return fmt.Errorf("--iface %s: any is all of them; leave the others out", strings.Join(o.Capture.Iface, ", "))
	case twice(o.Capture.Iface) != "":
		return fmt.Errorf("--iface %s is given twice, which would capture every packet twice; leave one of them out", twice(o.Capture.Iface))
	case o.Reporting.HTTP == "" && o.Reporting.Pprof:
		return ofFlag("http-pprof", errors.New("--http-pprof: nothing is served without --http; give its address, or leave --http-pprof out"))
	case o.Reporting.HTTP == "" && o.Reporting.ReadyDrops && o.live():
		return ofFlag("ready-drops", errors.New("--ready-drops: nothing is served without --http; give its address, or leave --ready-drops out"))
	case slices.Contains(o.Files, "") || o.Check != nil && slices.Contains(o.Check.Read, ""): // of a shell's empty variable
		return errors.New("the name of a capture file is empty; give its path, or - for standard input")
	case o.Replay != nil:
		return o.Replay.check(o.Files)
	}
	return nil
}

// checkHTTP says where --http is written as --to is, or for all addresses as other programs have
// it, or has a port that there is not.
func (o *Options) checkHTTP() error {
	address := o.Reporting.HTTP
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		path = strings.TrimPrefix(path, "//")
		if !strings.HasPrefix(path, "/") {
			path = "/PATH"
		}
		return fmt.Errorf("--http %s: for a unix socket, write its path alone: --http %s", address, path)
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil { // a socket's path, or what status says of it
		return nil
	}
	if host == "*" {
		return fmt.Errorf("--http %s: write 0.0.0.0:%[2]s for all addresses of IPv4, or [::]:%[2]s for those of IPv6 too", address, port)
	}
	if _, err := net.LookupPort("tcp", port); err != nil {
		return fmt.Errorf("--http %s: port %q is not a number from 0 to 65535", address, port)
	}
	return nil
}

// twice is the first word that a list has again, or "".
func twice(list []string) string {
	for i, word := range list {
		if slices.Contains(list[:i], word) {
			return word
		}
	}
	return ""
}

// number is a flag's value and what it may be.
type number struct {
	flag               string
	value, least, most int
}

func (c *number) wrong() error {
	return ofFlag(c.flag, fmt.Errorf("--%s %d: need %d to %d", c.flag, c.value, c.least, c.most))
}

// checkBounds returns the error of the first value that is out of its bounds.
func checkBounds(numbers []number, times []interval) error {
	for _, c := range numbers {
		if c.value < c.least || c.value > c.most {
			return c.wrong()
		}
	}
	for _, c := range times {
		if c.value < c.least || c.value > c.most {
			return c.wrong()
		}
	}
	return nil
}

// withRange adds to what the parser says of a number that no integer holds which numbers there
// may be. flag is the one that it says it of, "" where it names it itself.
func withRange(says, flag string) string {
	const beyond = ": value out of range"
	if named := wrongFlag.FindAllStringSubmatch(says, -1); flag == "" && len(named) > 0 {
		flag = named[len(named)-1][1]
	}
	need := map[string]string{"mark": "0 to 4294967295", "loop": "1 or more"}[flag]
	for _, c := range new(Options).numbers() {
		if c.flag == flag {
			need = fmt.Sprintf("%d to %d", c.least, c.most)
		}
	}
	if need == "" {
		return says
	}
	return strings.Replace(says, beyond, " is out of range; need "+need, 1)
}

// numbers are the flags with a number. No product of them overflows an int. The lower bound of
// a budget is what the smallest use takes.
func (o *Options) numbers() []number {
	b, common := &o.Budgets, o.Common()
	return append(common.numbers(), []number{
		{"ring-mib", o.Capture.RingMiB, 1, 2048},
		{"max-pending-packets", o.Fidelity.MaxPendingPackets, 0, 1 << 20},
		{"max-flows", b.MaxFlows, 1, 1 << 24},
		{"max-half-open", b.MaxHalfOpen, 1, 1 << 24},
		{"flow-kib", b.FlowKiB, 64, 1 << 20}, // a packet; TCP's largest window
		{"total-mib", b.TotalMiB, 16, 1 << 20},
		{"max-conns", b.MaxConns, 1, 1 << 20},
		{"threads", o.Run.Threads, 0, 1024},
		{"workers", o.Run.Workers, 0, maxWorkers},
		{"nice", o.Run.Nice, -20, 19},
	}...)
}

// interval is the value of a flag that is a time, and what it may be.
type interval struct {
	flag               string
	value, least, most time.Duration
}

// always is more than any time can be.
const always = time.Duration(1<<63 - 1)

func (c *interval) wrong() error {
	says := fmt.Errorf("--%s %v: need %v to %v", c.flag, c.value, c.least, c.most)
	switch {
	case c.value < c.least && c.least > 0:
		says = fmt.Errorf("--%s %v: must be more than 0", c.flag, c.value)
	case c.most == always:
		says = fmt.Errorf("--%s %v: must not be negative", c.flag, c.value)
	}
	return ofFlag(c.flag, says)
}

func (o *Options) times() []interval {
	common := o.Common()
	all := append(common.times(), []interval{
		{"busy-poll", o.Capture.BusyPoll, 0, time.Second},
		{"ring-wait", o.Capture.RingWait, 1, time.Second},
		{"gap-timeout", o.Fidelity.GapTimeout, 1, always},
		{"idle-timeout", o.Budgets.IdleTimeout, 1, always},
		{"stats-interval", o.Reporting.StatsInterval, 0, always},
		{"shutdown-timeout", o.Run.ShutdownTimeout, 0, always},
	}...)
	if o.Check != nil {
		all = append(all, interval{"time", o.Check.Time, 1, always})
	}
	return all
}

// check says what is wrong with the files and flags.
func (o *Replay) check(files []string) error {
	switch {
	case o.Loop < 1:
		return fmt.Errorf("--loop %d: must be 1 or more", o.Loop)
	case o.Loop > 1 && slices.Contains(files, capfile.Stdin):
		return errors.New("--loop: standard input cannot be played again; write it to a file first")
	}
	return nil
}
