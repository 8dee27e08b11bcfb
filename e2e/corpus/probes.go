package corpus

import (
	"fmt"
	"time"
)

// probes are the scripts in which one byte before the next one to be sent asks
// whether the server still lives. Its value means nothing (RFC 9293, section 3.8.4).
func probes() []script {
	scripts := []script{
		{"where the last byte was lost, a probe does not replace it", twoWay, nil, probeInHole("3", false)},
		{"where the last bytes were lost, a probe does not replace the last of them", everyShape, nil, probeInHole("345", false)},
		{"splice: a probe is no part of what a hole is spliced to", everyShape, []string{"--on-gap", "splice"}, probeInHole("345", true)},
		{"splice: a probe does not replace a single lost byte", twoWay, []string{"--on-gap", "splice"}, probeInHole("3", true)},
		{"any: a probe is no start of a stream", everyShape, []string{"--midstream", "any"}, func(s *scene) {
			c := s.older()
			c.probe(0)
			s.wait(100 * time.Millisecond)
			s.eof(c.send("hello ") + c.send("world\n"))
			c.close()
		}},
		{"any: a probe behind a loss is no start of a stream", twoWay, []string{"--midstream", "any"}, func(s *scene) {
			c := s.open()
			s.reset(c.send("alpha\n"))
			c.lose("beta\n")
			c.serverAck()
			s.wait(100 * time.Millisecond)
			c.probe('x')
			s.wait(100 * time.Millisecond)
			s.eof(c.send("gamma\n") + c.send("delta\n"))
			c.close()
		}},
		{"probes before the first request are no data", everyShape, nil, func(s *scene) {
			c := s.open()
			s.wait(20 * time.Millisecond)
			c.probe('P')
			s.wait(20 * time.Millisecond)
			c.probe('O')
			s.eof(c.requests("/first", "/second"))
			c.close()
		}},
	}
	scripts = append(scripts, moreProbes()...)
	for _, value := range []byte{0, 't', '\n', 'G', 0xff} {
		for _, before := range []time.Duration{100 * time.Millisecond, 1500 * time.Millisecond} {
			scripts = append(scripts,
				script{fmt.Sprintf("a probe of value %#02x, %v before a request, is no data", value, before), fewShapes, nil, probeBetween(value, before)},
				script{fmt.Sprintf("a probe of value %#02x, seen first and %v before a request, is no data", value, before), fewShapes, nil, probeFirst(value, before)})
		}
	}
	return scripts
}

func probeBetween(value byte, before time.Duration) func(s *scene) {
	return func(s *scene) {
		c := s.open()
		sent := c.request("/cart")
		s.wait(50 * time.Millisecond)
		c.probe(value)
		s.wait(before)
		sent += c.request("/till")
		c.probe(value)
		s.wait(20 * time.Millisecond)
		s.eof(sent + c.request("/bye"))
		c.close()
		s.counted("end_complete", 1)
	}
}

func probeFirst(value byte, before time.Duration) func(s *scene) {
	return func(s *scene) {
		c := s.older()
		c.probe(value)
		s.wait(before)
		s.eof(c.requests("/till", "/bye"))
		c.close()
		s.counted("picked_up", 1)
	}
}

// probeInHole loses the last bytes of a segment that the server has got, and
// sends a probe where the last of them was.
func probeInHole(lost string, splice bool) func(s *scene) {
	return func(s *scene) {
		c := s.open()
		const before, behind = "measure=12", ";next=1"
		begun := c.send(headOf("/m", len(before+lost+behind)) + before)
		c.lose(lost)
		c.serverAck()
		s.wait(100 * time.Millisecond)
		c.probe(0)
		s.wait(1200 * time.Millisecond) // more than --gap-timeout
		c.send(behind)
		c.answered()
		s.wait(100 * time.Millisecond)
		next := c.requests("/later", "/last")
		c.close()
		if splice {
			s.eof(begun + behind + next)
			s.counted("spliced_bytes", int64(len(lost)))
			return
		}
		s.reset(begun)
		s.eof(next)
		s.counted("end_gap", 1)
		s.counted("end_complete", 1)
	}
}

// moreProbes are the scripts with probes at other places.
func moreProbes() []script {
	return []script{
		{"a probe in the middle of a head is no part of it", everyShape, nil, func(s *scene) {
			c := s.open()
			r := get("/in-two-parts")
			sent := c.send(r[:17])
			c.serverAck()
			s.wait(200 * time.Millisecond)
			c.probe('#')
			s.wait(50 * time.Millisecond)
			sent += c.send(r[17:])
			c.answered()
			s.eof(sent + c.requests("/b"))
			c.close()
		}},
		{"a row of probes, with a byte and without, is no data", everyShape, nil, func(s *scene) {
			c := s.open()
			sent := c.requests("/a")
			for range 8 {
				c.probe('G')
				s.wait(30 * time.Millisecond)
				c.emit(seg{flags: "A", off: -1})
				c.serverAck()
				s.wait(30 * time.Millisecond)
			}
			s.eof(sent + c.requests("/b", "/c"))
			c.close()
		}},
		{"probes of the server are no data", []shape{two, six, plain}, nil, func(s *scene) {
			c := s.open()
			sent := c.requests("/a")
			for range 3 {
				c.emitServer(seg{flags: "A", off: -1, data: "H"})
				c.ack()
				s.wait(30 * time.Millisecond)
			}
			s.eof(sent + c.requests("/b"))
			c.close()
		}},
		{"probes seen first and just before a request are no data", fewShapes, nil, func(s *scene) {
			c := s.older()
			for range 3 {
				c.probe('Z')
				s.wait(10 * time.Millisecond)
			}
			s.eof(c.requests("/b", "/c"))
			c.close()
		}},
		{"a probe with a congestion mark does not replace a lost byte (RFC 3168, 6.1.3)", everyShape, nil, func(s *scene) {
			c := s.open()
			body := "measure=123"
			s.reset(c.send(headOf("/m", len(body)) + body[:len(body)-1]))
			c.lose(body[len(body)-1:])
			s.wait(1100 * time.Millisecond)
			c.emit(seg{flags: "AE", off: -1, data: "\x00"})
			c.answered()
			s.wait(100 * time.Millisecond)
			s.eof(c.requests("/b", "/c"))
			c.close()
		}},
		{"a probe seen first, and a request 1 ms later, is no data", everyShape, nil, func(s *scene) {
			c := s.older()
			c.probe('Z')
			s.eof(c.requests("/b", "/c"))
			c.close()
		}},
		{"a window probe that the server refuses carries the next byte all the same", everyShape, nil, func(s *scene) {
			c := s.open()
			whole := post("/wide", "0123456789abcdef")
			sent := c.send(whole[:len(whole)-6])
			c.serverAck()
			for range 3 {
				s.wait(150 * time.Millisecond)
				c.emit(seg{flags: "A", data: "a"})
				c.serverAck() // which does not cover it
			}
			s.wait(20 * time.Millisecond)
			sent += c.send("abcdef")
			c.answered()
			s.eof(sent + c.requests("/b"))
			c.close()
		}},
	}
}
