// Package settings is what a user asks netmirror for: the flags, the environment and
// the settings file, read, held against each other, and told of in the help and in the
// manual page. It starts nothing and knows no stage.
package settings

import (
	"runtime"
	"time"
)

// Options are the flags. A flag wins over its environment variable, and that
// over the file of --config, in which the groups are the sections.
type Options struct {
	Capture   Capture   `group:"Capture"`
	Selection Selection `group:"Selection"`
	Target    Target    `group:"Target"`
	Requests  Requests  `group:"Requests"`
	Fidelity  Fidelity  `group:"Fidelity"`
	Budgets   Budgets   `group:"Budgets"`
	Reporting Reporting `group:"Reporting"`
	Run       Running   `group:"Running"`

	Check    *Check    `no-flag:"true"` // the check command's, where that was called
	Replay   *Replay   `no-flag:"true"` // the replay command's, where that was called
	Files    []string  // that it is to play
	sections []section // [Service NAME] of the file
	Services []Service // those that are asked for

	UnknownVariables []string // NETMIRROR_* of the environment that are of no flag
}

// Check are the flags that the check command has of its own.
type Check struct {
	Time time.Duration `long:"time" value-name:"TIME" default:"10s" description:"how long to look at the mirror's packets"`
	Read []string      `long:"read" value-name:"FILE" description:"look at a capture file to its end, - for standard input, in place of an interface; may be given more than once"`
}

// Replay are the flags that the replay command has of its own.
type Replay struct {
	Speed speed `long:"speed" value-name:"N" default:"1" description:"how many times as fast as it was captured the file is played; max: as fast as the target takes it"`
	Loop  int   `long:"loop" value-name:"N" default:"1" description:"how many times to play the files"`
}

// Capture is how the mirror's packets are received.
type Capture struct {
	Capture    string        `long:"capture" env:"NETMIRROR_CAPTURE" value-name:"HOW" default:"ring" choice:"ring" choice:"udp" description:"how packets are received: from a ring that the kernel copies all of an interface's to, which needs CAP_NET_RAW, or by ordinary UDP sockets, which need no privilege"`
	Iface      []string      `long:"iface" short:"i" env:"NETMIRROR_IFACE" env-delim:"," value-name:"NAME" description:"network interface that the mirror packets arrive on, or any; may be given more than once (required with --capture ring)"`
	Encap      string        `long:"encap" env:"NETMIRROR_ENCAP" value-name:"WHAT" default:"auto" choice:"auto" choice:"vxlan" choice:"vxlan-gpe" choice:"geneve" choice:"gre" choice:"erspan" choice:"tzsp" choice:"none" description:"what the mirror wraps packets in: auto takes all of them, none has them bare, as from a SPAN port"`
	MirrorPort ports         `long:"mirror-port" env:"NETMIRROR_MIRROR_PORT" env-delim:"," value-name:"PORT" description:"UDP ports of the mirror, a list with commas, in place of the usual ones of --encap"`
	VXLANPort  port          `long:"vxlan-port" env:"NETMIRROR_VXLAN_PORT" value-name:"PORT" default:"4789" description:"UDP port of the mirror's VXLAN, the only one where it is not the default"`
	RingMiB    int           `long:"ring-mib" env:"NETMIRROR_RING_MIB" value-name:"MIB" default:"64" description:"memory for captured packets that were not looked at yet, shared among the workers; with --capture udp, as far as net.core.rmem_max allows"`
	RingWait   time.Duration `long:"ring-wait" env:"NETMIRROR_RING_WAIT" value-name:"TIME" default:"1ms" description:"how long a packet may wait for others to be handed over with; twice that while packets keep coming"`
	BusyPoll   time.Duration `long:"busy-poll" env:"NETMIRROR_BUSY_POLL" value-name:"TIME" default:"0s" description:"how long to look for packets before waiting for the kernel's wake-up; takes a core while they come"`
}

