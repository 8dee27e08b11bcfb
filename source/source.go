// Package source defines what the pipeline needs from a source of frames: the kernel's ring, a
// socket, a capture file. It opens and reads nothing itself.
package source

import (
	"slices"
	"time"

	"netmirror/service"
	"netmirror/wire"
)

// Source is where frames come from. One goroutine calls Next, and between two calls of
// it Start, BatchTime and More; the other methods may be called from any.
type Source interface {
	// Next waits for frames and returns a batch of them, at least one, in the order
	// in which they came. The frames, which may be written to, and the slice are
	// valid until the next call of Next or Close.
	//
	// The error is io.EOF when the source was stopped, or has come to its end, and
	// all that came before has been returned.
	Next() ([][]byte, error)
	// Start is what every frame of the batch begins with.
	Start() Start
	// BatchTime is when the first frame of the batch arrived, by the source's clock.
	BatchTime() time.Time
	// More reports whether another batch is waiting already.
	More() bool

	// Clock is the clock that the source's times are read from.
	Clock() Clock
	// CaughtUp is the time before which Next has returned everything that arrived, and its
	// caller has called Next again. now is the current time.
	CaughtUp(now time.Time) time.Time
	// Stats gives the counters; after Close those of its moment.
	Stats() Stats
	// Stop wakes Next and makes it return io.EOF after the last frame that has arrived.
	// Sources that share what arrives stop together.
	Stop()
	// Close ends the source at once and frees what it holds. It must not be called
	// while Next runs or a frame is in use. Further calls do nothing.
	Close() error
}

// Selecting is a Source that can leave out what certainly does not belong to a selection, to
// save work.
type Selecting interface {
	Source
	// Select changes the selection. Packets that belong to both the old and the new one are
	// not missed meanwhile. It may be called from any goroutine. Once the source is stopped,
	// it does nothing.
	Select(service.Selection) error
}

// Start is the header that a frame begins with.
type Start uint8

const (
	// Ethernet: a frame as a packet socket gives it, VLAN tags in band or stripped.
	Ethernet Start = iota
	// VXLAN: a VXLAN header (RFC 7348, section 5), the payload of a UDP datagram; those
	// below are the payloads of other mirrors' datagrams.
	VXLAN
	VXLANGPE // draft-ietf-nvo3-vxlan-gpe, section 3
	Geneve   // RFC 8926, section 3.4
	TZSP

	starts
)

// startNames are the headers' names.
var startNames = [starts]string{"Ethernet", "VXLAN", "VXLAN-GPE", "GENEVE", "TZSP"}

// startEncaps are what the payload of a UDP datagram is wrapped in.
var startEncaps = [starts]wire.Encap{
	Ethernet: wire.EncapNone,
	VXLAN:    wire.EncapVXLAN, VXLANGPE: wire.EncapVXLANGPE, Geneve: wire.EncapGeneve, TZSP: wire.EncapTZSP,
}

// StartOf is the header that the UDP payload of an encapsulation begins with. It is Ethernet
// for encapsulations that do not use UDP.
func StartOf(e wire.Encap) Start {
	return Start(max(slices.Index(startEncaps[:], e), 0))
}

// Encap is the encapsulation whose header a UDP payload begins with. It is EncapNone if frames
// are not UDP payloads.
func (s Start) Encap() wire.Encap {
	if s >= starts {
		return wire.EncapNone
	}
	return startEncaps[s]
}

// String is the header's name.
func (s Start) String() string {
	if s >= starts {
		return "unknown"
	}
	return startNames[s]
}

// Clock tells what passes time for a source.
type Clock uint8

const (
	// Wall: the host's clock. What is late is late for good.
	Wall Clock = iota
	// Stamps: nothing but the times of the frames. They are read as fast as they can
	// be, and between two batches no more time has passed than they say.
	Stamps
)
