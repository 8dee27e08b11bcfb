package corpus

import (
	"encoding/binary"
	"time"
)

// proxied are the scripts in which a load balancer has put a PROXY protocol
// header in front (haproxy, doc/proxy-protocol.txt).
func proxied() []script {
	var scripts []script
	for _, tt := range []struct{ name, header string }{
		{"v1 over IPv4", "PROXY TCP4 203.0.113.9 198.51.100.5 40117 8443\r\n"},
		{"v1 over IPv6", "PROXY TCP6 2001:db8::9 2001:db8::5 40117 8443\r\n"},
		{"v1 of nobody", "PROXY UNKNOWN\r\n"},
		{"v2 over IPv4", proxyV2(0x21, 0x11, "\xcb\x00\x71\x09\xc6\x33\x64\x05\x9c\xb5\x20\xfb")},
		{"v2 with a TLV", proxyV2(0x21, 0x11, "\xcb\x00\x71\x09\xc6\x33\x64\x05\x9c\xb5\x20\xfb\x02\x00\x0cshop.example")},
		{"v2 of nobody", proxyV2(0x20, 0x00, "")},
	} {
		scripts = append(scripts,
			script{"PROXY " + tt.name + ": a request behind a loss is picked up", fewShapes, nil, proxyLoss(tt.header, false)},
			script{"PROXY " + tt.name + " in a packet of its own: a request behind a loss is picked up", fewShapes, nil, proxyLoss(tt.header, true)},
			script{"PROXY " + tt.name + " in three packets: a request behind a loss is picked up", []shape{two}, nil, func(s *scene) {
				c := s.open()
				h := tt.header
				begun := c.send(h[:5]) + c.send(h[5:12]) + c.send(h[12:]) + c.request("/a")
				c.lose(get("/lost"))
				c.answered()
				s.wait(100 * time.Millisecond)
				s.reset(begun)
				s.eof(h + c.requests("/d"))
				c.close()
			}},
			script{"any: PROXY " + tt.name + " is in front of what goes on behind a loss", fewShapes, []string{"--midstream", "any"}, func(s *scene) {
				c := s.open()
				begun := c.send(tt.header) + c.send("alpha\n")
				c.serverAck()
				c.lose("beta\n")
				c.serverAck()
				s.wait(100 * time.Millisecond)
				s.reset(begun)
				s.eof(tt.header + c.send("gamma\n") + c.send("delta\n"))
				c.close()
			}},
			script{"PROXY " + tt.name + ": without loss all of it is one stream", fewShapes, nil, func(s *scene) {
				c := s.open()
				s.eof(c.send(tt.header) + c.requests("/a", "/b"))
				c.close()
				s.counted("end_complete", 1)
			}})
	}
	return scripts
}

// proxyV2 is a header of the second version.
func proxyV2(command, family byte, addresses string) string {
	h := append([]byte("\r\n\r\n\x00\r\nQUIT\n"), command, family)
	h = binary.BigEndian.AppendUint16(h, uint16(len(addresses)))
	return string(h) + addresses
}

func proxyLoss(header string, apart bool) func(s *scene) {
	return func(s *scene) {
		c := s.open()
		var begun string
		if apart {
			begun = c.send(header) + c.request("/a")
		} else {
			begun = c.send(header+get("/a")) + answering(c)
		}
		begun += c.request("/b")
		c.lose(get("/lost"))
		c.answered()
		s.wait(100 * time.Millisecond)
		next := c.requests("/d", "/e")
		c.close()
		// The header belongs to the connection: the target needs it again.
		s.reset(begun)
		s.eof(header + next)
		s.counted("end_gap", 1)
		s.counted("end_complete", 1)
	}
}
