package corpus

import "time"

// controls are the scripts that guard what a mended fault could break again.
func controls() []script { return append(append(goingOn(), delayed()...), beginningsAndEnds()...) }

// goingOn are the scripts in the middle of connections.
func goingOn() []script {
	return []script{
		{"a window probe carries the next byte", everyShape, nil, func(s *scene) {
			c := s.open()
			whole := post("/wide", "0123456789abcdef")
			sent := c.send(whole[:len(whole)-6])
			c.serverAck()
			s.wait(200 * time.Millisecond)
			sent += c.send("a")
			c.serverAck()
			s.wait(20 * time.Millisecond)
			sent += c.send("bcdef")
			c.answered()
			s.eof(sent + c.requests("/b"))
			c.close()
		}},
		{"a request that comes a byte at a time is no row of probes", everyShape, nil, func(s *scene) {
			c := s.older()
			var sent string
			for _, b := range []byte(get("/typed")) {
				sent += c.send(string([]byte{b}))
				c.serverAck()
				s.wait(8 * time.Millisecond)
			}
			c.answered()
			s.eof(sent + c.requests("/usual"))
			c.close()
		}},
		{"retransmissions cut elsewhere add nothing", everyShape, nil, func(s *scene) {
			c := s.open()
			whole := post("/cut", filler(5000))
			c.sendAll(whole, 1000)
			for at := 500; at+1400 < len(whole); at += 1300 {
				c.emit(seg{flags: "PA", off: at - len(whole), data: whole[at : at+1400]})
			}
			c.answered()
			s.eof(whole + c.requests("/b"))
			c.close()
		}},
	}
}

// delayed are the scripts in which a packet is worth waiting for.
func delayed() []script {
	return []script{
		{"a packet that comes 30 ms late is waited for", everyShape, nil, late(30 * time.Millisecond)},
		{"a packet that comes 600 ms late is waited for where nothing says that it is lost", []shape{one, onePlain}, nil, late(600 * time.Millisecond)},
		{"a packet lost among 1 MB in flight is waited for", []shape{two, one, six}, nil, func(s *scene) {
			c := s.open()
			c.window = 65535 // 8 MiB, with the scale
			whole := post("/wide", filler(1_000_000))
			sent := c.requests("/a")
			first, rest := whole[:28_000], whole[28_000:]
			c.next += uint32(len(first))
			c.sendAll(rest, 28_000)
			c.emit(seg{flags: "PA", off: -len(whole), data: first, fresh: true})
			c.answered()
			s.eof(sent + whole + c.requests("/b"))
			c.close()
			s.counted("end_complete", 1)
		}},
	}
}

// beginningsAndEnds are the scripts about SYN, FIN and RST.
func beginningsAndEnds() []script {
	return []script{
		{"data in the SYN that the server takes are the stream's first (RFC 7413)", fewShapes, nil, func(s *scene) {
			c := s.fresh()
			first := get("/open")
			c.emit(seg{flags: "S", data: first, fresh: true})
			c.next += uint32(1 + len(first))
			c.synAck()
			c.ack()
			c.answered()
			s.eof(first + c.requests("/b"))
			c.close()
		}},
		{"data in the SYN that the server refuses come once (RFC 7413)", fewShapes, nil, func(s *scene) {
			c := s.fresh()
			first := get("/open")
			c.emit(seg{flags: "S", data: first})
			c.next++
			c.synAck()
			c.ack()
			s.eof(c.send(first) + answering(c) + c.requests("/b"))
			c.close()
		}},
		{"a health check that connects and resets opens nothing", everyShape, nil, func(s *scene) {
			for range 5 {
				c := s.fresh()
				c.syn()
				c.synAck()
				c.emit(seg{flags: "R"})
				s.wait(20 * time.Millisecond)
			}
		}},
		{"a RST at the next byte resets the stream", everyShape, nil, func(s *scene) {
			c := s.open()
			s.reset(c.requests("/a"))
			c.emit(seg{flags: "R"})
			s.counted("end_client-reset", 1)
		}},
		{"a FIN behind a lost packet does not make the stream complete", everyShape, nil, func(s *scene) {
			c := s.open()
			s.reset(c.requests("/a"))
			c.lose(get("/lost"))
			c.answered()
			c.close()
			s.counted("end_complete", 0)
		}},
	}
}

// late has the second of three packets come last.
func late(by time.Duration) func(s *scene) {
	return func(s *scene) {
		c := s.open()
		whole := post("/late", filler(2500))
		sent := c.requests("/a") + c.send(whole[:900])
		second, third := whole[900:1800], whole[1800:]
		c.emit(seg{flags: "PA", off: len(second), data: third, fresh: true})
		s.wait(by)
		sent += c.send(second) + third
		c.next += uint32(len(third))
		c.answered()
		s.eof(sent + c.requests("/b"))
		c.close()
		s.counted("end_complete", 1)
	}
}
