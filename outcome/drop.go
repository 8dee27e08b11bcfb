package outcome

// Drop is why a mirrored packet did not become part of a stream.
type Drop uint8

const (
	DropBadAddress  Drop = iota // an address that no TCP connection can have, or a bad header
	DropReverse                 // from the server to the client: evidence only
	DropNoPayload               // a pure acknowledgement: nothing to forward
	DropDuplicate               // all of it had come before
	DropOutOfWindow             // further ahead than any window reaches, or behind the FIN
	DropMidStream               // of a connection in which no stream could begin
	DropFlowOver                // of a connection that has ended
	DropTruncated               // cut by the mirror
	DropBadChecksum             // damaged; the real server has dropped it too
	DropGap                     // it waited behind a hole that was given up
	DropFlowBudget              // its connection had reached --flow-kib
	DropTotalBudget             // all connections together had reached --total-mib
	DropFlowLimit               // the flow table was full
	DropTargetEnded             // the target's connection ended before the client's
	DropReplaced                // the client opened a new connection on the same ports
	DropIdle                    // its connection was silent for too long
	DropRejected                // the real server drops it too: no ACK, an impossible one, or an old timestamp
	DropRefused                 // the server answered it with a reset, so there is no connection
	DropProbe                   // the byte of a keep-alive or window probe
	DropSubflow                 // of an MPTCP connection of which not enough is known
	DropUnproven                // evicted to make room: nothing had proven that its connection is real
	DropNotOpened               // gVisor did not open its connection within 5 s
	DropMaxConns                // its stream exceeded the limit of connections to the target
	DropNoSocket                // this host had no file descriptor or local port left for its stream
	DropShutdown                // netmirror stopped, or the service was removed from the settings
	DropOverRate                // of a connection that began beyond --max-rate
	// NumDrops is how many there are.
	NumDrops
)

// Words are the texts about d.
func (d Drop) Words() Words {
	if d < NumDrops {
		return drops[d]
	}
	return unknown
}

// String is d as the log and the metrics have it.
func (d Drop) String() string { return d.Words().Name }

// Harmless reports whether dropping a packet for d costs no client anything.
func (d Drop) Harmless() bool { return d.Words().Harmless }

var drops = [NumDrops]Words{
	DropBadAddress:  {Name: "bad_address", Shown: "of no connection that there can be", Remedy: ProblemBroken.Remedy()},
	DropReverse:     {Name: "reverse", Harmless: true},
	DropNoPayload:   {Name: "no_payload", Harmless: true},
	DropDuplicate:   {Name: "duplicate", Harmless: true},
	DropOutOfWindow: {Name: "out_of_window", Shown: "of no connection that there can be", Remedy: ProblemBroken.Remedy()},
	DropMidStream:   {Name: "mid_stream", Shown: "of connections in which no stream could begin", Remedy: ProblemMidStream.Remedy()},
	DropFlowOver:    {Name: "flow_over", Harmless: true},
	DropTruncated:   {Name: "truncated", Shown: "cut by the mirror", Remedy: ProblemTruncated.Remedy()},
	DropBadChecksum: {Name: "bad_checksum", Shown: "wrong TCP checksum", Remedy: ProblemBadChecksum.Remedy()},
	DropGap:         {Name: "gap", Shown: "behind one that the mirror lost", Remedy: ProblemGap.Remedy()},
	DropFlowBudget:  {Name: "flow_budget", Shown: "beyond --flow-kib", Remedy: ProblemFlowBudget.Remedy()},
	DropTotalBudget: {Name: "total_budget", Shown: "beyond --total-mib", Remedy: ProblemTotalBudget.Remedy()},
	DropFlowLimit:   {Name: "flow_limit", Shown: "of connections beyond --max-flows", Remedy: ProblemMaxFlows.Remedy()},
	DropTargetEnded: {Name: "target_ended", Shown: "of streams that the target ended", Remedy: ProblemTargetClosed.Remedy()},
	DropReplaced:    {Name: "replaced", Shown: "of connections that their client replaced", Remedy: ProblemGap.Remedy()},
	DropIdle:        {Name: "idle", Shown: "of streams that were silent for too long", Remedy: ProblemIdle.Remedy()},
	DropRejected:    {Name: "rejected", Harmless: true},
	DropRefused:     {Name: "refused", Harmless: true},
	DropProbe:       {Name: "probe", Harmless: true},
	DropSubflow:     {Name: "mptcp", Shown: "of MPTCP connections of which too little was seen", Remedy: ProblemMPTCP.Remedy()},
	DropUnproven:    {Name: "unproven", Shown: "of what may be no connection, and had to make room", Remedy: ProblemMaxFlows.Remedy()},
	DropNotOpened:   {Name: "not_opened", Shown: "of connections that netmirror was too busy to open", Remedy: ProblemNotOpened.Remedy()},
	DropMaxConns:    {Name: "max_conns", Shown: "of streams beyond --max-conns", Remedy: ProblemMaxConns.Remedy()},
	DropNoSocket:    {Name: "no_socket", Shown: "of streams for which no file descriptor or local port was left", Remedy: ProblemNoDescriptor.Remedy()},
	DropShutdown:    {Name: "shutdown", Harmless: true},
	DropOverRate:    {Name: "over_rate", Harmless: true},
}
