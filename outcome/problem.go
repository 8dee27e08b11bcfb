package outcome

// Severity says what a problem costs.
type Severity string

const (
	// Loss: something that a client sent has not reached the target, or not whole.
	Loss Severity = "loss"
	// Note: something is not as expected, and it may be as wanted.
	Note Severity = "note"
)

// Problem is something that an operator may want to look after. The weightier ones
// come first.
type Problem uint8

const (
	ProblemLinkDown Problem = iota
	ProblemSilence
	ProblemOneDirection
	ProblemRingFull
	ProblemTargetRefused
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

// Text says what is wrong. Where p is counted, the number of packets, streams or
// connections that it is about stands before it.
func (p Problem) Text() string { return problems[p].text }

// Remedy is what an operator can do about p.
func (p Problem) Remedy() string { return problems[p].remedy }

var problems = [NumProblems]struct {
	name         string
	severity     Severity
	text, remedy string
}{
	ProblemLinkDown: {"link_down", Loss,
		"the interface is down, and nothing can be captured",
		"see why, or run: ip link set dev NAME up; the capture goes on by itself"},
	ProblemSilence: {"silence", Note,
		"no packet of the service has come so far",
		"run netmirror check with the same flags: it tells which VNIs, ports and directions the mirror brings; " +
			"the mirror's UDP port (--vxlan-port) must be let in from its sources"},
	ProblemOneDirection: {"one_direction", Note,
		"no packet from the clients has come, only the server's answers",
		"have the mirror session take both directions, or the one towards the service: netmirror forwards what clients send"},
	ProblemRingFull: {"ring_full", Loss,
		"packets found the ring full, and what they carried is lost",
		"give netmirror more processor time (fewer neighbours, more --workers), then a larger --ring-mib; or mirror fewer hosts to one netmirror"},
	ProblemTargetRefused: {"target_refused", Loss,
		"streams were given up because the target took no connection",
		"see that the service at --to runs and is reachable from here; netmirror check tries it"},
	ProblemNoDescriptor: {"no_descriptor", Loss,
		"streams were given up because no file descriptor was left to connect to the target with",
		"raise the limit of open files (LimitNOFILE= in the unit, ulimit -n in a shell), or lower --max-conns"},
	ProblemNoPort: {"no_port", Loss,
		"streams were given up because no local port was left to connect to the target from",
		"widen net.ipv4.ip_local_port_range, or see why the target keeps so many connections open"},
	ProblemTruncated: {"truncated", Loss,
		"packets were cut by the mirror, and the streams that they are of are lost",
		"keep the MTU of the mirrored hosts at 8947 or less (8486 behind a network load balancer), and set no PacketLength on the mirror session"},
	ProblemGap: {"gap", Loss,
		"streams were reset because the mirror has lost a packet of theirs",
		"a mirror drops its packets first where a host or its network is busy: look at the mirrored host's bandwidth, and at the drops of this host's interface (ethtool -S)"},
	ProblemTargetSlow: {"target_slow", Loss,
		"streams were reset because the target took nothing for too long",
		"give the target more capacity, or raise --write-timeout"},
	ProblemTargetClosed: {"target_closed", Loss,
		"packets went down with connections that the target closed before the client did",
		"look into the target's log; its keep-alive limits should not be below those of the real service"},
	ProblemMaxConns: {"max_conns", Loss,
		"streams found as many connections to the target open as there may be",
		"raise --max-conns, or the limit of open files, where a warning at the start says that it is the lower one"},
	ProblemMaxFlows: {"max_flows", Loss,
		"packets were of connections beyond those that may be followed",
		"raise --max-flows, and --total-mib by 20 KiB for each"},
	ProblemTotalBudget: {"total_budget", Loss,
		"packets went down because all connections together held more than they may",
		"raise --total-mib, or see why the target takes so little"},
	ProblemFlowBudget: {"flow_budget", Loss,
		"packets went down because their connection held more than it may",
		"raise --flow-kib, or see why the target takes so little"},
	ProblemBadChecksum: {"bad_checksum", Loss,
		"packets were dropped for a wrong TCP checksum",
		"where the mirrored host leaves checksums to its network card in a way that is not recognised, use --verify-checksums never"},
	ProblemFragments: {"fragments", Loss,
		"fragments of the mirror's packets never became whole",
		"raise the MTU between the mirror and here, so that its packets need no fragments"},
	ProblemInnerFragments: {"inner_fragments", Loss,
		"fragments of mirrored packets never became whole",
		"look for what loses the mirror's packets; where path MTU discovery works, clients need no fragments"},
	ProblemCut: {"cut", Loss,
		"packets did not fit into the ring whole",
		"turn off receive offload on the interface (ethtool -K NAME gro off)"},
	ProblemIdle: {"idle", Loss,
		"streams were reset because their client was silent for too long",
		"raise --idle-timeout, if such connections are to be kept"},
	ProblemMPTCP: {"mptcp", Note,
		"packets were of MPTCP connections of which not enough was seen",
		"mirror all addresses of the service: a client's second path may go to another one"},
	ProblemNotOpened: {"not_opened", Loss,
		"connections were given up because netmirror was kept from running for seconds",
		"give it more processor time, or fewer connections"},
	ProblemHeaderUnknown: {"header_unknown", Note,
		"streams began in the middle of connections whose PROXY protocol header was not seen",
		"expect this for connections older than netmirror; the shadow service gets them without a header"},
	ProblemBroken: {"broken", Note,
		"packets could not be read",
		"find out what else is sent to the mirror's UDP port; the reasons are under drop_ in the log"},
	ProblemMidStream: {"mid_stream", Note,
		"packets were of connections in which no stream could begin",
		"nothing, where connections older than netmirror are not HTTP/1, or --midstream is off; else the mirror loses packets"},
	ProblemHalfOpen: {"half_open", Note,
		"connection attempts were forgotten to remember newer ones",
		"expect this in a SYN flood; else raise --max-half-open"},
}