// Selection is which connections are forwarded.
type Selection struct {
	VNI            vnis     `long:"vni" short:"n" env:"NETMIRROR_VNI" env-delim:"," value-name:"N" description:"network identifier of the mirror session, 0 to 16777215: VXLAN's or GENEVE's VNI, ERSPAN's session, GRE's key; a list with commas, or any; may be given more than once (required)"`
	Port           portList `long:"port" short:"p" env:"NETMIRROR_PORT" value-name:"PORT" description:"TCP port of the mirrored service, as its clients know it; a list with commas, with ranges like 9000-9010 (required)"`
	Forward        forwards `long:"forward" short:"f" env:"NETMIRROR_FORWARD" env-delim:" " value-name:"[NAME=]VNI:PORT=HOST:PORT" description:"a service and its target, like 42:8080=staging:80 or shop=any:8080,9000-9010=staging:80, in place of --vni, --port and --to; may be given more than once, for several services and for several targets of one"`
	Sample         string   `long:"sample" env:"NETMIRROR_SAMPLE" value-name:"SHARE" default:"all" description:"share of the connections to forward, like 10% or 1/64, always the same ones; or all"`
	SampleBy       string   `long:"sample-by" env:"NETMIRROR_SAMPLE_BY" value-name:"WHAT" default:"connection" choice:"connection" choice:"client" description:"what --sample takes a share of: of the connections one by one, or of the clients with all their connections"`
	Clients        networks `long:"clients" env:"NETMIRROR_CLIENTS" env-delim:"," value-name:"CIDR" description:"forward the connections of these clients only: addresses and networks, a list with commas; may be given more than once"`
	ExcludeClients networks `long:"exclude-clients" env:"NETMIRROR_EXCLUDE_CLIENTS" env-delim:"," value-name:"CIDR" description:"clients to leave out, such as health checkers; as --clients"`
	MaxRate        int      `long:"max-rate" env:"NETMIRROR_MAX_RATE" value-name:"N" default:"0" description:"connections that may begin in a second, with a burst of as many; those beyond are left out whole; 0: no limit"`
}

// Target is where they go, and how long is waited for it.
type Target struct {
	To            targets       `long:"to" short:"t" env:"NETMIRROR_TO" env-delim:"," value-name:"HOST:PORT" description:"the shadow service; a name is looked up again after a second; tls://HOST:PORT, unix:///PATH and unix:@NAME go there by TLS and by unix sockets; given more than once, each gets every stream (required)"`
	DialTimeout   time.Duration `long:"dial-timeout" env:"NETMIRROR_DIAL_TIMEOUT" value-name:"TIME" default:"3s" description:"limit for one attempt to connect to the target"`
	MaxRetries    int           `long:"max-retries" env:"NETMIRROR_MAX_RETRIES" value-name:"N" default:"2" description:"further attempts to connect before a stream is given up"`
	WriteTimeout  time.Duration `long:"write-timeout" env:"NETMIRROR_WRITE_TIMEOUT" value-name:"TIME" default:"10s" description:"how long the target may take nothing before the stream is given up"`
	LingerTimeout time.Duration `long:"linger-timeout" env:"NETMIRROR_LINGER_TIMEOUT" value-name:"TIME" default:"30s" description:"how long the target may be silent after the client has finished before the connection is closed"`
	ProxyProtocol string        `long:"proxy-protocol" env:"NETMIRROR_PROXY_PROTOCOL" value-name:"VERSION" default:"off" choice:"off" choice:"v1" choice:"v2" description:"begin each connection to the target with a PROXY protocol header that has the original addresses of the client and the server; where the client's bytes begin with one, that stays the only one"`
	SourceAddress ipAddress     `long:"source-address" env:"NETMIRROR_SOURCE_ADDRESS" value-name:"ADDRESS" description:"IP address of this host to connect to the target from"`
	Mark          uint32        `long:"mark" env:"NETMIRROR_MARK" value-name:"N" default:"0" base:"0" description:"mark (SO_MARK) of the connections to the target, for routing rules and firewalls, like 7 or 0x2a; needs CAP_NET_ADMIN, or CAP_NET_RAW since Linux 5.17; 0: none"`
	TLSCA         string        `long:"tls-ca" env:"NETMIRROR_TLS_CA" value-name:"FILE" description:"certificates (PEM) that a tls:// target's has to be signed by, in place of the system's"`
	TLSName       string        `long:"tls-name" env:"NETMIRROR_TLS_NAME" value-name:"NAME" description:"name that a tls:// target is asked for (SNI) and that its certificate has to be for, in place of its host"`
	TLSCert       string        `long:"tls-cert" env:"NETMIRROR_TLS_CERT" value-name:"FILE" description:"client certificate (PEM) to show to tls:// targets"`
	TLSKey        string        `long:"tls-key" env:"NETMIRROR_TLS_KEY" value-name:"FILE" description:"its key (PEM), where that is not in the file of --tls-cert"`
	TLSInsecure   bool          `long:"tls-insecure" env:"NETMIRROR_TLS_INSECURE" description:"accept any certificate of tls:// targets"`
}

