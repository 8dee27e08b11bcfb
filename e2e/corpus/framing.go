package corpus

import (
	"fmt"
	"slices"
	"time"
)

const hidden = "GET /hidden HTTP/1.1\r\nHost: evil.example\r\n\r\n"

// interim is an answer before the answer (RFC 9110, section 15.2).
func interim(status string) string { return "HTTP/1.1 " + status + "\r\n\r\n" }

// framing are the scripts in which a request's body must not be taken for
// requests, nor hide those behind it (RFC 9112, section 6).
func framing() []script {
	scripts := slices.Concat(lossInBody(), tunnels(), linesInBodies(), interimAnswers(), answeredOften())
	return append(scripts,
		script{"a repeat that begins within a method is no request", everyShape, nil, func(s *scene) {
			c := s.open()
			s.reset(c.requests("/a"))
			c.lose("P")
			c.send(post("/b", "0123456789")[1:])
			c.answered()
			s.wait(100 * time.Millisecond)
			s.eof(c.requests("/c", "/d"))
			c.close()
			s.counted("end_gap", 1)
		}},
		script{"a repeat that was cut within a method is no request", fewShapes, nil, func(s *scene) {
			c := s.open()
			s.reset(c.requests("/a"))
			c.lose(post("/b", "0123456789"))
			c.emit(seg{flags: "PA", off: 1 - len(post("/b", "0123456789")), data: post("/b", "0123456789")[1:]})
			c.answered()
			s.wait(100 * time.Millisecond)
			s.eof(c.requests("/c", "/d"))
			c.close()
		}},
	)
}

// lossInBody are the scripts that lose part of a body whose length is known.
func lossInBody() []script {
	return []script{
		{"behind a loss in a body whose length is known, the request that shares a packet with the body's end is picked up", everyShape, nil, func(s *scene) {
			c := s.open()
			whole := post("/up", filler(6000))
			begun := c.requests("/a") + c.send(whole[:1400])
			c.lose(whole[1400:2800])
			c.sendAll(whole[2800:5600], 1400)
			c.send(whole[5600:] + get("/in-the-same-packet"))
			c.answer(ok + ok)
			c.ack()
			s.wait(100 * time.Millisecond)
			s.reset(begun)
			s.eof(get("/in-the-same-packet") + c.requests("/later"))
			c.close()
			s.counted("end_gap", 1)
			s.counted("end_complete", 1)
		}},
		{"behind a loss in a body whose length is known, pipelined requests are picked up", fewShapes, nil, func(s *scene) {
			c := s.open()
			whole := post("/up", filler(3000))
			begun := c.send(whole[:1400])
			c.lose(whole[1400:2000])
			c.send(whole[2000:])
			rest := c.send(get("/p1")+get("/p2")) + c.send(get("/p3"))
			c.answer(ok + ok + ok + ok)
			c.ack()
			s.wait(100 * time.Millisecond)
			s.reset(begun)
			s.eof(rest + c.requests("/later"))
			c.close()
			s.counted("end_gap", 1)
		}},
		{"behind a loss in a chunk, the request that shares a packet with the last chunk is picked up", fewShapes, nil, func(s *scene) {
			c := s.open()
			data := filler(2000)
			begun := c.send("POST /chunks HTTP/1.1\r\nHost: shop.example\r\nTransfer-Encoding: chunked\r\n\r\n7d0\r\n" + data[:400])
			c.lose(data[400:1000])
			c.send(data[1000:] + "\r\n0\r\n\r\n" + get("/in-the-same-packet"))
			c.answer(ok + ok)
			c.ack()
			s.wait(100 * time.Millisecond)
			s.reset(begun)
			s.eof(get("/in-the-same-packet") + c.requests("/later"))
			c.close()
		}},
		{"behind a loss in a head, its body is no request", everyShape, nil, func(s *scene) {
			c := s.open()
			whole := post("/up", hidden+filler(500))
			at := len(whole) - len(hidden) - 500
			begun := c.send(whole[:20])
			c.lose(whole[20:at])
			c.send(whole[at:])
			c.answered()
			s.wait(100 * time.Millisecond)
			s.reset(begun)
			s.eof(c.requests("/later", "/last"))
			c.close()
		}},
		{"behind a loss, a request line within a body whose length is known is no request", everyShape, nil, func(s *scene) {
			c := s.open()
			whole := post("/up", filler(1400)+hidden+filler(2000))
			at := len(whole) - 2000 - len(hidden)
			begun := c.send(whole[:1000])
			c.lose(whole[1000:at])
			c.sendAll(whole[at:], 1400)
			c.answered()
			s.wait(100 * time.Millisecond)
			s.reset(begun)
			s.eof(c.requests("/later", "/last"))
			c.close()
			s.counted("end_gap", 1)
		}},
	}
}

