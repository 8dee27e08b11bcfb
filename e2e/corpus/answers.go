package corpus

import "time"

// answeredOften are the scripts in which a body begins with a request line behind a lost head,
// and the server has answered often before or since.
func answeredOften() []script {
	return []script{
		{"the body behind a lost head is no request, after five answers", twoWay, nil, func(s *scene) {
			c := s.open()
			s.reset(c.requests("/1", "/2", "/3", "/4", "/5"))
			c.headLost()
			s.wait(100 * time.Millisecond)
			s.eof(c.requests("/n", "/m"))
			c.close()
		}},
		{"the body behind a lost head and 100 Continue is no request, after twelve answers", twoWay, nil, func(s *scene) {
			c := s.open()
			sent := ""
			for range 4 {
				sent += c.requests("/1", "/2", "/3")
			}
			s.reset(sent)
			c.headLost("100 Continue")
			s.wait(100 * time.Millisecond)
			s.eof(c.requests("/n", "/m"))
			c.close()
		}},
		{"the body behind a lost head is no request, before many quick answers", twoWay, nil, func(s *scene) {
			c := s.open()
			s.reset(c.requests("/a"))
			c.headLost("100 Continue")
			s.eof(c.quickly(8) + c.requests("/m"))
			c.close()
		}},
		{"the body behind a lost head and 100 Continue is no request, where a part of the answer is lost", twoWay, nil, func(s *scene) {
			c := s.open()
			body := hidden + filler(600)
			first := c.send(get("/a"))
			c.answered()
			c.lose(headOf("/lost", len(body)))
			c.serverAck()
			c.answerInterim([]string{"100 Continue"})
			c.send(body)
			c.reply += 1000 // of the answer, lost
			c.answer("the rest of the answer")
			c.ack()
			s.wait(100 * time.Millisecond)
			s.reset(first)
			s.eof(c.requests("/n", "/m"))
			c.close()
		}},
		{"behind a lost head, a pause and its body, quick requests are picked up", twoWay, nil, func(s *scene) {
			c := s.open()
			s.reset(c.requests("/a"))
			body := hidden + filler(600)
			c.lose(headOf("/lost", len(body)))
			c.serverAck()
			s.wait(200 * time.Millisecond)
			c.send(body)
			c.answered()
			s.wait(30 * time.Millisecond)
			s.eof(c.quickly(20) + c.requests("/m"))
			c.close()
		}},
		{"behind a lost request and a pause, quick requests are picked up", twoWay, nil, quickBehindLost(200 * time.Millisecond)},
		{"the request behind a lost one is picked up, before many quick answers", twoWay, nil, quickBehindLost(0)},
	}
}

// quickBehindLost loses a request. Quick ones follow a pause.
func quickBehindLost(pause time.Duration) func(s *scene) {
	return func(s *scene) {
		c := s.open()
		s.reset(c.requests("/a"))
		c.lose(get("/lost"))
		c.answered()
		s.wait(pause)
		s.eof(c.quickly(20) + c.requests("/m"))
		c.close()
	}
}

// headLost has the mirror lose a request's head. Its body begins with a request line.
func (c *conn) headLost(interim ...string) {
	body := hidden + filler(600)
	c.lose(headOf("/lost", len(body)))
	c.serverAck()
	c.answerInterim(interim)
	c.send(body)
	c.answered()
}

// quickly makes n requests, a millisecond apart.
func (c *conn) quickly(n int) (sent string) {
	for range n {
		sent += c.request("/quick")
		c.wait(time.Millisecond)
	}
	return sent
}
