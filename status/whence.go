package status

import (
	"time"

	"netmirror/outcome"
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
