package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/jessevdk/go-flags"

	"netmirror/stack"
)

// options are the flags. A flag wins over its environment variable.
type options struct {
	Capture   captureOptions   `group:"Capture"`
	Selection selectionOptions `group:"Selection"`
	Target    targetOptions    `group:"Target"`
	Fidelity  fidelityOptions  `group:"Fidelity"`
	Budgets   budgetOptions    `group:"Budgets"`
	Run       runOptions       `group:"Running"`
}

type captureOptions struct {
	Iface     string        `long:"iface" short:"i" env:"NETMIRROR_IFACE" value-name:"NAME" description:"network interface that the mirror packets arrive on (required)"`
	VXLANPort port          `long:"vxlan-port" env:"NETMIRROR_VXLAN_PORT" value-name:"PORT" default:"4789" description:"UDP port of the mirror's VXLAN"`
	RingMiB   int           `long:"ring-mib" env:"NETMIRROR_RING_MIB" value-name:"MIB" default:"64" description:"memory for captured packets that were not looked at yet"`
	RingWait  time.Duration `long:"ring-wait" env:"NETMIRROR_RING_WAIT" value-name:"TIME" default:"1ms" description:"how long a packet may wait for others to be handed over with"`
	BusyPoll  time.Duration `long:"busy-poll" env:"NETMIRROR_BUSY_POLL" value-name:"TIME" default:"0s" description:"how long to look for packets before waiting for the kernel's wake-up; takes a core while they come"`
}

type selectionOptions struct {
	VNI  []vni `long:"vni" short:"n" env:"NETMIRROR_VNI" env-delim:"," value-name:"N" description:"VXLAN network identifier of the mirror session, 0 to 16777215; may be given more than once (required)"`
	Port port  `long:"port" short:"p" env:"NETMIRROR_PORT" value-name:"PORT" description:"TCP port of the mirrored service, as its clients know it (required)"`
}

type targetOptions struct {
	To            string        `long:"to" short:"t" env:"NETMIRROR_TO" value-name:"HOST:PORT" description:"the shadow service; a name is looked up at every connection (required)"`
	DialTimeout   time.Duration `long:"dial-timeout" env:"NETMIRROR_DIAL_TIMEOUT" value-name:"TIME" default:"3s" description:"limit for one attempt to connect to the target"`
	MaxRetries    int           `long:"max-retries" env:"NETMIRROR_MAX_RETRIES" value-name:"N" default:"2" description:"further attempts to connect before a stream is given up"`
	WriteTimeout  time.Duration `long:"write-timeout" env:"NETMIRROR_WRITE_TIMEOUT" value-name:"TIME" default:"10s" description:"how long the target may take nothing before the stream is given up"`
	LingerTimeout time.Duration `long:"linger-timeout" env:"NETMIRROR_LINGER_TIMEOUT" value-name:"TIME" default:"30s" description:"how long the target may be silent after the client has finished before the connection is closed"`
}

type fidelityOptions struct {
	GapTimeout        time.Duration `long:"gap-timeout" env:"NETMIRROR_GAP_TIMEOUT" value-name:"TIME" default:"1s" description:"how long to wait for a missing packet before the stream is reset"`
	OnGap             string        `long:"on-gap" env:"NETMIRROR_ON_GAP" value-name:"WHAT" default:"reset" choice:"reset" choice:"splice" description:"what becomes of a stream whose packet is missing for good: reset it, or leave the bytes out, which alters the stream"`
	Midstream         string        `long:"midstream" env:"NETMIRROR_MIDSTREAM" value-name:"WHERE" default:"http" choice:"http" choice:"any" choice:"off" description:"where a stream may begin in a connection whose start was not seen, that lost a packet or whose target closed: at an HTTP/1 request, at any packet, or nowhere"`
	VerifyChecksums   string        `long:"verify-checksums" env:"NETMIRROR_VERIFY_CHECKSUMS" value-name:"WHEN" default:"auto" choice:"auto" choice:"always" choice:"never" description:"which packets with a wrong TCP checksum to drop: auto takes those that checksum offload left unfinished"`
	MaxPendingPackets int           `long:"max-pending-packets" env:"NETMIRROR_MAX_PENDING_PACKETS" value-name:"N" default:"128" description:"how many packets may wait behind a missing one; with more, it is waited for 50 ms at most"`
}

