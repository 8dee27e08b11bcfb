package outcome

// Severity says what a problem costs.
type Severity string

const (
	// Loss: something that a client sent has not reached the target, or not whole.
	Loss Severity = "loss"
	// Note: something is unusual, but may be intended.
	Note Severity = "note"
)

// Problem is something that may need an operator's attention. The most serious come
// first.
type Problem uint8

const (
	ProblemLinkDown Problem = iota
	ProblemSilence
	ProblemOneDirection
	ProblemLeftOut
	ProblemRingFull
	ProblemTargetRefused
	ProblemTargetRejects
	ProblemNoDescriptor
	ProblemNoPort
	ProblemTruncated
	ProblemGap
	ProblemTargetSlow
	ProblemTargetClosed
	ProblemMaxConns
	ProblemMaxFlows
	ProblemTotalBudget
	ProblemFlowBudget
	ProblemBadChecksum
	ProblemFragments
	ProblemInnerFragments
	ProblemCut
	ProblemIdle
	ProblemMPTCP
	ProblemNotOpened
	ProblemHeaderUnknown
	ProblemHeadTooLarge
	ProblemAmbiguous
	ProblemBroken
	ProblemMidStream
	ProblemHalfOpen
	// NumProblems is how many there are.
	NumProblems
)

// Severity says what p costs.
func (p Problem) Severity() Severity { return problems[p].severity }

// String is the name of p: a word for programs, as in /status.json.
func (p Problem) String() string { return problems[p].name }

// Text says what is wrong. If p is counted, the number of packets, streams, connections
// or bytes stands in front of it.
func (p Problem) Text() string { return problems[p].text }

// Remedy is what an operator can do about p.
func (p Problem) Remedy() string { return problems[p].remedy }

