// Package settings reads and checks what a user asks netmirror for: the flags, the environment
// and the settings file. It also writes the help and the manual page. It starts nothing and
// knows no stage.
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

	Given            Given    // where Check is set
	UnknownVariables []string // NETMIRROR_* of the environment that are of no flag
}

// Check are the additional flags of the check command.
type Check struct {
	Time time.Duration `long:"time" value-name:"TIME" default:"10s" description:"how long to watch the mirror's packets"`
	Read []string      `long:"read" value-name:"FILE" description:"watch a capture file to its end, - for standard input, in place of an interface; may be given more than once"`
}

// Replay are the additional flags of the replay command.
type Replay struct {
	Speed speed `long:"speed" value-name:"N" default:"1" description:"speed relative to the capture, like 10; max: as fast as the target accepts it"`
	Loop  int   `long:"loop" value-name:"N" default:"1" description:"how many times to play the files"`
}

// Capture is how the mirror's packets are received.
type Capture struct {
	Capture    string        `long:"capture" env:"NETMIRROR_CAPTURE" value-name:"HOW" default:"ring" choice:"ring" choice:"udp" description:"how packets are received: ring captures on an interface, and needs CAP_NET_RAW; udp uses ordinary UDP sockets, which need no privilege"`
	Iface      interfaces    `long:"iface" short:"i" env:"NETMIRROR_IFACE" env-delim:"," value-name:"NAME" description:"network interface that the mirror's packets arrive on, or any; may be given more than once (required with --capture ring)"`
	Encap      string        `long:"encap" env:"NETMIRROR_ENCAP" value-name:"WHAT" default:"auto" choice:"auto" choice:"vxlan" choice:"vxlan-gpe" choice:"geneve" choice:"gre" choice:"erspan" choice:"tzsp" choice:"none" description:"what the mirror wraps packets in: auto takes all but none; none is bare frames, as from a SPAN port"`
	MirrorPort ports         `long:"mirror-port" env:"NETMIRROR_MIRROR_PORT" env-delim:"," value-name:"PORT" description:"UDP ports of the mirror, a list with commas, in place of the usual ones of --encap"`
	VXLANPort  port          `long:"vxlan-port" env:"NETMIRROR_VXLAN_PORT" value-name:"PORT" default:"4789" description:"UDP port of the mirror's VXLAN; if you change it, it is the mirror's only port"`
	RingMiB    int           `long:"ring-mib" env:"NETMIRROR_RING_MIB" value-name:"MIB" default:"64" description:"memory for captured packets not yet processed, shared among the workers; with --capture udp, as far as net.core.rmem_max allows"`
	RingWait   time.Duration `long:"ring-wait" env:"NETMIRROR_RING_WAIT" value-name:"TIME" default:"1ms" description:"how long a packet may wait in the ring for its batch to fill; up to three times that while packets arrive densely"`
	BusyPoll   time.Duration `long:"busy-poll" env:"NETMIRROR_BUSY_POLL" value-name:"TIME" default:"0s" description:"how long to poll for packets before sleeping; takes a core while packets come"`
}

