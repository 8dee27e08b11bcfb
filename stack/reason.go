package stack

import "syscall"

// Drop names why a mirrored packet did not become part of a stream.
type Drop uint8

const (
	DropBadAddress  Drop = iota // an address that no TCP connection can have, or a bad header
	DropReverse                 // from the server to the client: evidence only
	DropNoPayload               // a pure acknowledgement: nothing to forward
	DropDuplicate               // nothing in it that was not there already
	DropOutOfWindow             // further ahead than any window reaches, or behind the FIN
	DropMidStream               // of a connection that no stream could begin in
	DropFlowOver                // of a connection that has ended
	DropTruncated               // cut by the mirror
	DropBadChecksum             // damaged; the real server has dropped it too
	DropGap                     // waited behind a hole that was given up
	DropFlowBudget              // the flow held all that it may hold
	DropTotalBudget             // all flows together held all that they may hold
	DropFlowLimit               // there were as many flows as there may be
	DropTargetEnded             // the target's connection ended before the client's
	DropReplaced                // the client opened a new connection on the same ports
	DropIdle                    // the flow was silent for too long
	DropRejected                // what the real server drops: no ACK, or an impossible one, or an old timestamp
	DropRefused                 // the server answered it with a reset: no connection
	DropProbe                   // the byte of a keep-alive or window probe
	DropSubflow                 // of an MPTCP connection of which not enough is known
	DropUnproven                // made room for others: it was not proven to be of a connection
	DropNotOpened               // gVisor did not take the connection within 5 s
	DropShutdown                // netmirror stopped
	NumDrops
)

var dropNames = [NumDrops]string{
	"bad_address", "reverse", "no_payload", "duplicate", "out_of_window", "mid_stream", "flow_over",
	"truncated", "bad_checksum", "gap", "flow_budget", "total_budget", "flow_limit", "target_ended",
	"replaced", "idle", "rejected", "refused", "probe", "mptcp", "unproven", "not_opened", "shutdown",
}

// String is the reason in the form of a metric's label.
func (d Drop) String() string {
	if d < NumDrops {
		return dropNames[d]
	}
	return "unknown"
}

// End is the error that a stream's Read returns where the client's bytes can
// not be followed any further: what was read so far is right, what comes next
// is not known.
type End uint8

const (
	EndClientReset End = iota // the client reset the connection
	EndServerReset            // the real server did
	EndGap                    // bytes are missing that will not come any more
	EndIdle                   // no packet for longer than Config.IdleTimeout
	EndShed                   // a budget was spent
	EndShutdown               // the stack is shutting down
	EndReplaced               // the client opened a new connection on the same ports
	EndTarget                 // the target has closed its side, and the next request needs another connection
	EndNotOpened              // gVisor did not take the connection: no stream was handed out
	numEnds
)

var ends = [numEnds]struct {
	name string
	drop Drop // what packets still held then are counted under
}{
	EndClientReset: {"client-reset", DropFlowOver},
	EndServerReset: {"server-reset", DropFlowOver},
	EndGap:         {"gap", DropGap},
	EndIdle:        {"idle", DropIdle},
	EndShed:        {"shed", DropFlowBudget},
	EndShutdown:    {"shutdown", DropShutdown},
	EndReplaced:    {"replaced", DropReplaced},
	EndTarget:      {"target-closed", DropTargetEnded},
	EndNotOpened:   {"not-opened", DropNotOpened},
}

// Outcome is the name that the end of the stream is counted under.
func (e End) Outcome() string { return ends[e].name }

func (e End) Error() string { return "stack: stream ended: " + ends[e].name }

// Unwrap makes a reset look like one to errors.Is.
func (e End) Unwrap() error {
	if e == EndClientReset || e == EndServerReset {
		return syscall.ECONNRESET
	}
	return nil
}

// final reports whether the connection is over with e, and not just the
// stream: what comes next on its ports is another connection.
func (e End) final() bool {
	return e == EndClientReset || e == EndServerReset || e == EndShutdown || e == EndReplaced
}
