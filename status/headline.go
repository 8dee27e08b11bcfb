package status

import (
	"math"
	"slices"
	"time"

	"netmirror/outcome"
	"netmirror/service"
)

// headline keeps what is said of all services together and of each. It is guarded by
// Monitor.mu.
type headline struct {
	timeline
	whence
	latest   time.Duration // of the snapshots
	all      delivered
	services map[service.ID]*delivered
	rejected uint64 // streams, as Snapshot.Rejected
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
	s.Start, s.Minute, s.Rejected = h.all.Delivery, h.all.minute(now), h.rejected
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
		before := d.AtOnce
		d.see(now, of, func(n uint64) [outcome.NumPlaces]uint64 {
			at := h.places(n)
			for p := range at {
				moved[p] += at[p]
			}
			return at
		})
		h.rejected += d.rejections(now, before)
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

// rejecting reports whether the target of a service has rejected the last minute's streams.
func (s *Snapshot) rejecting() bool {
	return slices.ContainsFunc(s.Services, func(f Service) bool { return f.Minute.rejected() })
}