// Selection is which connections are forwarded.
type Selection struct {
	VNI            vnis     `long:"vni" short:"n" env:"NETMIRROR_VNI" env-delim:"," value-name:"N" description:"network identifier of the mirror session, 0 to 16777215: VNI of VXLAN or GENEVE, session of ERSPAN, key of GRE; a list with commas, or any; may be given more than once (required)"`
	Port           portList `long:"port" short:"p" env:"NETMIRROR_PORT" value-name:"PORT" description:"TCP port that the clients connect to; a list with commas, with ranges like 9000-9010 (required)"`
	Forward        forwards `long:"forward" short:"f" env:"NETMIRROR_FORWARD" env-delim:" " value-name:"[NAME=]VNI:PORT=HOST:PORT" description:"a service and its target, like 42:8080=staging:80 or shop=any:8080,9000-9010=staging:80, in place of --vni, --port and --to; may be given more than once, for several services and for several targets of one"`
	Sample         string   `long:"sample" env:"NETMIRROR_SAMPLE" value-name:"SHARE" default:"all" description:"share of the connections to forward, like 10% or 1/64, always the same ones; or all"`
	SampleBy       string   `long:"sample-by" env:"NETMIRROR_SAMPLE_BY" value-name:"WHAT" default:"connection" choice:"connection" choice:"client" description:"what --sample takes a share of: single connections, or clients with all their connections"`
	Clients        networks `long:"clients" env:"NETMIRROR_CLIENTS" env-delim:"," value-name:"CIDR" description:"forward only these clients: addresses and networks, a list with commas; may be given more than once"`
	ExcludeClients networks `long:"exclude-clients" env:"NETMIRROR_EXCLUDE_CLIENTS" env-delim:"," value-name:"CIDR" description:"clients to leave out, such as health checkers; as --clients"`
	MaxRate        int      `long:"max-rate" env:"NETMIRROR_MAX_RATE" value-name:"N" default:"0" description:"new connections forwarded per second, and the largest burst; the others are left out whole; 0: no limit"`
}

// Target is where they go, and how long netmirror waits for it.
type Target struct {
	To            targets       `long:"to" short:"t" env:"NETMIRROR_TO" env-delim:"," value-name:"HOST:PORT" description:"the shadow service; a name is looked up again after a second; tls://HOST:PORT connects by TLS, unix:///PATH and unix:@NAME to unix sockets; given more than once, each target gets every stream (required)"`
	DialTimeout   time.Duration `long:"dial-timeout" env:"NETMIRROR_DIAL_TIMEOUT" value-name:"TIME" default:"3s" description:"limit for one attempt to connect to the target"`
	MaxRetries    int           `long:"max-retries" env:"NETMIRROR_MAX_RETRIES" value-name:"N" default:"2" description:"further attempts to connect before a stream is given up"`
	WriteTimeout  time.Duration `long:"write-timeout" env:"NETMIRROR_WRITE_TIMEOUT" value-name:"TIME" default:"10s" description:"how long the target may accept no data before the stream is given up"`
	LingerTimeout time.Duration `long:"linger-timeout" env:"NETMIRROR_LINGER_TIMEOUT" value-name:"TIME" default:"30s" description:"how long the target may be silent after the client has finished, before the connection is closed"`
	ProxyProtocol string        `long:"proxy-protocol" env:"NETMIRROR_PROXY_PROTOCOL" value-name:"VERSION" default:"off" choice:"off" choice:"v1" choice:"v2" description:"begin each connection to the target with a PROXY protocol header that carries the original addresses of client and server; if the client's bytes begin with a header, none is added"`
	SourceAddress ipAddress     `long:"source-address" env:"NETMIRROR_SOURCE_ADDRESS" value-name:"ADDRESS" description:"local IP address to connect to the target from"`
	Mark          uint32        `long:"mark" env:"NETMIRROR_MARK" value-name:"N" default:"0" base:"0" description:"mark (SO_MARK) of the connections to the target, for routing rules and firewalls, like 7 or 0x2a; needs CAP_NET_ADMIN, or CAP_NET_RAW since Linux 5.17; 0: none"`
	TLSCA         string        `long:"tls-ca" env:"NETMIRROR_TLS_CA" value-name:"FILE" description:"CA certificates (PEM) to verify a tls:// target with, in place of the system's"`
	TLSName       string        `long:"tls-name" env:"NETMIRROR_TLS_NAME" value-name:"NAME" description:"name to request from a tls:// target (SNI) and to verify its certificate against, in place of its host"`
	TLSCert       string        `long:"tls-cert" env:"NETMIRROR_TLS_CERT" value-name:"FILE" description:"client certificate (PEM) for tls:// targets"`
	TLSKey        string        `long:"tls-key" env:"NETMIRROR_TLS_KEY" value-name:"FILE" description:"its key (PEM), if that is not in the file of --tls-cert"`
	TLSInsecure   bool          `long:"tls-insecure" env:"NETMIRROR_TLS_INSECURE" description:"accept any certificate of a tls:// target"`
}

