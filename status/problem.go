package status

import (
	"netmirror/outcome"
	"netmirror/stack"
)

// Severity says what a problem costs.
type Severity string

const (
	// Loss: something that a client sent has not reached the target, or not whole.
	Loss Severity = "loss"
	// Note: something is not as expected, and it may be as wanted.
	Note Severity = "note"
)

// Problem is something that an operator may want to look after.
type Problem struct {
	ID       string   `json:"id"`
	Severity Severity `json:"severity"`
	Count    uint64   `json:"count"`  // since the start
	Recent   uint64   `json:"recent"` // in the last minute
	Last     int64    `json:"last"`   // when it was last seen to grow, Unix milliseconds
	Text     string   `json:"text"`
	Remedy   string   `json:"remedy"`
}

// rule is how a problem is recognised: its count grows.
type rule struct {
	id       string
	severity Severity
	because  []string // others that it may come of: while they grow, the log leaves it out
	count    func(*Snapshot) uint64
	text     string // behind a number
	remedy   string
}

func dropped(d stack.Drop) func(*Snapshot) uint64 {
	return func(s *Snapshot) uint64 { return s.Stack.Dropped[d] }
}

func ended(e outcome.End) func(*Snapshot) uint64 {
	return func(s *Snapshot) uint64 { return s.Bridge.Outcomes[e] }
}