// Requests is what becomes of HTTP/1 requests on their way to the target.
type Requests struct {
	Mark     headerLines `long:"mark-requests" env:"NETMIRROR_MARK_REQUESTS" env-delim:"\n" value-name:"HEADER" description:"alters the stream: adds a header line, like 'X-Shadow: 1', to every HTTP/1 request; may be given more than once; off by default"`
	OnlyPath paths       `long:"only-path" env:"NETMIRROR_ONLY_PATH" env-delim:"," value-name:"PATH" description:"alters the stream: forwards only HTTP/1 requests whose path begins with one of these, a list with commas like /api,/v2; may be given more than once; off by default"`
	OnlyHost hosts       `long:"only-host" env:"NETMIRROR_ONLY_HOST" env-delim:"," value-name:"HOST" description:"alters the stream: forwards only HTTP/1 requests for one of these hosts, a list with commas like example.com, or .example.com for all names that end so; may be given more than once; off by default"`
}

// Fidelity is what becomes of what the mirror lost.
type Fidelity struct {
	GapTimeout        time.Duration `long:"gap-timeout" env:"NETMIRROR_GAP_TIMEOUT" value-name:"TIME" default:"1s" description:"how long to wait for a missing packet before the stream is reset"`
	OnGap             string        `long:"on-gap" env:"NETMIRROR_ON_GAP" value-name:"WHAT" default:"reset" choice:"reset" choice:"splice" description:"what becomes of a stream whose packet is missing for good: reset it, or leave the bytes out, which alters the stream"`
	Midstream         string        `long:"midstream" env:"NETMIRROR_MIDSTREAM" value-name:"WHERE" default:"http" choice:"http" choice:"any" choice:"off" description:"where a stream may begin in a connection whose start was not seen, that lost a packet or whose target closed: at an HTTP/1 request, at any packet, or nowhere"`
	VerifyChecksums   string        `long:"verify-checksums" env:"NETMIRROR_VERIFY_CHECKSUMS" value-name:"WHEN" default:"auto" choice:"auto" choice:"always" choice:"never" description:"which packets with a wrong TCP checksum to drop: auto takes those that checksum offload left unfinished"`
	MaxPendingPackets int           `long:"max-pending-packets" env:"NETMIRROR_MAX_PENDING_PACKETS" value-name:"N" default:"128" description:"how many packets may wait behind a missing one; with more, it is waited for 50 ms at most; 0: none"`
}

// Budgets are what may be used.
type Budgets struct {
	MaxFlows    int           `long:"max-flows" env:"NETMIRROR_MAX_FLOWS" value-name:"N" default:"20000" description:"connections followed at a time; beyond that, those that have shown least make room"`
	MaxHalfOpen int           `long:"max-half-open" env:"NETMIRROR_MAX_HALF_OPEN" value-name:"N" default:"65536" description:"connection attempts and ended connections remembered; the oldest are forgotten"`
	FlowKiB     int           `long:"flow-kib" env:"NETMIRROR_FLOW_KIB" value-name:"KIB" default:"16384" description:"memory for one connection's packets that cannot be delivered yet"`
	TotalMiB    int           `long:"total-mib" env:"NETMIRROR_TOTAL_MIB" value-name:"MIB" default:"512" description:"memory for all connections together, the ring aside; those that hold most are given up"`
	MaxConns    int           `long:"max-conns" env:"NETMIRROR_MAX_CONNS" value-name:"N" default:"20000" description:"connections to the target open at a time; fewer where the limit of open files (ulimit -n) is lower"`
	IdleTimeout time.Duration `long:"idle-timeout" env:"NETMIRROR_IDLE_TIMEOUT" value-name:"TIME" default:"10m" description:"how long a connection may be silent before it is given up"`
}