// linesInBodies are the scripts whose bodies have request lines in them.
func linesInBodies() []script {
	return []script{
		{"behind a loss, a request line within a chunk is no request", everyShape, nil, func(s *scene) {
			c := s.open()
			data := filler(1000) + hidden + filler(700)
			head := "POST /chunks HTTP/1.1\r\nHost: shop.example\r\nTransfer-Encoding: chunked\r\n\r\n"
			begun := c.send(head + fmt.Sprintf("%x\r\n", len(data)) + data[:400])
			c.lose(data[400:1000])
			c.send(data[1000:])
			c.send("\r\n0\r\n\r\n")
			c.answered()
			s.wait(100 * time.Millisecond)
			s.reset(begun)
			s.eof(c.requests("/later", "/last"))
			c.close()
			s.counted("end_gap", 1)
		}},
		{"in an older connection, chunks that begin packets with request lines are no requests", fewShapes, nil, func(s *scene) {
			c := s.older()
			data := hidden + filler(300)
			sent := c.send("POST /chunks HTTP/1.1\r\nHost: shop.example\r\nTransfer-Encoding: chunked\r\n\r\n")
			for range 3 {
				sent += c.send(fmt.Sprintf("%x;ext=1\r\n", len(data))) + c.send(data) + c.send("\r\n")
			}
			sent += c.send("0\r\nTrailer: GET / HTTP/1.1\r\n\r\n")
			c.answered()
			s.eof(sent + c.requests("/later"))
			c.close()
		}},
		{"in an older connection, a body that goes on with a request line is no request", everyShape, nil, func(s *scene) {
			c := s.older()
			c.sendAll(filler(2800), 1400)
			c.send(hidden + filler(500))
			c.answered()
			s.wait(100 * time.Millisecond)
			s.eof(c.requests("/real", "/last"))
			c.close()
		}},
	}
}

// answerInterim has the server give interim answers, and the client acknowledge each.
func (c *conn) answerInterim(answers []string) {
	for _, a := range answers {
		c.answer(interim(a))
		c.ack()
	}
}

func interimAnswers() []script {
	var scripts []script
	for _, answers := range [][]string{{"100 Continue"}, {"102 Processing"}, {"103 Early Hints"}, {"103 Early Hints", "100 Continue"}} {
		scripts = append(scripts,
			script{fmt.Sprintf("the body behind a lost head and %v is no request", answers), twoWay, nil, func(s *scene) {
				c := s.open()
				s.reset(c.requests("/a"))
				body := hidden + filler(600)
				c.lose(headOf("/expect", len(body)))
				c.answerInterim(answers)
				c.send(body)
				c.answered()
				s.wait(100 * time.Millisecond)
				s.eof(c.requests("/n", "/m"))
				c.close()
			}},
			script{fmt.Sprintf("in an older connection, the body behind %v is no request", answers), twoWay, nil, func(s *scene) {
				c := s.older()
				c.send(filler(900))
				for _, a := range answers {
					c.answer(interim(a))
					c.ack()
					c.send(hidden + filler(500))
				}
				c.answered()
				s.wait(100 * time.Millisecond)
				s.eof(c.requests("/real", "/last"))
				c.close()
			}},
			script{fmt.Sprintf("without loss, a body behind %v stays with its head", answers), fewShapes, nil, func(s *scene) {
				c := s.open()
				sent := c.send(headOf("/expect", 2*len(hidden)))
				c.answerInterim(answers)
				sent += c.send(hidden) + c.send(hidden)
				c.answered()
				s.eof(sent + c.requests("/n"))
				c.close()
			}})
	}
	return scripts
}