// rules are in the order of their weight. What they say is of the packets and
// streams that they count, whose number stands before it.
var rules = []rule{
	{"ring_full", Loss, nil, func(s *Snapshot) uint64 { return s.Ring.Drops },
		"packets found the ring full, and what they carried is lost",
		"give netmirror more processor time (fewer neighbours, more --workers), then a larger --ring-mib; or mirror fewer hosts to one netmirror"},
	{"target_refused", Loss, []string{"target_refused"}, // which bridge logs itself
		ended(outcome.EndTargetRefused),
		"streams were given up because the target took no connection",
		"see that the service at --to runs and is reachable from here; netmirror check tries it"},
	{"no_descriptor", Loss, []string{"no_descriptor"}, // bridge again, like the next
		ended(outcome.EndNoDescriptor),
		"streams were given up because no file descriptor was left to connect to the target with",
		"raise the limit of open files (LimitNOFILE= in the unit, ulimit -n in a shell), or lower --max-conns"},
	{"no_port", Loss, []string{"no_port"}, ended(outcome.EndNoPort),
		"streams were given up because no local port was left to connect to the target from",
		"widen net.ipv4.ip_local_port_range, or see why the target keeps so many connections open"},
	{"truncated", Loss, nil, (*Snapshot).truncated,
		"packets were cut by the mirror, and the streams that they are of are lost",
		"keep the MTU of the mirrored hosts at 8947 or less (8486 behind a network load balancer), and set no PacketLength on the mirror session"},
	{"gap", Loss, []string{"ring_full", "truncated"}, ended(outcome.EndGap),
		"streams were reset because the mirror has lost a packet of theirs",
		"a mirror drops its packets first where a host or its network is busy: look at the mirrored host's bandwidth, and at the drops of this host's interface (ethtool -S)"},
	{"target_slow", Loss, nil, ended(outcome.EndTargetSlow),
		"streams were reset because the target took nothing for too long",
		"give the target more capacity, or raise --write-timeout"},
	{"target_closed", Loss, []string{"target_refused", "no_descriptor", "no_port"},
		func(s *Snapshot) uint64 { return s.Stack.Dropped[stack.DropTargetEnded] },
		"packets went down with connections that the target closed before the client did",
		"look into the target's log; its keep-alive limits should not be below those of the real service"},
	{"max_conns", Loss, nil, func(s *Snapshot) uint64 { return s.Bridge.TurnedAway },
		"streams found as many connections to the target open as there may be",
		"raise --max-conns, or the limit of open files, where a warning at the start says that it is the lower one"},
	{"max_flows", Loss, nil, (*Snapshot).crowdedOut,
		"packets were of connections beyond those that may be followed",
		"raise --max-flows, and --total-mib by 20 KiB for each"},
	{"total_budget", Loss, nil, dropped(stack.DropTotalBudget),
		"packets went down because all connections together held more than they may",
		"raise --total-mib, or see why the target takes so little"},
	{"flow_budget", Loss, nil, dropped(stack.DropFlowBudget),
		"packets went down because their connection held more than it may",
		"raise --flow-kib, or see why the target takes so little"},
	{"bad_checksum", Loss, nil, dropped(stack.DropBadChecksum),
		"packets were dropped for a wrong TCP checksum",
		"where the mirrored host leaves checksums to its network card in a way that is not recognised, use --verify-checksums never"},
	{"fragments", Loss, nil, (*Snapshot).fragments,
		"fragments of the mirror's packets never became whole",
		"raise the MTU between the mirror and here, so that its packets need no fragments"},
	{"inner_fragments", Loss, nil, (*Snapshot).innerFragments,
		"fragments of mirrored packets never became whole",
		"look for what loses the mirror's packets; where path MTU discovery works, clients need no fragments"},
	{"cut", Loss, nil, func(s *Snapshot) uint64 { return s.Ring.Cut },
		"packets did not fit into the ring whole",
		"turn off receive offload on the interface (ethtool -K NAME gro off)"},
	{"idle", Loss, nil, ended(outcome.EndIdle),
		"streams were reset because their client was silent for too long",
		"raise --idle-timeout, if such connections are to be kept"},
	{"mptcp", Note, nil, dropped(stack.DropSubflow),
		"packets were of MPTCP connections of which not enough was seen",
		"mirror all addresses of the service: a client's second path may go to another one"},
	{"not_opened", Loss, nil, func(s *Snapshot) uint64 { return s.Stack.FlowsEnded[outcome.EndNotOpened] },
		"connections were given up because netmirror was kept from running for seconds",
		"give it more processor time, or fewer connections"},
	{"header_unknown", Note, nil, func(s *Snapshot) uint64 { return s.Stack.HeaderUnknown },
		"streams began in the middle of connections whose PROXY protocol header was not seen",
		"expect this for connections older than netmirror; the shadow service gets them without a header"},
	{"broken", Note, nil, (*Snapshot).broken,
		"packets could not be read",
		"find out what else is sent to the mirror's UDP port; the reasons are under drop_ in the log"},
	{"mid_stream", Note, nil, dropped(stack.DropMidStream),
		"packets were of connections in which no stream could begin",
		"nothing, where connections older than netmirror are not HTTP/1, or --midstream is off; else the mirror loses packets"},
	{"half_open", Note, nil, func(s *Snapshot) uint64 { return s.Stack.HalfOpenLost },
		"connection attempts were forgotten to remember newer ones",
		"expect this in a SYN flood; else raise --max-half-open"},
}

// silence and those that follow are problems that are there or not, and have no count.
var silence = rule{id: "silence", severity: Note,
	text: "no packet of the service has come so far",
	remedy: "run netmirror check with the same flags: it tells which VNIs, ports and directions the mirror brings; " +
		"the mirror's UDP port (--vxlan-port) must be let in from its sources"}

var onesided = rule{id: "one_direction", severity: Note,
	text:   "no packet from the clients has come, only the server's answers",
	remedy: "have the mirror session take both directions, or the one towards the service: netmirror forwards what clients send"}

var linkDown = rule{id: "link_down", severity: Loss,
	text:   "the interface is down, and nothing can be captured",
	remedy: "see why, or run: ip link set dev NAME up; the capture goes on by itself"}

// order is that of the problems when they are shown.
var order = func() []string {
	ids := []string{linkDown.id, silence.id, onesided.id}
	for _, r := range rules {
		ids = append(ids, r.id)
	}
	return ids
}()