type budgetOptions struct {
	MaxFlows    int           `long:"max-flows" env:"NETMIRROR_MAX_FLOWS" value-name:"N" default:"20000" description:"connections followed at a time; further ones are not forwarded"`
	MaxHalfOpen int           `long:"max-half-open" env:"NETMIRROR_MAX_HALF_OPEN" value-name:"N" default:"65536" description:"connection attempts and ended connections remembered; the oldest are forgotten"`
	FlowKiB     int           `long:"flow-kib" env:"NETMIRROR_FLOW_KIB" value-name:"KIB" default:"4096" description:"memory for one connection's packets that cannot be delivered yet"`
	TotalMiB    int           `long:"total-mib" env:"NETMIRROR_TOTAL_MIB" value-name:"MIB" default:"512" description:"memory for all connections together, the ring aside; those that hold most are given up"`
	MaxConns    int           `long:"max-conns" env:"NETMIRROR_MAX_CONNS" value-name:"N" default:"20000" description:"connections to the target open at a time"`
	IdleTimeout time.Duration `long:"idle-timeout" env:"NETMIRROR_IDLE_TIMEOUT" value-name:"TIME" default:"10m" description:"how long a connection may be silent before it is given up"`
}

type runOptions struct {
	StatsInterval   time.Duration `long:"stats-interval" env:"NETMIRROR_STATS_INTERVAL" value-name:"TIME" default:"1m" description:"how often to log what happened so far; 0: only at exit"`
	ShutdownTimeout time.Duration `long:"shutdown-timeout" env:"NETMIRROR_SHUTDOWN_TIMEOUT" value-name:"TIME" default:"10s" description:"how long to go on delivering what was captured after SIGTERM or SIGINT"`
	Threads         int           `long:"threads" env:"NETMIRROR_THREADS" value-name:"N" default:"0" description:"processor cores to use; 0: all"`
	Workers         int           `long:"workers" env:"NETMIRROR_WORKERS" value-name:"N" default:"0" description:"independent rings and stacks, among which the connections are shared; 0: one for every two cores"`
	LogLevel        string        `long:"log-level" env:"NETMIRROR_LOG_LEVEL" value-name:"LEVEL" default:"info" description:"least severe level to log: off, error, warn, info, debug or trace"`
	Version         bool          `long:"version" description:"print the version and exit"`
}

// What the choices of the flags are called in stack.
var (
	onGaps     = map[string]stack.OnGap{"reset": stack.GapReset, "splice": stack.GapSplice}
	midstreams = map[string]stack.Midstream{"http": stack.MidstreamHTTP, "any": stack.MidstreamAny, "off": stack.MidstreamOff}
	checksums  = map[string]stack.Checksums{"auto": stack.ChecksumsAuto, "always": stack.ChecksumsAlways, "never": stack.ChecksumsNever}
)

// maxWorkers is how many sockets the kernel shares packets among.
const maxWorkers = 256

// workers resolves --workers; --threads is in force by then. A worker's gVisor
// and the bridge take as much again as its capture.
func (o *options) workers() int {
	if o.Run.Workers > 0 {
		return o.Run.Workers
	}
	return min(max(runtime.GOMAXPROCS(0)/2, 1), maxWorkers)
}

// levelOff is above every level that is logged at.
const levelOff = slog.Level(100)

var logLevels = map[string]slog.Level{
	"off": levelOff, "error": slog.LevelError, "warn": slog.LevelWarn,
	"info": slog.LevelInfo, "debug": slog.LevelDebug, "trace": slog.LevelDebug,
}

