package status

import (
	"math"
	"strconv"
	"time"

	"netmirror/outcome"
)

// Delivery is the basis of the headline: the share of what the services' clients have sent
// that has reached the target.
//
// In bytes, the share is (Sent - Lost) ÷ Sent. Sent are the clients' bytes whose fate is
// known, each counted once, however often it came: those written to the target's
// connections, and those lost. Lost are
//
//   - holes: bytes that never came or came truncated. The sequence numbers around them
//     show them; they count once nobody waits for them any longer;
//   - bytes that came and joined no stream: behind such a hole, in a connection in which
//     no stream could begin (again), beyond a budget, or because the target refused the
//     connection, ended it or accepted data too slowly ([outcome.Drop.Place] says which);
//   - bytes that were sent to the target and not acknowledged when its connection was
//     reset;
//   - bytes that --only-path and --only-host left out because they could not judge them:
//     requests with a head that is too large, and what follows where it is ambiguous
//     where requests begin.
//
// Bytes that wait for a missing packet or for the target are not counted yet. What is left
// out on purpose is never lost: what no service of this netmirror selects (other networks
// and ports, --sample, --max-rate, the lists of clients, --only-path, --only-host), what the real server drops too,
// retransmissions, and what is still open at a shutdown. Two kinds of loss cannot be known:
// connections of which every packet was lost, and bytes before the first or after the last
// packet seen of a connection. With several targets, a client's bytes count once for each
// target.
//
// In streams, the share is Whole ÷ (Whole + LostStreams), of the streams that have ended.
// Whole are streams that their client or the real server ended, and that had something to
// forward. A connection that loses a packet is one lost stream; from the next request on it
// is another stream.
//
// A target that takes bytes and then ends the connection has them: they count as delivered.
// So the share of the bytes stays high where a target ends every stream after its first bytes,
// as one does that speaks another protocol. Such a target rejects the streams of a service: in
// the last minute it has ended at least ten of them, and more than half of all that ended,
// within 1 s of the client's first bytes. Then the headline is amber at least, and the log and the page
// say so. A target whose idle keep-alive connections end sooner than the real service's
// is ordinary, and is not told.
type Delivery struct {
	Sent uint64                    // bytes
	Lost [outcome.NumPlaces]uint64 // of them, by place; outcome.PlaceNone has none

	Whole, LostStreams uint64

	// AtOnce is, of LostStreams, those that the target ended within 1 s of their first bytes.
	AtOnce uint64
}

// rejected reports whether the target rejects what comes, which is not ordinary: in this
// time it has ended at least ten streams, and more than half of all, at once.
func (d *Delivery) rejected() bool { return d.AtOnce >= 10 && 2*d.AtOnce > d.Whole+d.LostStreams }

// Delivery is that of a service since the start, with all that was lost in the mirror at
// outcome.PlaceBefore: what was dropped here is of no service.
func (s *Service) Delivery() (d Delivery) {
	added := s.Bridge.Requests.BytesAdded // by netmirror
	d.Sent = s.Bridge.BytesWritten - min(added, s.Bridge.BytesWritten) + s.MissingBytes
	d.Lost[outcome.PlaceBefore] = s.MissingBytes
	for why, n := range s.Lost {
		if at := outcome.Drop(why).Place(); at != outcome.PlaceNone {
			d.Sent += n
			d.Lost[at] += n
		}
	}
	d.Lost[outcome.PlaceTarget] += s.Bridge.BytesUnacked
	unjudged := s.Bridge.Requests.Unjudged()
	d.Sent += unjudged
	d.Lost[outcome.PlaceNetmirror] += unjudged
	d.AtOnce = s.Bridge.ClosedAtOnce
	for e, n := range s.Bridge.Outcomes {
		switch e := outcome.End(e); {
		case e == outcome.EndShutdown, e == outcome.EndLeftOut:
		case e.Harmless():
			d.Whole += n
		default:
			d.LostStreams += n
		}
	}
	return d
}

// Delivery is that of services that there are no more.
func (p *Past) Delivery() Delivery {
	s := Service{Bridge: p.Bridge, MissingBytes: p.MissingBytes, Lost: p.Lost}
	return s.Delivery()
}

// Delivery is that of all services together since the start, with all that was lost in
// the mirror at outcome.PlaceBefore.
func (s *Snapshot) Delivery() (sum Delivery) {
	sum = s.Past.Delivery()
	for i := range s.Services {
		sum.add(s.Services[i].Delivery())
	}
	return sum
}

