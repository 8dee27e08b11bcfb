package lab

import (
	"cmp"
	"net/netip"
	"slices"
)

// Coverage is the part of one client's stream that came over the mirror link.
type Coverage struct {
	SYN, FIN bool // whether they came

	base     uint32 // sequence number of the first segment that came
	segments []piece
}

// piece is a contiguous part of a stream. Its offset counts from the coverage's base,
// and is negative if earlier bytes came later.
type piece struct {
	at   int64
	data []byte
}

func (p piece) end() int64 { return p.at + int64(len(p.data)) }

// CoverageOf sorts sniffed packets by the clients of the service that listens
// on port. A client's address and port must not have served two connections.
func CoverageOf(packets [][]byte, port uint16) map[netip.AddrPort]*Coverage {
	clients := make(map[netip.AddrPort]*Coverage)
	for _, packet := range packets {
		s, ok := Mirrored(packet)
		if !ok || s.Dst.Port() != port {
			continue
		}
		c := clients[s.Src]
		if c == nil {
			c = &Coverage{base: s.Seq}
			clients[s.Src] = c
		}
		c.add(s)
	}
	for _, c := range clients {
		c.sort()
	}
	return clients
}

func (c *Coverage) sort() {
	slices.SortStableFunc(c.segments, func(a, b piece) int { return cmp.Compare(a.at, b.at) })
}

func (c *Coverage) add(s Segment) {
	c.SYN = c.SYN || s.SYN
	c.FIN = c.FIN || s.FIN
	if s.SYN {
		s.Seq++
	}
	if len(s.Payload) > 0 {
		c.segments = append(c.segments, piece{c.offset(s.Seq), s.Payload})
	}
}

func (c *Coverage) offset(seq uint32) int64 { return int64(int32(seq - c.base)) }

// Whole reports whether all n bytes from offset at on came.
func (c *Coverage) Whole(at, n int64) bool {
	for _, p := range c.segments {
		if p.at > at {
			break
		}
		if p.end() >= at+n {
			return true
		}
		if e := p.end(); e > at {
			at, n = e, n-(e-at)
		}
	}
	return n <= 0
}

// Starts calls f with each segment's offset and payload, in the order of the
// stream.
func (c *Coverage) Starts(f func(at int64, payload []byte)) {
	for _, p := range c.segments {
		f(p.at, p.data)
	}
}

// Runs returns the bytes that came, in the order of the stream. Each element has no
// hole.
func (c *Coverage) Runs() (runs [][]byte) {
	next := int64(0)
	for _, p := range c.segments {
		switch {
		case len(runs) == 0 || p.at > next:
			runs = append(runs, slices.Clone(p.data))
		case p.end() > next:
			last := &runs[len(runs)-1]
			*last = append(*last, p.data[next-p.at:]...)
		default:
			continue
		}
		next = p.end()
	}
	return runs
}