// errShown is returned where all that there was to do has been done: the help
// or the version was printed.
var errShown = errors.New("shown")

// parseOptions reads the flags, or the four words of the call that netmirror
// takes over from vxlan-to-http, and the environment through getenv.
func parseOptions(program string, args []string, getenv func(string) string, stdout io.Writer) (*options, error) {
	var o options
	p := flags.NewNamedParser(filepath.Base(program), flags.HelpFlag|flags.PassDoubleDash)
	p.Usage = "--iface NAME --vni N --port PORT --to HOST:PORT [flags]\n  " +
		filepath.Base(program) + " INTERFACE VNI PORT HOST:PORT   (as vxlan-to-http is called)"
	p.ShortDescription = "replays mirrored TCP connections against a shadow service"
	p.LongDescription = "Receives packets that a cloud mirrors inside VXLAN, rebuilds one service's TCP connections from them, " +
		"and plays each client's bytes, exactly, on a new connection to the shadow service."
	if _, err := p.AddGroup("netmirror", "", &o); err != nil {
		return nil, err
	}
	words, err := p.ParseArgs(args)
	var ferr *flags.Error
	switch {
	case errors.As(err, &ferr) && ferr.Type == flags.ErrHelp:
		fmt.Fprintln(stdout, ferr.Message)
		return nil, errShown
	case err != nil:
		return nil, fmt.Errorf("%s; see %s --help", plain(err), p.Name)
	case o.Run.Version:
		fmt.Fprintln(stdout, "netmirror", version())
		return nil, errShown
	}
	if err := o.legacyEnvironment(p, getenv); err != nil {
		return nil, err
	}
	if len(words) > 0 {
		if err := o.legacyCall(words, len(args)); err != nil {
			return nil, err
		}
	}
	return &o, o.check()
}

// plain is a parser's error on one line, without the names of Go types.
func plain(err error) string {
	text := strings.Join(strings.Fields(err.Error()), " ")
	if head, rest, ok := strings.Cut(text, " (expected "); ok {
		if _, tail, ok := strings.Cut(rest, "): "); ok {
			return head + ": " + tail
		}
	}
	return text
}

// legacyCall takes the call "INTERFACE VNI PORT HOST:PORT".
func (o *options) legacyCall(words []string, nargs int) error {
	if nargs != len(words) {
		return fmt.Errorf("flags and the call with four words do not mix (%q is no flag); use either --iface, --vni, --port and --to, or INTERFACE VNI PORT HOST:PORT", words[0])
	}
	if len(words) != 4 {
		return fmt.Errorf("%d words, need four: INTERFACE VNI PORT HOST:PORT", len(words))
	}
	o.Capture.Iface, o.Selection.VNI, o.Target.To = words[0], make([]vni, 1), words[3]
	return cmp.Or(o.Selection.VNI[0].UnmarshalFlag(words[1]), o.Selection.Port.UnmarshalFlag(words[2]))
}

// vni is a VXLAN network identifier (24 bits).
type vni uint32

// UnmarshalFlag implements flags.Unmarshaler.
func (v *vni) UnmarshalFlag(s string) error {
	n, err := strconv.ParseUint(s, 10, 24)
	if err != nil {
		return fmt.Errorf("VNI %q is not a number from 0 to 16777215", s)
	}
	*v = vni(n)
	return nil
}

// port is a TCP or UDP port.
type port uint16

// UnmarshalFlag implements flags.Unmarshaler.
func (p *port) UnmarshalFlag(s string) error {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || n == 0 {
		return fmt.Errorf("port %q is not a number from 1 to 65535", s)
	}
	*p = port(n)
	return nil
}