// Reporting is what is told, and where.
type Reporting struct {
	HTTP          string        `long:"http" env:"NETMIRROR_HTTP" value-name:"ADDRESS" description:"serve metrics, health, live flows and a status page on [HOST]:PORT, without HOST on 127.0.0.1 alone, or on the unix socket /PATH"`
	Pprof         bool          `long:"http-pprof" env:"NETMIRROR_HTTP_PPROF" description:"serve Go's profiles under /debug/pprof too"`
	ReadyDrops    bool          `long:"ready-drops" env:"NETMIRROR_READY_DROPS" description:"have /readyz answer 503 while the ring drops packets"`
	AlertBelow    alertBelow    `long:"alert-below" env:"NETMIRROR_ALERT_BELOW" value-name:"AMBER,RED" default:"99,95" description:"the headline is amber, and red, where a smaller share than that of what the clients sent in the last minute reached the target, in percent"`
	StatsInterval time.Duration `long:"stats-interval" env:"NETMIRROR_STATS_INTERVAL" value-name:"TIME" default:"1m" description:"how often to log what happened so far; 0: only at exit"`
	LogLevel      string        `long:"log-level" env:"NETMIRROR_LOG_LEVEL" value-name:"LEVEL" default:"info" description:"least severe level to log: off, error, warn, info, debug or trace"`
	LogFormat     string        `long:"log-format" env:"NETMIRROR_LOG_FORMAT" value-name:"FORMAT" default:"text" choice:"text" choice:"json" description:"how a line of the log is written"`
	Live          string        `long:"live" env:"NETMIRROR_LIVE" value-name:"WHEN" default:"auto" choice:"auto" choice:"off" description:"a line of rates at the bottom of the terminal: where stderr is one and the log is text, or never"`
}

// Running is how the program runs as a whole.
type Running struct {
	Config          string        `long:"config" env:"NETMIRROR_CONFIG" value-name:"FILE" no-ini:"true" description:"read settings from a file: key=value lines under the [Sections] of this help"`
	ShutdownTimeout time.Duration `long:"shutdown-timeout" env:"NETMIRROR_SHUTDOWN_TIMEOUT" value-name:"TIME" default:"10s" description:"how long to go on delivering what was captured after SIGTERM or SIGINT, and for a service that was taken out of the settings"`
	Threads         int           `long:"threads" env:"NETMIRROR_THREADS" value-name:"N" default:"0" description:"processor cores to use at most; 0: all"`
	Workers         int           `long:"workers" env:"NETMIRROR_WORKERS" value-name:"N" default:"0" description:"independent rings and stacks, among which the connections are shared; 0: one for every two cores, 8 at most"`
	Version         bool          `long:"version" no-ini:"true" description:"print the version and exit"`
	ManPage         bool          `long:"help-man" no-ini:"true" hidden:"true" description:"print the manual page and exit"`
}

// maxWorkers is how many sockets the kernel shares packets among.
const maxWorkers = 256

// defaultWorkers is how many there are by themselves at most. They share the ring's
// memory, and with too little of it each a capture that is held up for a moment
// loses packets.
const defaultWorkers = 8

// Workers resolves --workers; --threads is in force by then. A worker's gVisor
// and the bridge take as much again as its capture.
func (o *Options) Workers() int {
	if o.Run.Workers > 0 {
		return o.Run.Workers
	}
	return min(max(runtime.GOMAXPROCS(0)/2, 1), defaultWorkers)
}
