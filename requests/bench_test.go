package requests

import (
	"strings"
	"testing"
)

const browser = "GET /api/index.html HTTP/1.1\r\nHost: www.example.com\r\nConnection: keep-alive\r\nUpgrade-Insecure-Requests: 1\r\n" +
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36\r\n" +
	"Accept: text/html,application/xhtml+xml\r\nAccept-Encoding: gzip, deflate, br\r\nAccept-Language: en-US\r\n\r\n"

var costs = []struct {
	name  string
	rules Config
	in    string
}{
	{"mark/get", marking, get},
	{"mark/browser", marking, browser},
	{"only/get", only, get},
	{"only/browser", only, browser},
	{"only/leftout", only, out},
	{"host/browser", Config{Hosts: []string{".example.com"}}, browser},
	{"both/browser", both, browser},
	{"both/pipelined", both, strings.Repeat(browser, 100)},
	{"both/body64k", both, "POST /api HTTP/1.1\r\nContent-Length: 65000\r\n\r\n" + strings.Repeat("a", 65000)},
}

func BenchmarkEdit(b *testing.B) {
	for _, c := range costs {
		b.Run(c.name, func(b *testing.B) {
			e := rules(b, c.rules).Editor()
			in := []byte(c.in)
			scratch := make([]byte, 0, 4*len(in))
			b.SetBytes(int64(len(in)))
			b.ReportAllocs()
			for b.Loop() {
				e.Taken(in, len(e.Edit(scratch, in)))
			}
		})
	}
}

func TestEditDoesNotAllocate(t *testing.T) {
	for _, c := range costs {
		e := rules(t, c.rules).Editor()
		in := []byte(c.in)
		scratch := make([]byte, 0, 4*len(in))
		n := testing.AllocsPerRun(100, func() {
			e.Taken(in, len(e.Edit(scratch, in)))
		})
		if n != 0 {
			t.Errorf("%s: %v allocations", c.name, n)
		}
	}
}
