package bridge

import (
	"errors"
	"sync/atomic"
)

// outcome is how a stream ended; every stream has exactly one.
type outcome uint8

const (
	complete      outcome = iota // the client's FIN and all before it were taken by the target
	clientReset                  // the client reset its connection
	gap                          // a hole in the mirror was given up
	targetRefused                // no attempt to connect succeeded
	noDescriptor                 // this host had no file descriptor left to connect with
	noPort                       // this host had no local port, or address, left to connect from
	targetClosed                 // the target reset or closed the connection before the client's end
	targetSlow                   // the target took nothing for too long
	idle                         // the client was silent for too long
	shed                         // a budget was spent, MaxConns among them
	shutdown                     // the program ends
	replaced                     // the client's address and port began a new connection
	serverReset                  // the real server reset the client's connection
	failed                       // the stream broke for a reason without a name
	outcomeCount
)

var outcomeNames = [outcomeCount]string{
	complete: "complete", clientReset: "client-reset", gap: "gap",
	targetRefused: "target-refused", noDescriptor: "no-descriptor", noPort: "no-port",
	targetClosed: "target-closed", targetSlow: "target-slow",
	idle: "idle", shed: "shed", shutdown: "shutdown", replaced: "replaced",
	serverReset: "server-reset", failed: "error",
}

func (o outcome) String() string { return outcomeNames[o] }

// outcomeOf names the end of a stream whose Read failed with err, which is not
// io.EOF. Only names that a stream can give itself are believed.
func outcomeOf(err error) outcome {
	var named interface{ Outcome() string }
	if !errors.As(err, &named) {
		return failed
	}
	name := named.Outcome()
	for _, o := range []outcome{clientReset, gap, idle, shed, shutdown, replaced, serverReset, targetClosed} {
		if name == o.String() {
			return o
		}
	}
	return failed
}

// Stats are totals since New, over all Serve calls. When no stream is open,
// Streams is the sum of Outcomes. BytesRead is BytesWritten + BytesUnsent: a byte
// is counted when it is known what became of it, and not at all while it is the
// accepted conn's again.
type Stats struct {
	Streams    uint64            // streams accepted, those turned away included
	Open       int64             // streams that have no outcome yet (a gauge)
	Outcomes   map[string]uint64 // ended streams by outcome; every name is present
	TurnedAway uint64            // streams beyond MaxConns, which Outcomes counts as shed

	Dials      uint64 // connect attempts for streams, retries included
	DialErrors uint64 // those that failed
	MaxConns   int    // how many streams may be open at a time

	ClosedFirst uint64 // streams whose target closed its side before the client did

	BytesRead      uint64 // read from streams and not given back by Unread
	BytesWritten   uint64 // taken by the kernel for the target; behind the target's FIN, acknowledged
	BytesUnsent    uint64 // read, never taken, and not given back: the conn has no Unread, or a shutdown closed it first
	BytesDiscarded uint64 // answers of the target, thrown away; the last 8 KiB of a stream may be missing
}

// counters is Stats while it changes.
type counters struct {
	streams, turnedAway              atomic.Uint64
	open                             atomic.Int64
	outcomes                         [outcomeCount]atomic.Uint64
	dials, dialErrors, closedFirst   atomic.Uint64
	read, written, unsent, discarded atomic.Uint64
}

// Stats may be called from any goroutine. Each figure is exact; figures of one
// call may be some instructions apart.
func (b *Bridge) Stats() Stats {
	n := &b.n
	s := Stats{
		Streams:        n.streams.Load(),
		Open:           n.open.Load(),
		Outcomes:       make(map[string]uint64, outcomeCount),
		TurnedAway:     n.turnedAway.Load(),
		Dials:          n.dials.Load(),
		DialErrors:     n.dialErrors.Load(),
		MaxConns:       b.cfg.MaxConns,
		ClosedFirst:    n.closedFirst.Load(),
		BytesRead:      n.read.Load(),
		BytesWritten:   n.written.Load(),
		BytesUnsent:    n.unsent.Load(),
		BytesDiscarded: n.discarded.Load(),
	}
	for o := range n.outcomes {
		s.Outcomes[outcomeNames[o]] = n.outcomes[o].Load()
	}
	return s
}
