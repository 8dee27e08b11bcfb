package corpus

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// early are the scripts in which a stray comes before the connection's stream can begin.
func early() []script { return slices.Concat(strayBeforePickup(), lateInHandshake(), straySYN()) }

// straySYN are those in which a SYN comes that is none of an older connection's.
func straySYN() []script {
	var scripts []script
	for _, off := range []int{-3 << 29, -400_000, 400_000, 1 << 29, 3 << 29} {
		scripts = append(scripts, script{fmt.Sprintf("a SYN %d bytes away from an older connection changes nothing", off), fewShapes, nil, func(s *scene) {
			c := s.older()
			c.emit(seg{flags: "S", off: off, ago: 90 * time.Second})
			c.serverAck() // the challenge (RFC 5961, section 4.2)
			s.wait(30 * time.Millisecond)
			s.eof(c.requests("/a", "/b"))
			c.close()
		}})
	}
	return scripts
}

// strayBeforePickup are those of connections older than netmirror.
func strayBeforePickup() []script {
	var scripts []script
	for _, kind := range []struct {
		name string
		seg  seg
	}{
		{"data 900 KB ahead", seg{flags: "PA", off: 900_000, data: "0123456789"}},
		{"a FIN 5 KB ahead", seg{flags: "FA", off: 5000}},
		{"a FIN 900 KB ahead", seg{flags: "FA", off: 900_000}},
		{"a RST 700 bytes ahead", seg{flags: "R", off: 700}},
		{"a RST 900 KB ahead", seg{flags: "R", off: 900_000}},
	} {
		for _, pause := range []time.Duration{60 * time.Millisecond, 1300 * time.Millisecond} {
			scripts = append(scripts, script{fmt.Sprintf("in an older connection, %s before any request, and %v, change nothing", kind.name, pause), []shape{two}, nil, func(s *scene) {
				c := s.older()
				c.send("the end of a body")
				c.answered()
				s.wait(5 * time.Millisecond)
				c.emit(kind.seg)
				c.serverAck()
				s.wait(pause)
				s.eof(c.requests("/r0", "/r1", "/r2"))
				c.close()
			}})
		}
	}
	return append(scripts,
		script{"in an older connection, data 900 KB ahead that come first change nothing", twoWay, nil, func(s *scene) {
			c := s.older()
			c.emit(seg{flags: "PA", off: 900_000, data: "0123456789"})
			c.serverAck()
			s.wait(1300 * time.Millisecond)
			c.answer("an answer to what nobody has seen")
			c.ack()
			s.eof(c.requests("/r0", "/r1", "/r2"))
			c.close()
		}},
		script{"in an older connection, what is missing in a body counts once", everyShape, nil, func(s *scene) {
			c := s.older()
			c.sendAll(filler(5600), 1400)
			c.lose(filler(1400))
			c.sendAll(filler(56_000), 1400)
			c.answered()
			s.wait(1300 * time.Millisecond)
			s.eof(c.requests("/r0", "/r1"))
			c.close()
			s.counted("missing_bytes", 1400)
		}})
}

// lateInHandshake are those in which it is a late packet of the connection before on the same
// ports, and comes between the SYN and the ACK of the new one.
func lateInHandshake() []script {
	var scripts []script
	for _, late := range []struct{ name, flags, data string }{
		{"data", "PA", "the end of an older body, which is late."}, {"a request", "PA", "GET /late HTTP/1.1\r\nHost: shop.example\r\n\r\n"},
		{"a FIN", "FA", ""}, {"a RST", "R", ""},
	} {
		for _, off := range []int{-300_000, 100_000, 3 << 29} {
			for _, when := range []struct {
				name   string
				shown  shape
				synAck bool // it comes behind the SYN-ACK
				pause  time.Duration
			}{{"the SYN", onePlain, false, 0}, {"the SYN-ACK", plain, true, 0}, {"the SYN-ACK, then 70 ms", plain, true, 70 * time.Millisecond}} {
				stray := seg{flags: late.flags, data: late.data, off: off, ack: 500_000_000}
				scripts = append(scripts, script{fmt.Sprintf("%s of an older connection, %d bytes away, behind %s, changes nothing", late.name, off, when.name),
					[]shape{when.shown}, nil, lateBehind(stray, when.synAck, when.pause)})
			}
		}
	}
	return scripts
}

// lateBehind puts a stray behind the SYN of a new connection, or behind its SYN-ACK.
func lateBehind(stray seg, synAck bool, pause time.Duration) func(s *scene) {
	return func(s *scene) {
		c := s.fresh()
		c.syn()
		if synAck {
			c.synAck()
		}
		c.emit(stray)
		if synAck && strings.Contains(stray.flags, "A") {
			// The listener answers a wrong ACK (RFC 9293, section 3.10.7.3): <SEQ=SEG.ACK><CTL=RST>.
			c.emitServer(seg{flags: "R", off: stray.ack})
		}
		if !synAck {
			c.synAck()
		}
		c.ack()
		s.wait(pause)
		sent := c.requests("/n0", "/n1")
		s.wait(1200 * time.Millisecond)
		s.eof(sent + c.requests("/n2", "/n3"))
		c.close()
	}
}
