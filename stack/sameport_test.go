package stack

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/google/gopacket/layers"
)

// Both ends use the service's port, and the connection is older than netmirror. The first
// packet is the server's; a request line or a status line tells who is who.
func TestTheServerComesFirstOnTheSamePort(t *testing.T) {
	const n = len(get1)
	for _, first := range []string{string(pattern(27)), noContent, ""} {
		s := newTimed(t, nil)
		c := newClient(t, 100)
		c.src = netip.MustParseAddrPort("192.0.2.7:8080")
		answer := func(seq uint32, off int, payload string) Segment {
			m := c.answer(seq, off, payload, nil)
			m.FromServer = false // the port does not tell
			return m
		}
		s.Inject([]Segment{answer(973, 0, first)})
		s.pass(5 * time.Millisecond)
		s.Inject([]Segment{c.data(0, []byte(get1)), answer(1000, n, noContent)})
		s.pass(100 * time.Millisecond)
		s.Inject([]Segment{c.packet(n, []byte(get2), func(t *layers.TCP) { t.Ack = 1027 }), answer(1027, 2*n, noContent)})
		s.pass(100 * time.Millisecond)
		s.Inject([]Segment{c.packet(2*n, nil, func(t *layers.TCP) { t.FIN, t.Ack = true, 1054 })})
		s.pass(2 * time.Second)
		s.is(c, text(get1+get2, nil))
	}
}

// With MidstreamAny, too, nothing of the server's is taken for the client's.
func TestTheServerComesFirstOnTheSamePortAndAnyByteBegins(t *testing.T) {
	const n = len(get1)
	for _, first := range []string{"a banner of the server's", string(pattern(27)), noContent} {
		for _, pause := range []time.Duration{time.Millisecond, 100 * time.Millisecond, 3 * time.Second} {
			t.Run(fmt.Sprintf("%.10q, %v", first, pause), func(t *testing.T) {
				s := newTimed(t, func(c *Config) { c.Services = []Service{{Midstream: MidstreamAny}} })
				c := newClient(t, 100)
				c.src = netip.MustParseAddrPort("192.0.2.7:8080")
				answer := func(seq uint32, off int, payload string) Segment {
					m := c.answer(seq, off, payload, nil)
					m.FromServer = false // the port does not tell
					return m
				}
				s.Inject([]Segment{answer(1000-uint32(len(first)), 0, first)})
				s.pass(pause)
				s.Inject([]Segment{c.data(0, []byte(get1)), answer(1000, n, noContent)})
				s.pass(pause)
				s.Inject([]Segment{c.packet(n, []byte(get2), func(t *layers.TCP) { t.Ack = 1027 }), answer(1027, 2*n, noContent)})
				s.pass(pause)
				s.Inject([]Segment{c.packet(2*n, nil, func(t *layers.TCP) { t.FIN, t.Ack = true, 1054 })})
				s.pass(2 * time.Second)
				s.is(c, text(get1+get2, nil))
				if len(s.streams) != 1 {
					t.Errorf("streams of %d ends, want the client's only", len(s.streams))
				}
			})
		}
	}
}
