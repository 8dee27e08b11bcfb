package corpus

import "time"

// reuse are the scripts in which ports and sequence numbers come again.
func reuse() []script {
	return []script{
		{"one capture replayed three times is three connections", everyShape, nil, replayed((*conn).close, (*scene).eof, 100*time.Millisecond)},
		{"one capture that ends in a RST, replayed three times, is three connections", fewShapes, nil, replayed((*conn).abort, (*scene).reset, 100*time.Millisecond)},
		{"one capture replayed with 1.2 s between is three connections", fewShapes, nil, replayed((*conn).close, (*scene).eof, 1200*time.Millisecond)},
		{"one capture without an end, replayed three times, is three connections", everyShape, nil, func(s *scene) {
			first := s.fresh()
			for i := range 3 {
				c := *first
				c.handshake()
				if sent := c.request("/cut"); i < 2 {
					s.reset(sent)
				} else {
					s.eof(sent)
					c.close()
				}
				s.wait(1200 * time.Millisecond)
			}
			s.counted("end_replaced", 2)
		}},
		{"a SYN that comes twice is one connection", everyShape, nil, func(s *scene) {
			c := s.fresh()
			c.emit(seg{flags: "S"})
			s.wait(time.Millisecond)
			c.handshake()
			c.emit(seg{flags: "S", off: -1})
			s.wait(time.Millisecond)
			s.eof(c.requests("/a", "/b"))
			c.close()
		}},
		{"every frame twice is one connection", fewShapes, nil, func(s *scene) {
			c := s.open()
			s.eof(c.request("/a") + c.request("/b"))
			c.close()
			once := s.frames
			s.frames = nil
			for _, f := range once {
				s.frames = append(s.frames, f)
				f.Fresh = false
				f.At += step / 3
				s.frames = append(s.frames, f)
			}
		}},
		{"three connections on the same ports within 20 ms keep their bytes and ends", everyShape, nil, threefold(3 * time.Millisecond)},
		{"three connections on the same ports, one right behind the other, keep their bytes and ends", everyShape, nil, threefold(0)},
		{"the end of a connection comes 20 ms late, behind the handshake of the next on its ports", everyShape, nil, func(s *scene) {
			for range 5 {
				c := s.open()
				head := c.send(get("/late")[:20])
				d := c.again(c.next + 1<<28)
				d.handshake()
				s.wait(20 * time.Millisecond)
				tail := c.send(get("/late")[20:])
				c.close()
				s.eof(head + tail)
				s.eof(d.request("/next"))
				d.close()
			}
			s.counted("end_complete", 10)
		}},
		{"the SYN of the next connection on the ports is lost", everyShape, nil, func(s *scene) {
			for range 5 {
				c := s.open()
				s.eof(c.request("/one"))
				c.close()
				s.wait(100 * time.Millisecond)
				d := c.again(c.next + 1<<28)
				d.next++
				d.synAck()
				d.ack()
				s.eof(d.request("/two"))
				d.close()
			}
			s.counted("end_complete", 10)
		}},
		{"five connections on the same ports, one behind the other, keep their bytes", fewShapes, nil, func(s *scene) {
			c := s.open()
			for _, path := range []string{"/1", "/2", "/3", "/4"} {
				s.eof(c.request(path))
				c.close()
				c = c.again(c.next + 300_000)
				c.handshake()
			}
			s.eof(c.request("/5"))
			c.close()
			s.counted("end_complete", 5)
		}},
	}
}

// replayed plays the same connection three times.
func replayed(end func(*conn), want func(*scene, string), apart time.Duration) func(s *scene) {
	return func(s *scene) {
		first := s.fresh()
		for range 3 {
			c := *first
			c.handshake()
			want(s, c.request("/loop"))
			end(&c)
			s.wait(apart)
		}
	}
}

// threefold makes three connections on the same ports, a pause between them,
// and does so with several clients.
func threefold(pause time.Duration) func(s *scene) {
	const clients = 10
	return func(s *scene) {
		for range clients {
			c := s.open()
			s.eof(c.request("/one"))
			c.close()
			s.wait(pause)
			d := c.again(c.next + 64_000)
			d.handshake()
			s.reset(d.request("/two"))
			d.abort()
			s.wait(pause)
			e := d.again(d.next + 64_000)
			e.handshake()
			s.eof(e.request("/three"))
			e.close()
		}
		s.counted("end_complete", 2*clients)
		s.counted("end_client-reset", clients)
	}
}