// Requests says how to alter HTTP/1 requests on their way to the target.
type Requests struct {
	Mark     headerLines `long:"mark-requests" env:"NETMIRROR_MARK_REQUESTS" env-delim:"\n" value-name:"HEADER" description:"alters the stream: adds a header line, like 'X-Shadow: 1', to every HTTP/1 request; may be given more than once; off by default"`
	OnlyPath paths       `long:"only-path" env:"NETMIRROR_ONLY_PATH" env-delim:"," value-name:"PATH" description:"alters the stream: forwards only HTTP/1 requests whose path begins with one of these, a list with commas like /api,/v2; may be given more than once; off by default"`
	OnlyHost hosts       `long:"only-host" env:"NETMIRROR_ONLY_HOST" env-delim:"," value-name:"HOST" description:"alters the stream: forwards only HTTP/1 requests for these hosts, a list with commas like example.com, or .example.com for all names below it; may be given more than once; off by default"`
}

// Fidelity says what to do about packets that the mirror lost.
type Fidelity struct {
	GapTimeout        time.Duration `long:"gap-timeout" env:"NETMIRROR_GAP_TIMEOUT" value-name:"TIME" default:"1s" description:"how long to wait for a missing packet before the stream is reset"`
	OnGap             string        `long:"on-gap" env:"NETMIRROR_ON_GAP" value-name:"WHAT" default:"reset" choice:"reset" choice:"splice" description:"what to do when a packet is missing for good: reset the stream, or leave the bytes out, which alters the stream"`
	Midstream         string        `long:"midstream" env:"NETMIRROR_MIDSTREAM" value-name:"WHERE" default:"http" choice:"http" choice:"any" choice:"off" description:"where a stream may begin in a connection whose start was not seen, that lost a packet or whose target closed: at an HTTP/1 request, at any packet, or nowhere"`
	VerifyChecksums   string        `long:"verify-checksums" env:"NETMIRROR_VERIFY_CHECKSUMS" value-name:"WHEN" default:"auto" choice:"auto" choice:"always" choice:"never" description:"drop packets with a wrong TCP checksum: auto accepts those that checksum offload left unfinished, always does not, never checks nothing"`
	MaxPendingPackets int           `long:"max-pending-packets" env:"NETMIRROR_MAX_PENDING_PACKETS" value-name:"N" default:"128" description:"with more packets than this waiting behind a missing one, the wait is 50 ms at most; 0: always"`
}

// Budgets are what may be used.
type Budgets struct {
	MaxFlows    int           `long:"max-flows" env:"NETMIRROR_MAX_FLOWS" value-name:"N" default:"20000" description:"connections followed at a time; when the table is full, those with the least evidence of being real are evicted"`
	MaxHalfOpen int           `long:"max-half-open" env:"NETMIRROR_MAX_HALF_OPEN" value-name:"N" default:"65536" description:"connection attempts, and connections without a stream, that are remembered; the oldest are forgotten"`
	FlowKiB     int           `long:"flow-kib" env:"NETMIRROR_FLOW_KIB" value-name:"KIB" default:"16384" description:"memory for the undelivered packets of one connection"`
	TotalMiB    int           `long:"total-mib" env:"NETMIRROR_TOTAL_MIB" value-name:"MIB" default:"512" description:"memory for all connections together, without the ring; beyond it, those that hold most are given up"`
	MaxConns    int           `long:"max-conns" env:"NETMIRROR_MAX_CONNS" value-name:"N" default:"20000" description:"connections to the target open at a time; fewer if the limit of open files (ulimit -n) is lower"`
	IdleTimeout time.Duration `long:"idle-timeout" env:"NETMIRROR_IDLE_TIMEOUT" value-name:"TIME" default:"10m" description:"how long a connection may be silent before it is given up"`
}

