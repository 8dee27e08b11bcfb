package stack

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"
)

// unsized gives a segment as segmentation offload on Windows leaves it: no IP
// length, and the sum of the pseudo-header without a length for a checksum.
func unsized(m Segment) Segment {
	m.IP = bytes.Clone(m.IP)
	at := 2
	if m.IP[0]>>4 == 6 {
		at = 4
	}
	binary.BigEndian.PutUint16(m.IP[at:], 0)
	binary.BigEndian.PutUint16(m.IP[m.TCP+16:], pseudoSum(m.IP, 0))
	return m
}

func TestSegmentsWithoutALength(t *testing.T) {
	for _, family := range []struct{ name, src, dst string }{
		{"IPv4", "192.0.2.7:40000", "198.51.100.1:8080"},
		{"IPv6", "[2001:db8::7]:40000", "[2001:db8::1]:8080"},
	} {
		t.Run(family.name, func(t *testing.T) {
			s := newTimed(t, nil)
			c := newClient(t, 3)
			c.src, c.dst = netip.MustParseAddrPort(family.src), netip.MustParseAddrPort(family.dst)
			data := pattern(20000)
			s.Inject(append(c.opening(), unsized(c.data(0, data)), c.fin(len(data))))
			s.is(c, text(string(data), nil))
		})
	}
}
