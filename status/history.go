package status

import (
	"time"

	"netmirror/decap"
	"netmirror/outcome"
)

const (
	// sampleEvery is the time between two samples of the history.
	sampleEvery = 2 * time.Second
	// historySpan is how far it goes back.
	historySpan = 15 * time.Minute
)

// Sample is one moment in the history. Fields that count do so since the start.
type Sample struct {
	T int64 `json:"t"` // Unix milliseconds

	Packets        uint64 `json:"packets"`
	BytesReceived  uint64 `json:"bytes_received"`
	BytesForwarded uint64 `json:"bytes_forwarded"`
	MissingBytes   uint64 `json:"missing_bytes"`
	Streams        uint64 `json:"streams"` // opened

	Flows       int     `json:"flows"`       // at the moment, like those below
	Connections int64   `json:"connections"` // to the target
	Held        uint64  `json:"held"`        // bytes that wait
	Ring        float64 `json:"ring"`        // part of it that is occupied, 0 to 1

	Lost map[string]uint64 `json:"lost"` // packets, by reason; reasons that count nothing are left out
	Cut  map[string]uint64 `json:"cut"`  // streams that ended before their client did, by outcome; likewise
}

// sample is what the history keeps of a snapshot.
func sample(s *Snapshot, t timeline) Sample {
	return Sample{
		T: t.milli(s.Time), Packets: s.Frames,
		BytesReceived: s.Stack.Bytes, BytesForwarded: s.Bridge.BytesWritten, MissingBytes: s.Stack.MissingBytes,
		Streams: s.Stack.FlowsOpened, Flows: s.Stack.Flows, Connections: s.Bridge.Open,
		Held: s.Stack.BytesHeld, Ring: s.RingUse(),
		Lost: lostPackets(s), Cut: cutStreams(s),
	}
}

// Lost is how many packets were lost, and how many streams were cut short, since
// the start; a single packet may count as both.
func (s *Snapshot) Lost() (packets, streams uint64) {
	for _, n := range lostPackets(s) {
		packets += n
	}
	for _, n := range cutStreams(s) {
		streams += n
	}
	return packets, streams
}

func lostPackets(s *Snapshot) map[string]uint64 {
	lost := make(map[string]uint64)
	losses(s, func(why outcome.Words, n uint64) {
		if n > 0 {
			lost[why.Name] += n
		}
	})
	return lost
}

// losses calls put for every reason that a packet can be lost for, with how many
// were.
func losses(s *Snapshot, put func(why outcome.Words, n uint64)) {
	put(outcome.Words{Name: "ring_full", Shown: "found the ring full"}, s.Ring.Drops)
	put(outcome.Words{Name: "fragment", Shown: "outer fragments that never became whole"}, s.fragments())
	put(outcome.Words{Name: "lost_inner_fragment", Shown: "fragments of mirrored packets that never became whole"}, s.innerFragments())
	for r := range decap.NumReasons {
		if r.Broken() {
			put(r.Words(), s.Decap[r])
		}
	}
	for d := range outcome.NumDrops {
		if !d.Harmless() {
			put(d.Words(), s.Stack.Dropped[d])
		}
	}
}

func cutStreams(s *Snapshot) map[string]uint64 {
	cut := make(map[string]uint64)
	for e, n := range s.Bridge.Outcomes {
		if e := outcome.End(e); n > 0 && !e.Harmless() {
			cut[e.String()] = n
		}
	}
	return cut
}

// history keeps the samples of historySpan.
type history struct {
	samples []Sample // oldest first
	next    time.Time
}

func (h *history) add(s *Snapshot, t timeline) {
	if s.Time.Before(h.next) {
		return
	}
	h.next = s.Time.Add(sampleEvery)
	if limit := int(historySpan / sampleEvery); len(h.samples) >= limit {
		h.samples = h.samples[:copy(h.samples, h.samples[len(h.samples)-limit+1:])]
	}
	h.samples = append(h.samples, sample(s, t))
}

// since are the samples behind a time in Unix milliseconds, copied.
func (h *history) since(t int64) []Sample {
	i := len(h.samples)
	for i > 0 && h.samples[i-1].T > t {
		i--
	}
	return append([]Sample{}, h.samples[i:]...)
}
