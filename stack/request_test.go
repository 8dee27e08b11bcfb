package stack

import (
	"strings"
	"testing"
)

func TestRequestLikeness(t *testing.T) {
	long := "/" + strings.Repeat("a", 3000)
	for _, tc := range []struct {
		name string
		b    string
		want likeness
	}{
		{"a request", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", request},
		{"the line alone", "DELETE /a?b=c HTTP/1.1\r\n", request},
		{"HTTP/1.0", "HEAD / HTTP/1.0\r\n\r\n", request},
		{"a lone LF", "GET / HTTP/1.1\nHost: a\n", request},
		{"behind an empty line", "\r\nGET / HTTP/1.1\r\n", request},
		{"asterisk form", "OPTIONS * HTTP/1.1\r\n", request},
		{"absolute form", "GET http://a/ HTTP/1.1\r\n", request},
		{"authority form", "CONNECT a:443 HTTP/1.1\r\n", request},
		{"made-up method", "FROBNICATE /x HTTP/1.1\r\n", request},
		{"lower-case method", "get /x HTTP/1.1\r\n", request},
		{"method with a hyphen", "VERSION-CONTROL /x HTTP/1.1\r\n", request},
		{"a target longer than the segment", "GET " + long, request},
		{"cut in the version", "GET /x HTTP/1", request},
		{"cut before the LF", "GET /x HTTP/1.1\r", request},
		{"cut behind the method", "POST ", possible},
		{"cut in the method", "PO", possible},
		{"nothing", "", possible},
		{"half an empty line", "\r", possible},
		{"lower-case and cut", "see /usr/share", possible},
		{"words of a body", "this is text, and no request\r\n", contradicts},
		{"a word, then the version", "see HTTP/1.1\r\n", contradicts},
		{"a made-up target", "GET x HTTP/1.1\r\n", contradicts},
		{"HTTP/2 by prior knowledge", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", contradicts},
		{"HTTP/2 in a request line", "GET / HTTP/2\r\n", contradicts},
		{"HTTP/0.9", "GET /\r\n", contradicts},
		{"a response", "HTTP/1.1 200 OK\r\n", contradicts},
		{"something behind the version", "GET / HTTP/1.1 x\r\n", contradicts},
		{"two spaces", "GET  / HTTP/1.1\r\n", contradicts},
		{"control byte in the target", "GET /\x01 HTTP/1.1\r\n", contradicts},
		{"method with a space before", " GET / HTTP/1.1\r\n", contradicts},
		{"method too long", strings.Repeat("A", 40) + " / HTTP/1.1\r\n", contradicts},
		{"JSON", `{"a": "GET / HTTP/1.1\r\n"}`, contradicts},
		{"TLS", "\x16\x03\x01\x02\x00\x01\x00\x01", contradicts},
		{"a header", "Host: a\r\n", contradicts},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := requestLikeness([]byte(tc.b)); got != tc.want {
				t.Errorf("got %d, want %d", got, tc.want)
			}
		})
	}
}

// Whatever a request line is cut into, no part of it from the start on speaks
// against it, and nothing that speaks against one becomes one by going on.
func FuzzRequestLikeness(f *testing.F) {
	f.Add("GET /index.html HTTP/1.1\r\nHost: a\r\n")
	f.Add("get http://a HTTP/1.0\n")
	f.Add("\r\n\r\nPRI * HTTP/2.0\r\n")
	f.Fuzz(func(t *testing.T, line string) {
		whole := requestLikeness([]byte(line))
		for i := range line {
			part := requestLikeness([]byte(line[:i]))
			if part == contradicts && whole == request {
				t.Fatalf("%q speaks against a request, %q is one", line[:i], line)
			}
		}
	})
}
