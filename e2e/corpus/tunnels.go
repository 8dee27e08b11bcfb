package corpus

import "time"

// tunnels are the scripts in which the connection no longer is HTTP.
func tunnels() []script {
	var scripts []script
	for _, tt := range []struct{ name, request, answer string }{
		{"101 Switching Protocols", "GET /chat HTTP/1.1\r\nHost: shop.example\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n",
			"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n"},
		{"a CONNECT", "CONNECT shop.example:443 HTTP/1.1\r\nHost: shop.example:443\r\n\r\n", "HTTP/1.1 200 Connected\r\n\r\n"},
	} {
		scripts = append(scripts,
			script{"behind " + tt.name + ", what looks like a request is none", twoWay, nil, hiddenInTunnel(tt.request, tt.answer, "hello\n")},
			script{"behind " + tt.name + " whose first bytes are lost, what looks like a request is none", twoWay, nil, hiddenInTunnel(tt.request, tt.answer, "")},
			script{"behind " + tt.name + ", without loss, all is one stream", everyShape, nil, func(s *scene) {
				c := s.open()
				sent := c.send(tt.request)
				c.answer(tt.answer)
				c.ack()
				for range 3 {
					sent += c.send("hello\n") + c.send(hidden)
					c.answer("hello yourself\n")
					c.ack()
				}
				s.eof(sent)
				c.close()
			}})
	}
	return append(scripts,
		script{"behind a loss in a tunnel with requests in it, nothing is picked up", everyShape, nil, func(s *scene) {
			c := s.open()
			begun := c.send("CONNECT shop.example:80 HTTP/1.1\r\nHost: shop.example:80\r\n\r\n")
			c.answer("HTTP/1.1 200 Connected\r\n\r\n")
			c.ack()
			begun += c.requests("/t1")
			c.lose(get("/t2"))
			c.answered()
			s.wait(100 * time.Millisecond)
			c.requests("/t3")
			s.reset(begun)
			c.close()
		}},
		script{"behind a loss in the head of a CONNECT, nothing is picked up", everyShape, nil, func(s *scene) {
			c := s.open()
			s.reset(c.send("CONNECT shop.example:80 HTTP/1.1\r\n"))
			c.lose("Host: shop.example:80\r\n\r\n")
			c.answer("HTTP/1.1 200 Connected\r\n\r\n")
			c.ack()
			s.wait(100 * time.Millisecond)
			c.requests("/t1", "/t2")
			c.close()
		}},
		script{"behind upgrades that the server has refused, and a loss, requests are picked up", everyShape, nil, func(s *scene) {
			ask := func(path string) string {
				return "GET " + path + " HTTP/1.1\r\nHost: shop.example\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n"
			}
			c := s.open()
			begun := c.send(ask("/1"))
			c.answered()
			begun += c.send(ask("/2"))
			c.answered()
			s.reset(begun)
			c.lose(ask("/3"))
			c.answered()
			s.wait(100 * time.Millisecond)
			s.eof(c.requests("/4", "/5"))
			c.close()
		}},
		script{"behind an upgrade that the server has refused, and a loss, a request is picked up", twoWay, nil, func(s *scene) {
			c := s.open()
			s.reset(c.send("GET /h2 HTTP/1.1\r\nHost: shop.example\r\nConnection: Upgrade, HTTP2-Settings\r\n" +
				"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n"))
			c.answered()
			c.lose(get("/lost"))
			c.answered()
			s.wait(100 * time.Millisecond)
			s.eof(c.requests("/n", "/m"))
			c.close()
		}})
}

// hiddenInTunnel loses bytes of a tunnel, behind those that come first, and sends what looks like a
// request.
func hiddenInTunnel(request, answer, first string) func(s *scene) {
	return func(s *scene) {
		c := s.open()
		begun := c.send(request)
		c.answer(answer)
		c.ack()
		if first != "" {
			begun += c.send(first)
		}
		c.lose("lost\n")
		c.answer("hello yourself\n")
		c.ack()
		s.wait(100 * time.Millisecond)
		c.send(hidden)
		c.answer("what?\n")
		c.ack()
		s.reset(begun)
		c.close()
	}
}
