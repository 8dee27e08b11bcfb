package http1

import (
	"slices"
	"strings"
	"testing"
)

// parts cuts what is fed in pieces where the Framer says that the part changes.
func parts(f *Framer, pieces ...string) (all []string, kinds []Part) {
	for _, piece := range pieces {
		for b := []byte(piece); len(b) > 0; {
			kind := f.Part()
			first := f.AtStart()
			n := f.Step(b)
			if len(all) == 0 || kind != kinds[len(kinds)-1] || first {
				all, kinds = append(all, ""), append(kinds, kind)
			}
			all[len(all)-1] += string(b[:n])
			b = b[n:]
		}
	}
	return all, kinds
}

func TestParts(t *testing.T) {
	for _, tt := range []struct {
		name  string
		parts []string
		kinds []Part
	}{
		{"two GETs", []string{"GET / HTTP/1.1\r\n", "Host: a\r\n\r\n", "\r\nGET / HTTP/1.1\r\n", "\r\n"}, []Part{AtLine, AtHead, AtLine, AtHead}},
		{"a body", []string{"POST / HTTP/1.1\r\n", "Content-Length: 3\r\n\r\n", "abc", "GET"}, []Part{AtLine, AtHead, AtBody, AtLine}},
		{"chunks", []string{"POST / HTTP/1.1\r\n", "Transfer-Encoding: chunked\r\n\r\n", "3\r\nabc\r\n0\r\nX: a\r\n\r\n", "GET"}, []Part{AtLine, AtHead, AtBody, AtLine}},
		{"two lengths", []string{"POST / HTTP/1.1\r\n", "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", "0\r\n\r\n"}, []Part{AtLine, AtHead, Unknown}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			all := strings.Join(tt.parts, "")
			for i := range all {
				var f Framer
				got, kinds := parts(&f, all[:i], all[i:])
				if !slices.Equal(got, tt.parts) || !slices.Equal(kinds, tt.kinds) {
					t.Fatalf("cut at %d: %q, %v", i, got, kinds)
				}
			}
		})
	}
}

func TestTunnel(t *testing.T) {
	var f Framer
	for _, tt := range []struct {
		request string
		tunnel  bool
	}{
		{"GET / HTTP/1.1\r\n\r\n", false},
		{"CONNECT a:443 HTTP/1.1\r\n\r\n", true},
	} {
		if f.Feed([]byte(tt.request)); f.Tunnel() != tt.tunnel {
			t.Errorf("%q: %v", tt.request, f.Tunnel())
		}
	}
}

func TestLine(t *testing.T) {
	for _, tt := range []struct {
		name, b string
		n       int
		target  string
	}{
		{"a path", "GET /a?b HTTP/1.1\r\nHost: a\r\n", 19, "/a?b"},
		{"a URL", "GET http://a/b HTTP/1.0\r\n", 25, "http://a/b"},
		{"empty lines in front", "\r\n\nGET / HTTP/1.1\n\n", 18, "/"},
		{"several spaces", "GET  \t/a  HTTP/1.1 \r\n", 21, "/a"},
		{"a target with a space", "GET /a b HTTP/1.1\r\n", 19, "/a b"},
		{"a line that goes on", "GET /a HTTP/1.1", 0, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if n, target := Line([]byte(tt.b)); n != tt.n || string(target) != tt.target {
				t.Errorf("got %d, %q", n, target)
			}
		})
	}
}
