package outcome

import "syscall"

// End is how a stream ended; every stream has exactly one. A Stream's TryRead returns it
// as an error if the client's bytes cannot be followed any further, and CloseWith takes it.
type End uint8

const (
	EndComplete      End = iota // the target took the client's FIN and everything before it
	EndClientReset              // the client reset its connection
	EndServerReset              // the real server reset the client's connection
	EndShutdown                 // netmirror stopped, or the service was removed from the settings
	EndLeftOut                  // it has no request that `--only-path` and `--only-host` let pass, and got no connection
	EndGap                      // a hole in the mirror was given up
	EndTargetRefused            // no attempt to connect succeeded
	EndNoDescriptor             // this host had no file descriptor left to connect with
	EndNoPort                   // this host had no local port or address left to connect from
	EndTargetClosed             // the target reset or closed the connection before the client's end
	EndTargetSlow               // the target accepted no data for too long
	EndShed                     // a budget was exceeded, --max-conns among them
	EndIdle                     // the client was silent for too long
	EndReplaced                 // the client opened a new connection on the same ports
	EndFailed                   // the stream broke for a reason without a name
	EndNotOpened                // gVisor did not open the connection, so there was no stream to hand out
	// NumEnds is how many there are.
	NumEnds
	// NumStreamEnds is how many of them are possible for a stream that was handed out.
	NumStreamEnds = EndNotOpened
)

// Words are the texts about e.
func (e End) Words() Words {
	if e < NumEnds {
		return ends[e].Words
	}
	return unknown
}

// String is e as the log and the metrics have it.
func (e End) String() string { return e.Words().Name }

// Harmless reports whether e costs no client anything: the client or its server ended
// the stream, netmirror was told to, or the stream was left out on purpose.
func (e End) Harmless() bool { return e.Words().Harmless }

// Error makes e an error that TryRead can return.
func (e End) Error() string { return "stream ended: " + e.String() }

// Unwrap lets errors.Is recognize a reset as ECONNRESET.
func (e End) Unwrap() error {
	if e == EndClientReset || e == EndServerReset {
		return syscall.ECONNRESET
	}
	return nil
}

// Readable reports whether TryRead may return e. The reader finds out about the other
// ends, and passes them to CloseWith.
func (e End) Readable() bool { return e < NumEnds && ends[e].readable }

// Final reports whether e ends the client's connection, not only the stream: what comes
// next on its ports is another connection.
func (e End) Final() bool { return ends[e].final }

// Drop is the reason counted for packets that are still held when a stream ends with e.
func (e End) Drop() Drop { return ends[e].drop }

var ends = [NumEnds]struct {
	Words
	drop     Drop
	readable bool
	final    bool
}{
	EndComplete: {Words: Words{Name: "complete", Harmless: true, Shown: "all that the client sent has arrived"},
		drop: DropFlowOver, final: true},
	EndClientReset: {Words: Words{Name: "client-reset", Harmless: true, Shown: "the client reset its connection, after all before it had arrived"},
		drop: DropFlowOver, readable: true, final: true},
	EndServerReset: {Words: Words{Name: "server-reset", Harmless: true, Shown: "the real server reset the connection"},
		drop: DropFlowOver, readable: true, final: true},
	EndShutdown: {Words: Words{Name: "shutdown", Harmless: true, Shown: "open when netmirror ended, or when its service was taken out of the settings"},
		drop: DropShutdown, readable: true, final: true},
	EndLeftOut: {Words: Words{Name: "left-out", Harmless: true, Shown: "no request of it was to be forwarded: it got no connection to the target"},
		drop: DropFlowOver},
	EndGap: {Words: Words{Name: "gap", Shown: "reset: the mirror lost a packet", Remedy: ProblemGap.Remedy()},
		drop: DropGap, readable: true},
	EndTargetRefused: {Words: Words{Name: "target-refused", Shown: "given up: the target took no connection", Remedy: ProblemTargetRefused.Remedy()},
		drop: DropTargetEnded},
	EndNoDescriptor: {Words: Words{Name: "no-descriptor", Shown: "given up: no file descriptor was left for a connection", Remedy: ProblemNoDescriptor.Remedy()},
		drop: DropNoSocket},
	EndNoPort: {Words: Words{Name: "no-port", Shown: "given up: no local port was left for a connection", Remedy: ProblemNoPort.Remedy()},
		drop: DropNoSocket},
	EndTargetClosed: {Words: Words{Name: "target-closed", Shown: "the target ended the connection before the client did", Remedy: ProblemTargetClosed.Remedy()},
		drop: DropTargetEnded, readable: true},
	EndTargetSlow: {Words: Words{Name: "target-slow", Shown: "reset: the target took nothing for too long", Remedy: ProblemTargetSlow.Remedy()},
		drop: DropTargetEnded},
	EndShed: {Words: Words{Name: "shed", Shown: "reset: a budget or --max-conns was spent",
		Remedy: "see which: conns_turned_away, drop_total_budget, drop_flow_budget, drop_flow_limit or drop_unproven grows with it"},
		drop: DropFlowBudget, readable: true},
	EndIdle: {Words: Words{Name: "idle", Shown: "reset: the client was silent for --idle-timeout", Remedy: ProblemIdle.Remedy()},
		drop: DropIdle, readable: true},
	EndReplaced: {Words: Words{Name: "replaced", Shown: "reset: its client began a new connection on the same ports", Remedy: ProblemGap.Remedy()},
		drop: DropReplaced, readable: true, final: true},
	EndFailed: {Words: Words{Name: "error", Shown: "it broke for another reason; see the log",
		Remedy: "a fault of netmirror's: report it with the log of --log-level debug"},
		drop: DropTargetEnded},
	EndNotOpened: {Words: Words{Name: "not-opened", Remedy: ProblemNotOpened.Remedy()},
		drop: DropNotOpened},
}
