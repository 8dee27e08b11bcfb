package http1

import (
	"strings"
	"testing"
)

var heads = []struct{ name, request string }{
	{"get100", "GET /api/v1/items?id=12345 HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: curl/8.5.0\r\nAccept: */*\r\n\r\n"},
	{"browser", "GET /index.html HTTP/1.1\r\nHost: www.example.com\r\nConnection: keep-alive\r\nUpgrade-Insecure-Requests: 1\r\n" +
		"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36\r\n" +
		"Accept: text/html,application/xhtml+xml\r\nAccept-Encoding: gzip, deflate, br\r\nAccept-Language: en-US\r\n" +
		"Cookie: session=" + strings.Repeat("a", 200) + "\r\n\r\n"},
	{"post2k", "POST /items HTTP/1.1\r\nHost: www.example.com\r\nContent-Type: application/json\r\nContent-Length: 2048\r\n\r\n" + strings.Repeat("a", 2048)},
	{"chunked2k", "POST /items HTTP/1.1\r\nHost: www.example.com\r\nTransfer-Encoding: chunked\r\n\r\n800\r\n" + strings.Repeat("a", 2048) + "\r\n0\r\n\r\n"},
}

func BenchmarkFeed(b *testing.B) {
	for _, h := range heads {
		b.Run(h.name, func(b *testing.B) {
			var f Framer
			p := []byte(h.request)
			b.SetBytes(int64(len(p)))
			for b.Loop() {
				if f.Feed(p) != len(p) || !f.AtStart() {
					b.Fatal("it is not at the next request")
				}
			}
		})
	}
}

func BenchmarkUnmistakable(b *testing.B) {
	for _, h := range heads[:1] {
		p := []byte(h.request)
		for b.Loop() {
			Unmistakable(p)
		}
	}
}

func TestFeedDoesNotAllocate(t *testing.T) {
	for _, h := range heads {
		var f Framer
		p := []byte(h.request)
		n := testing.AllocsPerRun(100, func() {
			f.Feed(p[:70])
			f.Feed(p[70:])
		})
		if n != 0 || !f.AtStart() {
			t.Errorf("%s: %v allocations", h.name, n)
		}
	}
}