var problems = [NumProblems]struct {
	name         string
	severity     Severity
	text, remedy string
}{
	ProblemLinkDown: {"link_down", Loss,
		"an interface is down or has no carrier, and nothing can be captured on it",
		"run: ip link set dev NAME up; if it has no carrier (ip -br link), bring up its other end; the capture resumes by itself"},
	ProblemSilence: {"silence", Note,
		"no packet of the service has come so far",
		"run netmirror check with the same flags: it shows which VNIs, ports and directions the mirror brings; " +
			"the firewall must admit the mirror's UDP port (--mirror-port) from its sources"},
	ProblemOneDirection: {"one_direction", Note,
		"no packet from the clients has come, only the server's answers",
		"have the mirror session take both directions, or the one towards the service: netmirror forwards what clients send"},
	ProblemLeftOut: {"left_out", Note,
		"clients were heard, and the settings leave out all of them",
		"correct --clients, --exclude-clients, --only-path or --only-host, the last two of which leave out all that is not HTTP/1; the stats line has how much each leaves out"},
	ProblemRingFull: {"ring_full", Loss,
		"packets found the ring full and were lost",
		"give netmirror more processor time (fewer neighbors, more --workers), then a larger --ring-mib; or mirror fewer hosts to one netmirror"},
	ProblemTargetRefused: {"target_refused", Loss,
		"streams were given up because the target took no connection",
		"make sure that the service at --to runs and is reachable from here; netmirror check tries it"},
	ProblemTargetRejects: {"target_rejects", Loss,
		"streams were ended by the target within 1 s of their first bytes",
		"make sure that the target speaks the clients' protocol (if it wants TLS, write --to tls://HOST:PORT), keeps connections alive, and admits this host; its log says why it ends them"},
	ProblemNoDescriptor: {"no_descriptor", Loss,
		"streams were given up because no file descriptor was left to connect to the target",
		"raise the limit of open files (LimitNOFILE= in the unit, ulimit -n in a shell), or lower --max-conns"},
	ProblemNoPort: {"no_port", Loss,
		"streams were given up because no local port was left to connect to the target",
		"widen net.ipv4.ip_local_port_range, or find out why the target keeps so many connections open"},
	ProblemTruncated: {"truncated", Loss,
		"the mirror cut packets, and their streams were reset",
		"keep the MTU of the mirrored hosts at 8947 or less (8486 behind a network load balancer), and set no PacketLength on the mirror session; for a capture file, capture whole packets (tcpdump -s 0)"},
	ProblemGap: {"gap", Loss,
		"streams were reset because the mirror lost one of their packets",
		"a mirror drops packets first when a host or its network is busy: check the mirrored host's bandwidth, and the drops of this host's interface (ethtool -S)"},
	ProblemTargetSlow: {"target_slow", Loss,
		"streams were reset because the target accepted no data for too long",
		"give the target more capacity, or raise --write-timeout"},
	ProblemTargetClosed: {"target_closed", Loss,
		"packets were lost with connections that the target closed before the client did",
		"check the target's log; its keep-alive limits should not be below those of the real service"},
	ProblemMaxConns: {"max_conns", Loss,
		"streams were reset because --max-conns connections to the target were open",
		"raise --max-conns, or the limit of open files if a warning at the start says that it is lower; if the target neither answers nor closes, lower --linger-timeout"},
	ProblemMaxFlows: {"max_flows", Loss,
		"packets belonged to connections beyond --max-flows",
		"raise --max-flows, and --total-mib by 20 KiB for each"},
	ProblemTotalBudget: {"total_budget", Loss,
		"packets were dropped because all connections together exceeded --total-mib",
		"raise --total-mib, or find out why the target accepts data slowly"},
	ProblemFlowBudget: {"flow_budget", Loss,
		"packets were dropped because their connection exceeded --flow-kib",
		"raise --flow-kib, or find out why the target accepts data slowly"},
	ProblemBadChecksum: {"bad_checksum", Loss,
		"packets were dropped for a wrong TCP checksum",
		"if the mirrored host leaves checksums to its network card and netmirror does not recognize how, use --verify-checksums never"},
	ProblemFragments: {"fragments", Loss,
		"fragments of the mirror's packets never became whole",
		"raise the MTU between the mirror and here, so that its packets need no fragments"},
	ProblemInnerFragments: {"inner_fragments", Loss,
		"fragments of mirrored packets never became whole",
		"find out what loses the mirror's packets; with path MTU discovery, clients need no fragments"},
	ProblemCut: {"cut", Loss,
		"packets did not fit into the ring, or the capture file, whole",
		"turn off receive offload on the interface that was captured on (ethtool -K NAME gro off); for a file, capture whole packets (tcpdump -s 0)"},
	ProblemIdle: {"idle", Loss,
		"streams were reset because their client was silent for too long",
		"raise --idle-timeout to keep such connections"},
	ProblemMPTCP: {"mptcp", Note,
		"packets belonged to MPTCP connections of which not enough was seen",
		"mirror all addresses of the service: a client's second path may go to another one"},
	ProblemNotOpened: {"not_opened", Loss,
		"connections were given up because netmirror got no processor time for seconds",
		"give it more processor time, or fewer connections"},
	ProblemHeaderUnknown: {"header_unknown", Note,
		"streams began in the middle of connections whose PROXY protocol header was not seen",
		"expect this for connections older than netmirror; the shadow service gets them without a header"},
	ProblemHeadTooLarge: {"head_too_large", Loss,
		"requests were left out because their head was too large to be judged by --only-path and --only-host",
		"find out which clients send heads of more than 64 KiB; without --only-path and --only-host they are forwarded"},
	ProblemAmbiguous: {"ambiguous", Loss,
		"bytes were left out because --only-path and --only-host could not tell where their requests begin",
		"find out which clients send Content-Length with Transfer-Encoding, or malformed chunks; without --only-path and --only-host they are forwarded"},
	ProblemBroken: {"broken", Note,
		"packets could not be read",
		"find out what else is sent to the mirror's UDP port; the reasons are under drop_ in the log"},
	ProblemMidStream: {"mid_stream", Note,
		"packets belonged to connections in which no stream could begin",
		"normal for non-HTTP/1 connections older than netmirror, and with --midstream off; otherwise the target closed their connections, or the mirror loses packets"},
	ProblemHalfOpen: {"half_open", Note,
		"connection attempts were forgotten to remember newer ones",
		"expect this in a SYN flood; otherwise raise --max-half-open"},
}
