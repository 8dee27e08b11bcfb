package stack

import (
	"testing"
	"time"

	"github.com/google/gopacket/layers"
)

// What a real server drops, or is of another connection, and comes while the first request
// of a connection older than netmirror waits, changes nothing of that connection.
func TestAStrayPacketWhileARequestWaits(t *testing.T) {
	const n = len(get1)
	evil := []byte("GET /evil HTTP/1.1\r\n\r\n")
	acks := func(ack uint32) func(c *client) Segment {
		return func(c *client) Segment { return c.packet(n, evil, func(t *layers.TCP) { t.Ack = ack }) }
	}
	for name, stray := range map[string]func(c *client) Segment{
		"a SYN where the client has come to": func(c *client) Segment { return c.packet(n, nil, func(t *layers.TCP) { t.SYN, t.ACK = true, false }) },
		"a SYN in the middle of the request": func(c *client) Segment { return c.packet(4, nil, func(t *layers.TCP) { t.SYN, t.ACK = true, false }) },
		"a SYN far ahead": func(c *client) Segment {
			return c.packet(5<<25, nil, func(t *layers.TCP) { t.SYN, t.ACK = true, false })
		},
		"a SYN far back": func(c *client) Segment {
			return c.packet(-5<<25, nil, func(t *layers.TCP) { t.SYN, t.ACK = true, false })
		},
		"a timestamp that is too old": func(c *client) Segment { return c.stamped(900_000).ask(n, string(evil), 1) },
		"a FIN with such a one": func(c *client) Segment {
			return c.stamped(900_000).packet(n, nil, func(t *layers.TCP) { t.FIN = true })
		},
		"an acknowledgement from long ago":          acks(1<<32 - 1<<28),
		"an acknowledgement of what is far away":    acks(1 << 28),
		"data just beyond a window without a scale": func(c *client) Segment { return c.ask(n+70000, string(evil), 1) },
		"data far ahead":                            func(c *client) Segment { return c.ask(n+1<<28, string(evil), 1) },
	} {
		for mode, set := range map[string]func(*Config){
			"http": nil, "any": func(c *Config) { c.Services = []Service{{Midstream: MidstreamAny}} }, "splice": func(c *Config) { c.Services = []Service{{OnGap: GapSplice}} },
		} {
			t.Run(name+", "+mode, func(t *testing.T) {
				s := newTimed(t, set)
				c := newClient(t, 1<<30).stamped(1_000_000)
				s.Inject([]Segment{c.ask(0, get1, 1)})
				s.pass(10 * time.Millisecond)
				s.Inject([]Segment{stray(c)})
				s.pass(20 * time.Millisecond)
				s.Inject([]Segment{c.ask(n, get2, 2)})
				s.pass(400 * time.Millisecond)
				s.Inject([]Segment{c.ask(2*n, get3, 3)})
				s.pass(3 * time.Second)
				s.Inject([]Segment{c.packet(3*n, nil, func(t *layers.TCP) { t.FIN, t.Ack = true, 4000 })})
				s.pass(2 * time.Second)
				s.is(c, text(get1+get2+get3, nil))
			})
		}
	}
}
