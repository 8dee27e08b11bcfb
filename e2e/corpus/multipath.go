package corpus

import "time"

// multipath are the scripts in which a client speaks MPTCP (RFC 8684).
func multipath() []script {
	shapes := []shape{two, one, six, plain}
	return append([]script{
		{"MPTCP over one subflow is one stream", shapes, nil, func(s *scene) {
			m, f := s.multi()
			sent := f.request("/a") + turns(post("/up", filler(8000)), 1000, f)
			f.answer()
			s.eof(sent + f.request("/b"))
			m.end(f)
			s.counted("end_complete", 1)
		}},
		{"MPTCP that the server does not speak is plain TCP", fewShapes, nil, func(s *scene) {
			c := s.fresh()
			c.emit(seg{flags: "S", opts: option(capable, sha)})
			c.next++
			c.synAck()
			c.ack()
			s.eof(c.requests("/a", "/b"))
			c.close()
		}},
		{"MPTCP over two subflows in turn is one stream", shapes, nil, func(s *scene) {
			m, f := s.multi()
			sent := f.request("/a")
			g := m.join(true)
			sent += turns(post("/up", filler(9000)), 900, f, g)
			f.answer()
			s.eof(sent + g.request("/b") + f.request("/c"))
			m.end(f, g)
			s.counted("end_complete", 1)
		}},
	}, append(mappings(shapes), multipathTrouble(shapes)...)...)
}

// mappedOver sends mappings that are longer than a packet, on both subflows.
func mappedOver(each bool) func(s *scene) {
	return func(s *scene) {
		m, f := s.multi()
		sent := f.request("/a")
		g := m.join(true)
		whole := post("/up", filler(8000))
		sent += g.sendMapped(whole[:4200], 1400, each) + f.sendMapped(whole[4200:], 1400, each)
		f.answer()
		s.eof(sent + g.request("/b"))
		m.end(f, g)
		s.counted("end_complete", 1)
	}
}

func multipathTrouble(shapes []shape) []script {
	return []script{
		{"MPTCP data that come on both subflows are forwarded once", shapes, nil, func(s *scene) {
			m, f := s.multi()
			sent := f.request("/a")
			g := m.join(true)
			dsn := m.sent
			again := f.send(get("/twice"))
			g.repeat(again, dsn, false)
			g.answer()
			s.eof(sent + again + f.request("/b"))
			m.end(f, g)
		}},
		{"MPTCP that goes on over its second subflow when the first has ended is one stream", shapes, nil, func(s *scene) {
			m, f := s.multi()
			sent := f.request("/wifi")
			g := m.join(true)
			sent += g.request("/mobile")
			f.close()
			s.wait(50 * time.Millisecond)
			s.eof(sent + g.request("/mobile-only") + g.request("/more"))
			m.end(g)
			s.counted("end_complete", 1)
		}},
		{"a RST of the server in a subflow, 100 bytes ahead, changes nothing (RFC 5961, 3.2)", twoWay, nil, func(s *scene) {
			m, f := s.multi()
			sent := f.request("/a")
			f.emitServer(seg{flags: "R", off: 100})
			s.wait(10 * time.Millisecond)
			sent += f.request("/b")
			s.wait(1200 * time.Millisecond)
			s.eof(sent + f.request("/c"))
			m.end(f)
		}},
		{"a RST of the server in a subflow, anywhere, changes nothing", twoWay, nil, func(s *scene) {
			m, f := s.multi()
			sent := f.request("/a")
			f.emitServer(seg{flags: "R", off: 123_456_789})
			s.eof(sent + f.request("/b") + f.request("/c"))
			m.end(f)
		}},
		{"RSTs in the windows of both subflows, the one's right and the other's not, do not end MPTCP", twoWay, nil, func(s *scene) {
			m, f := s.multi()
			sent := f.request("/a")
			g := m.join(true)
			sent += g.request("/b")
			g.emit(seg{flags: "R", off: 500})
			g.serverAck()
			sent += g.request("/c")
			f.emit(seg{flags: "R"})
			s.wait(20 * time.Millisecond)
			s.eof(sent + g.request("/d"))
			m.end(g)
		}},
		{"a RST of the server ahead in the last of two subflows, which the client asks back about, changes nothing", twoWay, nil, func(s *scene) {
			m, f := s.multi()
			sent := f.request("/a")
			g := m.join(true)
			sent += g.request("/b")
			f.close()
			g.emitServer(seg{flags: "R", off: 100})
			s.wait(time.Millisecond)
			g.emit(seg{flags: "A"})
			s.wait(1200 * time.Millisecond)
			s.eof(sent + g.request("/c"))
			m.end(g)
		}},
		{"a RST of the server where its bytes end, in the only subflow, ends MPTCP", twoWay, nil, func(s *scene) {
			_, f := s.multi()
			s.reset(f.request("/a"))
			f.emitServer(seg{flags: "R"})
		}},
		{"a subflow of an MPTCP connection that nobody knows starts no stream", shapes, nil, func(s *scene) {
			m := &multi{scene: s, clientKey: []byte("unknown!"), serverKey: []byte("neither!"), sent: 1 << 40, answered: 1 << 41}
			g := m.join(true)
			g.request("/half")
			g.request("/other-half")
			g.close()
			honest(s)
		}},
		{"a subflow whose handshake is unseen starts no stream", shapes, nil, unseenSubflow(false)},
		{"MPTCP data that went over a subflow whose handshake is unseen are missing", shapes, nil, unseenSubflow(true)},
		{"MPTCP that loses a packet on its second subflow is reset, and picked up at the next request", twoWay, nil, func(s *scene) {
			m, f := s.multi()
			sent := f.request("/a")
			g := m.join(true)
			s.reset(sent + g.request("/b"))
			g.lose(get("/lost"))
			g.answer()
			s.wait(100 * time.Millisecond)
			s.eof(f.request("/c") + f.request("/d"))
			m.end(f, g)
			s.counted("end_complete", 1)
		}},
	}
}

// unseenSubflow has data go over a subflow that nothing ties to its connection.
// The first subflow's DATA_FIN may tell how much that was.
func unseenSubflow(finOnFirst bool) func(s *scene) {
	return func(s *scene) {
		m, f := s.multi()
		s.reset(f.request("/a"))
		g := m.join(false)
		g.request("/elsewhere")
		g.request("/there-too")
		if finOnFirst {
			m.end(f, g)
		} else {
			m.end(g, f)
		}
		s.counted("end_complete", 0)
	}
}

// mappings are the scripts with the forms that a data mapping has.
func mappings(shapes []shape) []script {
	return []script{
		{"MPTCP whose options have numbers of 4 bytes is one stream", shapes, nil, func(s *scene) {
			m, f := s.multi()
			m.short = true
			sent := f.request("/a")
			g := m.join(true)
			sent += turns(post("/up", filler(9000)), 900, f, g)
			f.answer()
			s.eof(sent + g.request("/b"))
			m.end(f, g)
		}},
		{"MPTCP over three subflows, pieces of each in one go, is one stream", shapes, nil, func(s *scene) {
			m, f := s.multi()
			sent := f.request("/a")
			g, h := m.join(true), m.join(true)
			sent += turns(post("/up", filler(12_000)), 4000, f, g, h)
			g.answer()
			s.eof(sent + h.request("/b"))
			m.end(g, f, h)
		}},
		{"MPTCP whose mappings, in each packet, are of several packets is one stream", shapes, nil, mappedOver(true)},
		{"MPTCP whose mappings, in the first packet, are of several packets is one stream", fewShapes, nil, mappedOver(false)},
	}
}