// legacyEnvironment reads the variables of vxlan-to-http for the settings that
// neither a flag nor a variable of our own has set.
func (o *options) legacyEnvironment(p *flags.Parser, getenv func(string) string) error {
	for _, v := range []struct {
		name, flag string
		set        *int
	}{
		{"MAX_PENDING_PACKETS", "max-pending-packets", &o.Fidelity.MaxPendingPackets},
		{"MAX_RETRIES", "max-retries", &o.Target.MaxRetries},
		{"NUM_THREADS", "threads", &o.Run.Threads},
	} {
		text := getenv(v.name)
		if opt := p.FindOptionByLongName(v.flag); text == "" || opt.IsSet() && !opt.IsSetDefault() {
			continue
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			return fmt.Errorf("environment variable %s is %q, need a number from 0", v.name, text)
		}
		*v.set = n
	}
	if opt := p.FindOptionByLongName("log-level"); opt.IsSetDefault() {
		if level, ok := rustLogLevel(getenv("RUST_LOG")); ok {
			o.Run.LogLevel = level
		}
	}
	return nil
}

// rustLogLevel reads RUST_LOG: "level", or directives "module=level" divided by
// commas, of which the one without a module, else the first, counts.
func rustLogLevel(s string) (string, bool) {
	found := ""
	for d := range strings.SplitSeq(s, ",") {
		module, level, ok := strings.Cut(strings.ToLower(strings.TrimSpace(d)), "=")
		if !ok {
			level = module
		}
		if _, known := logLevels[level]; known && (found == "" || !ok) {
			found = level
		}
	}
	return found, found != ""
}

func (o *options) check() error {
	for _, c := range []struct {
		bad  bool
		text string
	}{
		{o.Capture.Iface == "", "no interface: give the one that the mirror packets arrive on with --iface"},
		{len(o.Selection.VNI) == 0, "no VNI: give the mirror session's VXLAN network identifier with --vni"},
		{o.Selection.Port == 0, "no port: give the service's original TCP port, 1 to 65535, with --port"},
		{o.Target.To == "", "no target: give the shadow service as --to HOST:PORT"},
		{o.Capture.RingMiB < 1 || o.Capture.RingMiB > 2048, "--ring-mib: need 1 to 2048"},
		{o.Capture.BusyPoll < 0 || o.Capture.BusyPoll > time.Second, "--busy-poll: need 0 to 1s"},
		{o.Capture.RingWait <= 0 || o.Capture.RingWait > time.Second, "--ring-wait: need more than 0 and at most 1s"},
		{min(o.Budgets.MaxFlows, o.Budgets.MaxHalfOpen, o.Budgets.FlowKiB, o.Budgets.TotalMiB, o.Budgets.MaxConns) < 1,
			"--max-flows, --max-half-open, --flow-kib, --total-mib and --max-conns must be at least 1"},
		{min(o.Target.DialTimeout, o.Target.WriteTimeout, o.Target.LingerTimeout, o.Fidelity.GapTimeout, o.Budgets.IdleTimeout) <= 0,
			"--dial-timeout, --write-timeout, --linger-timeout, --gap-timeout and --idle-timeout must be more than 0"},
		{min(o.Run.StatsInterval, o.Run.ShutdownTimeout) < 0, "--stats-interval and --shutdown-timeout must not be negative"},
		{o.Run.Workers < 0 || o.Run.Workers > maxWorkers, "--workers: need 0 to 256"},
		{o.Target.MaxRetries < 0 || o.Fidelity.MaxPendingPackets < 0 || o.Run.Threads < 0,
			"--max-retries, --max-pending-packets and --threads must not be negative"},
	} {
		if c.bad {
			return errors.New(c.text)
		}
	}
	if _, ok := logLevels[o.Run.LogLevel]; !ok {
		return fmt.Errorf("log level %q: need off, error, warn, info, debug or trace", o.Run.LogLevel)
	}
	return o.Target.check()
}

func (o *targetOptions) check() error {
	host, number, err := net.SplitHostPort(o.To)
	if err != nil || host == "" {
		return fmt.Errorf("target %q: need HOST:PORT, like staging.example:80 or [2001:db8::1]:80", o.To)
	}
	if err := new(port).UnmarshalFlag(number); err != nil {
		return fmt.Errorf("target %q: %w", o.To, err)
	}
	return nil
}
