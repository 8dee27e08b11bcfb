package corpus

import (
	"fmt"
	"strings"
)

// lines are the scripts in which a connection older than netmirror has request
// lines that are beside the grammar of RFC 9112, section 3, or rare, and that
// servers take.
func lines() []script {
	var scripts []script
	for _, tt := range []struct{ name, line string }{
		{"without a slash", "GET ranker/top?n=3 HTTP/1.1"},
		{"with a space in the target", "GET /search?q=two words HTTP/1.1"},
		{"with two spaces behind the method", "GET  /two HTTP/1.1"},
		{"with two spaces before the version", "GET /two  HTTP/1.1"},
		{"with a space at the end", "GET /end HTTP/1.1 "},
		{"of HTTP/1.0", "GET /old HTTP/1.0"},
		{"with an absolute target", "GET http://shop.example/ HTTP/1.1"},
		{"with an asterisk", "OPTIONS * HTTP/1.1"},
		{"with an authority", "CONNECT shop.example:443 HTTP/1.1"},
		{"with a method of its own", "M-SEARCH * HTTP/1.1"},
		{"of WebDAV", "PROPFIND /dav/ HTTP/1.1"},
		{"with raw UTF-8", "GET /caf\u00e9 HTTP/1.1"},
		{"of RTSP", "SETUP rtsp://shop.example/cam/track1 RTSP/1.0"},
		{"with a query only", "GET ?q=1 HTTP/1.1"},
		{"with 6000 bytes of query", "GET /?q=" + strings.Repeat("0123456789", 600) + " HTTP/1.1"},
	} {
		request := tt.line + "\r\nHost: shop.example\r\nCSeq: 7\r\n\r\n"
		scripts = append(scripts, script{"a request line " + tt.name + " is picked up", fewShapes, nil, func(s *scene) {
			c := s.older()
			s.eof(c.sendAll(request, 1400) + answering(c) + c.send(request[:20]) + c.send(request[20:]) + answering(c) + c.requests("/usual"))
			c.close()
			s.counted("picked_up", 1)
		}})
	}
	return append(scripts, otherLines()...)
}

// otherLines are the scripts in which not the line itself is unusual, but what
// is around it.
func otherLines() []script {
	var scripts []script
	for _, empty := range []string{"\r\n", "\n", "\r\n\r\n", "\n\r\n"} {
		scripts = append(scripts, script{fmt.Sprintf("a request behind %q is picked up (RFC 9112, 2.2)", empty), fewShapes, nil, func(s *scene) {
			c := s.older()
			r := get("/behind-nothing")
			c.send(empty + r)
			c.answered()
			more := c.requests("/usual")
			s.eof(empty + r + more)
			s.alternative(Stream{[]byte(r + more), "eof"})
			c.close()
		}})
	}
	return append(scripts, script{"a request whose lines end in a bare LF is picked up", fewShapes, nil, func(s *scene) {
		c := s.older()
		s.eof(c.send("GET /lf HTTP/1.1\nHost: shop.example\n\n") + answering(c) + c.requests("/usual"))
		c.close()
	}}, script{"behind a loss, a lenient request line is picked up", fewShapes, nil, func(s *scene) {
		c := s.open()
		lenient := "GET list/all the things HTTP/1.1\r\nHost: shop.example\r\n\r\n"
		s.reset(c.send(lenient) + answering(c))
		c.lose(lenient)
		c.answered()
		s.wait(100 * step)
		s.eof(c.send(lenient) + answering(c) + c.requests("/usual"))
		c.close()
		s.counted("end_gap", 1)
	}})
}

// answering is answered, where a text is wanted.
func answering(c *conn) string {
	c.answered()
	return ""
}