// Reporting is what netmirror reports, and where.
type Reporting struct {
	HTTP          string        `long:"http" env:"NETMIRROR_HTTP" value-name:"ADDRESS" description:"serve metrics, health, live connections and a status page on [HOST]:PORT (127.0.0.1 if HOST is left out) or on the unix socket /PATH"`
	Pprof         bool          `long:"http-pprof" env:"NETMIRROR_HTTP_PPROF" description:"also serve Go's profiles, under /debug/pprof"`
	ReadyDrops    bool          `long:"ready-drops" env:"NETMIRROR_READY_DROPS" description:"/readyz answers 503 while the ring drops packets"`
	AlertBelow    alertBelow    `long:"alert-below" env:"NETMIRROR_ALERT_BELOW" value-name:"AMBER,RED" default:"99,95" description:"the headline turns amber, then red, when less than this percentage of what the clients sent in the last minute reached the target"`
	StatsInterval time.Duration `long:"stats-interval" env:"NETMIRROR_STATS_INTERVAL" value-name:"TIME" default:"1m" description:"how often to log the counters; 0: only at exit"`
	LogLevel      string        `long:"log-level" env:"NETMIRROR_LOG_LEVEL" value-name:"LEVEL" default:"info" description:"least severe level to log: off, error, warn, info, debug or trace"`
	LogFormat     string        `long:"log-format" env:"NETMIRROR_LOG_FORMAT" value-name:"FORMAT" default:"text" choice:"text" choice:"json" description:"format of the log"`
	Live          string        `long:"live" env:"NETMIRROR_LIVE" value-name:"WHEN" default:"auto" choice:"auto" choice:"off" description:"a line of rates at the bottom of the terminal: auto shows it when stderr is a terminal and the log is text"`
}

// Running is how the program runs as a whole.
type Running struct {
	Config          string        `long:"config" env:"NETMIRROR_CONFIG" value-name:"FILE" no-ini:"true" description:"read settings from a file: key=value lines under the [Sections] of this help, and a [Service NAME] for each service"`
	ShutdownTimeout time.Duration `long:"shutdown-timeout" env:"NETMIRROR_SHUTDOWN_TIMEOUT" value-name:"TIME" default:"10s" description:"how long to go on delivering after SIGTERM or SIGINT, and for a service that was removed from the settings"`
	Threads         int           `long:"threads" env:"NETMIRROR_THREADS" value-name:"N" default:"0" description:"processor cores to use at most; 0: all"`
	Workers         int           `long:"workers" env:"NETMIRROR_WORKERS" value-name:"N" default:"0" description:"independent rings and stacks that share the connections; 0: one for every two cores, 8 at most"`
	Nice            int           `long:"nice" env:"NETMIRROR_NICE" value-name:"N" default:"0" description:"nice value of all threads, -20 (favored) to 19; 0: as started; below 0 needs CAP_SYS_NICE"`
	Version         bool          `long:"version" no-ini:"true" description:"print the version and exit"`
	ManPage         bool          `long:"help-man" no-ini:"true" hidden:"true" description:"print the manual page and exit"`
}

// maxWorkers is how many sockets the kernel shares packets among.
const maxWorkers = 256

// defaultWorkers is the most that --workers 0 stands for. The workers share the ring's memory.
// With too little memory each, a capture that is delayed for a moment loses packets.
const defaultWorkers = 8

// Workers resolves --workers, after --threads was applied. A worker's gVisor and bridge take as
// much processor time as its capture.
func (o *Options) Workers() int {
	if o.Run.Workers > 0 {
		return o.Run.Workers
	}
	return min(max(runtime.GOMAXPROCS(0)/2, 1), defaultWorkers)
}
