package status

import (
	"math"
	"time"

	"netmirror/outcome"
	"netmirror/service"
)

// whence finds out where packets were lost that never came, by what this host has
// dropped at the time. A drop explains no more bytes than a packet can hold, and none
// that are found missing long after it; what no drop explains was lost before this host.
type whence struct {
	ring, iface credit
}

const (
	// ringPacket and interfacePacket are the most bytes that a packet dropped there can
	// have held. The ring's may be an aggregate; at an interface, packets of other kinds
	// are dropped as well, as those of protocols that the host does not know.
	ringPacket      = 64 << 10
	interfacePacket = 9000
	// explainedFor is for how long a drop explains a hole. One is given up after
	// --gap-timeout as a rule, and after ten times that at the latest.
	explainedFor = 15 * time.Second
)

// credit is what drops can explain that have not explained anything yet.
type credit struct {
	packets uint64 // dropped, since the start
	bytes   uint64
	until   time.Duration
}

func (c *credit) see(now time.Duration, packets, most uint64) {
	if now > c.until {
		c.bytes = 0
	}
	if packets > c.packets {
		c.bytes += (packets - c.packets) * most
		c.until = now + explainedFor
	}
	c.packets = packets
}

// spend explains as much of n as can be.
func (c *credit) spend(n uint64) uint64 {
	n = min(n, c.bytes)
	c.bytes -= n
	return n
}

func (w *whence) see(now time.Duration, s *Snapshot) {
	w.ring.see(now, s.Ring.Drops, ringPacket)
	w.iface.see(now, s.InterfaceDrops, interfacePacket)
}

// places are where n bytes were lost that are missing now.
func (w *whence) places(n uint64) (at [outcome.NumPlaces]uint64) {
	at[outcome.PlaceRing] = w.ring.spend(n)
	at[outcome.PlaceInterface] = w.iface.spend(n - at[outcome.PlaceRing])
	at[outcome.PlaceBefore] = n - at[outcome.PlaceRing] - at[outcome.PlaceInterface]
	return at
}

// headline keeps what is said of all services together and of each. It is guarded by
// Monitor.mu.
type headline struct {
	timeline
	whence
	latest   time.Duration // of the snapshots
	all      delivered
	services map[service.ID]*delivered
}

func newHeadline(begin time.Time) *headline {
	return &headline{timeline: timeline{begin}, services: make(map[service.ID]*delivered), latest: math.MinInt64}
}

// look takes a snapshot and puts into it what is known by it.
func (h *headline) look(s *Snapshot) {
	now := h.since(s.Time)
	if now < h.latest { // another goroutine was faster
		h.tell(h.latest, s)
		return
	}
	h.latest = now
	h.take(now, s)
	h.tell(now, s)
}

// tell puts what is known into a snapshot.
func (h *headline) tell(now time.Duration, s *Snapshot) {
	for i := range s.Services {
		f := &s.Services[i]
		if d := h.services[f.ID]; d != nil {
			f.Start, f.Minute = d.Delivery, d.minute(now)
		}
	}
	s.Start, s.Minute = h.all.Delivery, h.all.minute(now)
}

func (h *headline) take(now time.Duration, s *Snapshot) {
	h.whence.see(now, s)
	var moved [outcome.NumPlaces]uint64
	known := h.services
	h.services = make(map[service.ID]*delivered, len(s.Services)) // without those that are gone
	for i := range s.Services {
		f := &s.Services[i]
		of := f.Delivery()
		d := known[f.ID]
		if d == nil || of.Sent < d.last.Sent { // another service has its ID
			d = new(delivered)
		}
		h.services[f.ID] = d
		d.see(now, of, func(n uint64) [outcome.NumPlaces]uint64 {
			at := h.places(n)
			for p := range at {
				moved[p] += at[p]
			}
			return at
		})
	}
	h.all.see(now, s.Delivery(), func(n uint64) [outcome.NumPlaces]uint64 {
		for _, m := range moved {
			n -= min(n, m)
		}
		for p, m := range h.places(n) { // of services that are gone by now
			moved[p] += m
		}
		return moved
	})
}