func (d *Delivery) add(o Delivery) {
	d.Sent += o.Sent
	for at, n := range o.Lost {
		d.Lost[at] += n
	}
	d.Whole += o.Whole
	d.LostStreams += o.LostStreams
	d.AtOnce += o.AtOnce
}

// LostBytes are those lost at all places.
func (d *Delivery) LostBytes() (sum uint64) {
	for _, n := range d.Lost {
		sum += n
	}
	return sum
}

// Bytes is the share of the bytes that reached the target, 0 to 1; NaN where none were
// sent.
func (d *Delivery) Bytes() float64 {
	return float64(d.Sent-min(d.LostBytes(), d.Sent)) / float64(d.Sent)
}

// Streams is the share of the streams that came whole, 0 to 1; NaN where none ended.
func (d *Delivery) Streams() float64 { return float64(d.Whole) / float64(d.Whole+d.LostStreams) }

// percent is a share for people. It is rounded down, to two digits behind the point, so
// that 100 says that nothing was lost.
func percent(share float64) float64 { return math.Floor(1e4*share+1e-9) / 100 }

// BytesText is [Delivery.Bytes] for people.
func (d *Delivery) BytesText() string { return percentText(d.Bytes()) }

// StreamsText is [Delivery.Streams] for people.
func (d *Delivery) StreamsText() string { return percentText(d.Streams()) }

func percentText(share float64) string {
	if math.IsNaN(share) {
		return "–"
	}
	return strconv.FormatFloat(percent(share), 'f', -1, 64) + " %"
}

// Alert is the shares of the last minute's bytes below which the headline is amber and
// red, 0 to 1.
type Alert struct{ Amber, Red float64 }

// DefaultAlert is so that a mirror that loses one packet in a hundred, and with it
// requests of some packets, is amber, and not red.
var DefaultAlert = Alert{Amber: 0.99, Red: 0.95}

// level is ok, warn (amber) or bad (red), or none where nothing was sent.
func (a Alert) level(share float64) string {
	switch {
	case math.IsNaN(share):
		return "none"
	case share < a.Red:
		return "bad"
	case share < a.Amber:
		return "warn"
	}
	return "ok"
}

// levelOf is the level of a Delivery. The bytes that a target has taken before it ended a
// stream count as delivered, so where it rejects streams their share alone says nothing.
func (a Alert) levelOf(d *Delivery, rejecting bool) string {
	level := a.level(d.Bytes())
	if rejecting && (level == "ok" || level == "none") {
		return "warn"
	}
	return level
}

// delivered is a Delivery since the start, and what it grew by in the last minute.
type delivered struct {
	Delivery
	last    Delivery // as the snapshot has it
	sent    growth
	lost    [outcome.NumPlaces]growth
	whole   growth
	streams growth // lost
	atOnce  growth
	rejects bool // the last minute's
}

// see takes what is known by now. moved is where what was lost in the mirror since the
// last time was lost.
func (d *delivered) see(now time.Duration, of Delivery, moved func(uint64) [outcome.NumPlaces]uint64) {
	const before = outcome.PlaceBefore
	lost := d.Lost
	for at, n := range moved(of.Lost[before] - min(d.last.Lost[before], of.Lost[before])) {
		lost[at] += n
	}
	d.last = of
	for at := range of.Lost {
		if at := outcome.Place(at); at != before && at != outcome.PlaceInterface && at != outcome.PlaceRing {
			lost[at] = of.Lost[at]
		}
	}
	of.Lost = lost
	d.Delivery = of
	d.sent.see(now, of.Sent)
	for at := range d.lost {
		d.lost[at].see(now, of.Lost[at])
	}
	d.whole.see(now, of.Whole)
	d.streams.see(now, of.LostStreams)
	d.atOnce.see(now, of.AtOnce)
}

// rejections is how many streams were rejected since it was called last, with those of
// the last minute where that has begun.
func (d *delivered) rejections(now time.Duration, before uint64) (n uint64) {
	m := d.minute(now)
	was := d.rejects
	d.rejects = m.rejected()
	switch {
	case !d.rejects:
		return 0
	case was:
		return d.AtOnce - min(before, d.AtOnce)
	}
	return m.AtOnce
}

// minute is what d grew by in the last minute.
func (d *delivered) minute(now time.Duration) (m Delivery) {
	m.Sent = d.sent.minute(now)
	for at := range d.lost {
		m.Lost[at] = d.lost[at].minute(now)
	}
	m.Whole, m.LostStreams, m.AtOnce = d.whole.minute(now), d.streams.minute(now), d.atOnce.minute(now)
	return m
}
