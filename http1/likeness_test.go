package http1

import (
	"strings"
	"testing"
)

// likenessCase is a text and what it looks like.
type likenessCase struct {
	name string
	b    string
	want Likeness
}

func judged(t *testing.T, judge func([]byte) Likeness, cases []likenessCase) {
	t.Helper()
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			if got := judge([]byte(tc.b)); got != tc.want {
				t.Errorf("got %d, want %d", got, tc.want)
			}
		})
	}
}

func TestStart(t *testing.T) {
	long := "/" + strings.Repeat("a", 20<<10)
	judged(t, Start, []likenessCase{
		{"a request", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", Request},
		{"the line alone", "DELETE /a?b=c HTTP/1.1\r\n", Request},
		{"HTTP/1.0", "HEAD / HTTP/1.0\r\n\r\n", Request},
		{"a lone LF", "GET / HTTP/1.1\nHost: a\n", Request},
		{"behind an empty line", "\r\nGET / HTTP/1.1\r\n", Request},
		{"behind several empty lines, some without CR", "\n\r\n\nGET / HTTP/1.1\r\n", Request},
		{"asterisk form", "OPTIONS * HTTP/1.1\r\n", Request},
		{"absolute form", "GET http://a/ HTTP/1.1\r\n", Request},
		{"authority form", "CONNECT a:443 HTTP/1.1\r\n", Request},
		{"made-up method", "FROBNICATE /x HTTP/1.1\r\n", Request},
		{"lower-case method", "get /x HTTP/1.1\r\n", Request},
		{"method with a hyphen", "VERSION-CONTROL /x HTTP/1.1\r\n", Request},
		{"method with an underscore", "RPC_IN_DATA /x HTTP/1.1\r\n", Request},
		{"method that is long", strings.Repeat("A", 40) + " / HTTP/1.1\r\n", Request},
		{"two spaces before the target", "GET  / HTTP/1.1\r\n", Request},
		{"two spaces behind the target", "GET /  HTTP/1.1\r\n", Request},
		{"tabs between the words", "GET\t/\tHTTP/1.1\r\n", Request},
		{"a space behind the version", "GET / HTTP/1.1 \r\n", Request},
		{"a space in the target", "GET /a b HTTP/1.1\r\n", Request},
		{"a target without a slash", "GET x HTTP/1.1\r\n", Request},
		{"UTF-8 in the target", "GET /ä HTTP/1.1\r\n", Request},
		{"RTSP", "DESCRIBE rtsp://a/b RTSP/1.0\r\n", Request},
		{"ICAP", "REQMOD icap://a/b ICAP/1.0\r\n", Request},
		{"SIP", "INVITE sip:a@b SIP/2.0\r\n", Request},
		{"a lower-case version", "GET / http/1.1\r\n", Request},
		{"a target longer than the segment", "GET " + long, Request},
		{"cut in the version", "GET /x HTTP/1", Request},
		{"cut before the LF", "GET /x HTTP/1.1\r", Request},
		{"a long target, to its end", "get " + long + " HTTP/1.1\r\n", Request},

		{"a long target, lower-case method", "get " + long, Possible},
		{"a long target with a space in it, cut", "GET " + long + " b", Possible},
		{"cut behind the method", "POST ", Possible},
		{"cut in the method", "PO", Possible},
		{"nothing", "", Possible},
		{"half an empty line", "\r", Possible},
		{"lower-case and cut", "see /usr/share", Possible},
		{"the beginning of HTTP/2", "PRI *", Possible},

		{"words of a body", "this is text, and no request\r\n", Contradicts},
		{"a word, then the version", "see HTTP/1.1\r\n", Contradicts},
		{"HTTP/2 by prior knowledge", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Contradicts},
		{"HTTP/2 without a minor version", "GET / HTTP/2\r\n", Contradicts},
		{"HTTP/0.9", "GET /\r\n", Contradicts},
		{"HTTP/0.9, before the LF", "GET /\r", Contradicts},
		{"a response", "HTTP/1.1 200 OK\r\n", Contradicts},
		{"something behind the version", "GET / HTTP/1.1 x\r\n", Contradicts},
		{"a CR within", "GET /a\rb HTTP/1.1\r\n", Contradicts},
		{"control byte in the target", "GET /\x01 HTTP/1.1\r\n", Contradicts},
		{"DEL in the target", "GET /\x7f HTTP/1.1\r\n", Contradicts},
		{"method with a space before", " GET / HTTP/1.1\r\n", Contradicts},
		{"no method", "/ HTTP/1.1\r\n", Contradicts},
		{"method too long", strings.Repeat("A", maxMethod+1), Contradicts},
		{"JSON", `{"a": "GET / HTTP/1.1\r\n"}`, Contradicts},
		{"TLS", "\x16\x03\x01\x02\x00\x01\x00\x01", Contradicts},
		{"a header", "Host: a\r\n", Contradicts},
		{"SSH", "SSH-2.0-OpenSSH_9.6\r\n", Contradicts},
		{"SMTP", "EHLO example.com\r\n", Contradicts},
		{"Redis", "*1\r\n$4\r\nPING\r\n", Contradicts},
		{"memcached", "set key 0 0 5\r\nhello\r\n", Contradicts},
	})
}

func TestUnmistakable(t *testing.T) {
	long := "/" + strings.Repeat("a", 20<<10)
	judged(t, Unmistakable, []likenessCase{
		{"a request", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", Request},
		{"HTTP/1.0", "HEAD / HTTP/1.0\r\n\r\n", Request},
		{"a lone LF", "GET / HTTP/1.1\nHost: a\n", Request},
		{"behind empty lines", "\r\n\nGET / HTTP/1.1\r\n", Request},
		{"asterisk form", "OPTIONS * HTTP/1.1\r\n", Request},
		{"absolute form", "GET http://a/ HTTP/1.1\r\n", Request},
		{"authority form", "CONNECT a:443 HTTP/1.1\r\n", Request},
		{"WebDAV", "UPDATEREDIRECTREF /x HTTP/1.1\r\n", Request},
		{"PATCH, though PROPPATCH ends with it", "PATCH /x HTTP/1.1\r\n", Request},
		{"a cache's method", "PURGE /x HTTP/1.1\r\n", Request},
		{"two spaces", "GET  /  HTTP/1.1\r\n", Request},
		{"tabs", "GET\t/\tHTTP/1.1\r\n", Request},
		{"a space behind the version", "GET / HTTP/1.1 \r\n", Request},
		{"a space in a path", "GET /a b HTTP/1.1\r\n", Request},
		{"a space in a URL", "GET http://a/a b HTTP/1.1\r\n", Request},
		{"a target without a slash", "GET x HTTP/1.1\r\n", Request},
		{"UTF-8 in the target", "GET /ä HTTP/1.1\r\n", Request},
		{"RTSP", "DESCRIBE rtsp://a/b RTSP/1.0\r\n", Request},
		{"ICAP", "REQMOD icap://a/b ICAP/1.0\r\n", Request},
		{"SIP", "INVITE sip:a@b SIP/2.0\r\n", Request},
		{"a long target, to its end", "GET " + long + " HTTP/1.1\r\n", Request},

		{"a long target", "GET " + long, Possible},
		{"cut in the method", "DELE", Possible},
		{"cut behind the method", "POST ", Possible},
		{"cut in the target", "GET /x", Possible},
		{"cut in the version", "GET /x HTTP/1", Possible},
		{"cut before the LF", "GET /x HTTP/1.1\r", Possible},
		{"nothing", "", Possible},
		{"an empty line", "\r\n", Possible},

		{"behind the first letter", "OST /x HTTP/1.1\r\n", Contradicts},
		{"behind the first letter, cut", "OST /x HTT", Contradicts},
		{"behind two letters", "ST /x HTTP/1.1\r\n", Contradicts},
		{"behind a probe's byte", "tGET / HTTP/1.1\r\n", Contradicts},
		{"behind a capital", "TGET / HTTP/1.1\r\n", Contradicts},
		{"a method that may be half of UNLOCK", "LOCK /x HTTP/1.1\r\n", Contradicts},
		{"a method that may be half of REBIND", "BIND /x HTTP/1.1\r\n", Contradicts},
		{"a method that may be half of UNLINK", "LINK /x HTTP/1.1\r\n", Contradicts},
		{"a method that may be half of UNCHECKOUT", "CHECKOUT /x HTTP/1.1\r\n", Contradicts},
		{"a method that may be half of UNSUBSCRIBE", "SUBSCRIBE /x HTTP/1.1\r\n", Contradicts},
		{"made-up method", "FROBNICATE /x HTTP/1.1\r\n", Request},
		{"made-up method, the line cut", "FROBNICATE /x HT", Possible},
		{"made-up method, a target that is no path", "FROBNICATE x HTTP/1.1\r\n", Contradicts},
		{"made-up method in small letters", "frobnicate /x HTTP/1.1\r\n", Contradicts},
		{"a byte in front of a method", "XGET /x HTTP/1.1\r\n", Contradicts},
		{"the end of a method", "OST /x HTTP/1.1\r\n", Contradicts},
		{"lower-case method", "get /x HTTP/1.1\r\n", Contradicts},
		{"words of a body", "this is text, and no request\r\n", Contradicts},
		{"a sentence", "GET the best of HTTP/1.1\r\n", Request},
		{"a sentence, cut", "GET the best of", Possible},
		{"made-up protocol", "GET /x and/1.0\r\n", Contradicts},
		{"made-up version", "GET /x HTTP/3.0\r\n", Contradicts},
		{"a line of a log", "GET / HTTP/1.1\" 200 512\r\n", Contradicts},
		{"HTTP/2 by prior knowledge", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Contradicts},
		{"HTTP/0.9", "GET /\r\n", Contradicts},
		{"a method and no target", "GET HTTP/1.1\r\n", Contradicts},
		{"control byte in the target", "GET /\x01 HTTP/1.1\r\n", Contradicts},
		{"a quotation", "\"GET / HTTP/1.1\r\n", Contradicts},
		{"a method that goes on", "GETTING /x HTTP/1.1\r\n", Request},
	})
}

// Of no known method but PATCH and SEARCH can a part be taken for another one.
func TestHalfMethod(t *testing.T) {
	for _, m := range strings.Fields(known) {
		for i := 1; i < len(m); i++ {
			if got := Unmistakable([]byte(m[i:] + " /x HTTP/1.1\r\n")); got != Contradicts && m[i:] != "PATCH" && m[i:] != "SEARCH" {
				t.Errorf("%s, the end of %s, is taken for a method", m[i:], m)
			}
		}
	}
}

func TestLikenessDoesNotAllocate(t *testing.T) {
	for _, method := range []string{"GET", "FROB"} {
		b := []byte(method + " /index.html HTTP/1.1\r\nHost: a\r\n\r\n")
		if n := testing.AllocsPerRun(100, func() { Start(b); Unmistakable(b); Unmistakable(b[:3]) }); n != 0 {
			t.Errorf("%s: %v allocations", method, n)
		}
	}
}

// Whatever a request line is cut into, no part of it from the start on speaks
// against it.
func FuzzLikeness(f *testing.F) {
	f.Add("GET /index.html HTTP/1.1\r\nHost: a\r\n")
	f.Add("get http://a HTTP/1.0\n")
	f.Add("\r\n\r\nPRI * HTTP/2.0\r\n")
	f.Add("GET  /a b\tHTTP/1.0 \n")
	f.Add("SETUP rtsp://a RTSP/2.0\r\n")
	f.Fuzz(func(t *testing.T, line string) {
		start, unmistakable := Start([]byte(line)), Unmistakable([]byte(line))
		if unmistakable == Request && start != Request {
			t.Fatalf("%q is an unmistakable request, but none", line)
		}
		for i := range line {
			if Start([]byte(line[:i])) == Contradicts && start == Request {
				t.Fatalf("%q speaks against a request, %q is one", line[:i], line)
			}
			if Unmistakable([]byte(line[:i])) == Contradicts && unmistakable != Contradicts {
				t.Fatalf("%q speaks against an unmistakable request, %q may be one", line[:i], line)
			}
		}
	})
}
