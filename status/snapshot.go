// Package status tells an operator what netmirror is doing: Prometheus metrics,
// health, the live connections, what is wrong and what to do about it, over HTTP
// and for the log.
//
// It only reads: no request changes anything. However many requests come, it asks the
// stages ten times a second at most.
package status

import (
	"time"

	"netmirror/bridge"
	"netmirror/decap"
	"netmirror/defrag"
	"netmirror/outcome"
	"netmirror/source"
	"netmirror/stack"
)

// Snapshot is every figure of netmirror at one moment, all workers together.
type Snapshot struct {
	Time time.Time

	Frames uint64                   // handed over by the capture
	Decap  [decap.NumReasons]uint64 // of them, those that went no further, by reason; OK is 0

	Inner defrag.Stats // of the mirrored packets' fragments, which were packets handed over
	Ring  source.Stats

	// InterfaceDrops is packets that the interface dropped or missed since netmirror began.
	InterfaceDrops uint64

	Copies uint64 // of packets of several services, beyond the first of each
	Stack  stack.Stats
	Bridge bridge.Stats // of all services

	MaxConns int // how many target connections there may be at a time

	Services []Service
	Past     Past    // of services that there were, or that come to their end
	Reloads  Reloads // which the Monitor adds

	// Start and Minute are what a Monitor makes of it: since the start, and of the last
	// minute.
	Start, Minute Delivery
	// Rejected is the streams that targets ended at once while they did so to most.
	Rejected uint64
}

// RingUse is the part of the ring that is occupied, 0 to 1.
func (s *Snapshot) RingUse() float64 {
	return float64(s.Ring.Waiting) / float64(max(s.Ring.Room, 1))
}

// truncated is how many packets the mirror has cut.
func (s *Snapshot) truncated() uint64 {
	return s.cut(true) + s.Stack.Dropped[outcome.DropTruncated]
}

// crowdedOut is how many packets found no room in the table of flows, or had to leave it.
func (s *Snapshot) crowdedOut() uint64 {
	return s.Stack.Dropped[outcome.DropFlowLimit] + s.Stack.Dropped[outcome.DropUnproven]
}

// broken is how many packets could not be read for another reason.
func (s *Snapshot) broken() uint64 { return s.cut(false) }

// cut is how many packets could not be read because the mirror cut them; false: because of
// something else.
func (s *Snapshot) cut(by bool) (n uint64) {
	for r := range decap.NumReasons {
		if r.Broken() && r.Cut() == by {
			n += s.Decap[r]
		}
	}
	return n
}

// fragments is how many outer fragments never became a packet.
func (s *Snapshot) fragments() uint64 { return s.Ring.FragmentStats.Lost() }

// innerFragments is how many fragments of mirrored packets never became whole.
func (s *Snapshot) innerFragments() uint64 { return s.Inner.Lost() }

// timeline gives times in Unix milliseconds that a step of the wall's clock does not
// move: charts and windows of time go on.
type timeline struct{ begin time.Time }

func (t timeline) since(at time.Time) time.Duration { return at.Sub(t.begin) }

func (t timeline) milli(at time.Time) int64 { return t.begin.UnixMilli() + t.since(at).Milliseconds() }

// Setting is a flag and the value in force.
type Setting struct {
	Service string `json:"service,omitempty"` // whose own it is
	Flag    string `json:"flag"`
	Value   string `json:"value"`
	Default bool   `json:"default"` // nobody has set it
}

// Phase is how far netmirror has got in its life.
type Phase string

const (
	Starting  Phase = "starting"
	Capturing Phase = "capturing"
	Draining  Phase = "draining" // the capture has ended; what was captured is being delivered
)
