package bridge

import (
	"sync/atomic"

	"netmirror/outcome"
	"netmirror/requests"
)

// Stats are totals since New, over all Serve calls. When no stream is open or waits,
// Streams is the sum of Outcomes. BytesRead is BytesWritten + BytesUnsent: a byte counts
// when its fate is known, and does not count while it has been given back to the accepted
// stream. With Config.Requests, BytesRead + Requests.BytesAdded is
// BytesWritten + BytesUnsent + Requests.BytesLeftOut when no stream is open or waits.
type Stats struct {
	Streams    uint64                        // streams accepted, those turned away included
	Open       int64                         // streams that have a connection to the target, or are to get one now (a gauge)
	Waiting    int64                         // streams of which nothing was for the target so far, as Config.Requests says (a gauge)
	Outcomes   [outcome.NumStreamEnds]uint64 // ended streams, by outcome.End
	TurnedAway uint64                        // streams beyond Config.Room, which Outcomes counts as shed

	Dials      uint64 // connect attempts for streams, retries included
	DialErrors uint64 // those that failed

	ClosedFirst  uint64 // streams whose target closed its side before the client did
	ClosedAtOnce uint64 // of the Outcomes target-closed, those whose target ended within 1 s of the client's first bytes

	BytesRead      uint64 // read from streams and not given back by Unread
	BytesWritten   uint64 // taken by the kernel for the target; behind the target's FIN, acknowledged
	BytesUnacked   uint64 // of BytesWritten, what the target had not acknowledged when its connection was reset; counted at the end of a stream
	BytesUnsent    uint64 // read, never taken, and not given back: a shutdown closed the stream first
	BytesDiscarded uint64 // answers of the target, thrown away; the last 8 KiB of a stream may be missing

	Requests requests.Stats // what Config.Requests did
}

// Add adds the figures of another bridge.
func (s *Stats) Add(o Stats) {
	s.Streams += o.Streams
	s.Open += o.Open
	s.Waiting += o.Waiting
	for e := range s.Outcomes {
		s.Outcomes[e] += o.Outcomes[e]
	}
	s.TurnedAway += o.TurnedAway
	s.Dials += o.Dials
	s.DialErrors += o.DialErrors
	s.ClosedFirst += o.ClosedFirst
	s.ClosedAtOnce += o.ClosedAtOnce
	s.BytesRead += o.BytesRead
	s.BytesWritten += o.BytesWritten
	s.BytesUnacked += o.BytesUnacked
	s.BytesUnsent += o.BytesUnsent
	s.BytesDiscarded += o.BytesDiscarded
	s.Requests.Add(o.Requests)
}

// counters is Stats while it changes.
type counters struct {
	streams, turnedAway            atomic.Uint64
	open, waiting                  atomic.Int64
	outcomes                       [outcome.NumStreamEnds]atomic.Uint64
	dials, dialErrors, closedFirst atomic.Uint64
	closedAtOnce                   atomic.Uint64
	read, written, unacked         atomic.Uint64
	unsent, discarded              atomic.Uint64
}

// Stats may be called from any goroutine. Each figure is exact; figures of one
// call may be some instructions apart.
func (b *Bridge) Stats() Stats {
	n := &b.n
	waiting := n.waiting.Load() // first: a stream that goes on meanwhile counts twice, and not never
	s := Stats{
		Streams:        n.streams.Load(),
		Open:           n.open.Load(),
		Waiting:        waiting,
		TurnedAway:     n.turnedAway.Load(),
		Dials:          n.dials.Load(),
		DialErrors:     n.dialErrors.Load(),
		ClosedFirst:    n.closedFirst.Load(),
		ClosedAtOnce:   n.closedAtOnce.Load(),
		BytesRead:      n.read.Load(),
		BytesWritten:   n.written.Load(),
		BytesUnacked:   n.unacked.Load(),
		BytesUnsent:    n.unsent.Load(),
		BytesDiscarded: n.discarded.Load(),
		Requests:       b.cfg.Requests.Stats(),
	}
	for o := range n.outcomes {
		s.Outcomes[o] = n.outcomes[o].Load()
	}
	return s
}
