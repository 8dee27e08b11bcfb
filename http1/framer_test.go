package http1

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
)

const (
	get  = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
	post = "POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\n"
)

// starts gives the places where the Framer says that requests begin, fed with
// the pieces.
func starts(f *Framer, pieces ...string) (places []int) {
	at := 0
	for _, piece := range pieces {
		for b := []byte(piece); len(b) > 0; {
			if f.AtStart() {
				places = append(places, at)
			}
			n := f.Feed(b)
			if n < 1 || n > len(b) {
				panic(fmt.Sprintf("Feed read %d of %d bytes", n, len(b)))
			}
			at += n
			b = b[n:]
		}
	}
	return places
}

// ends: what the Framer says at the end of the input.
const (
	atNext = "at the start of a request"
	within = "within a request"
	lost   = "lost"
	opaque = "opaque"
)

func end(f *Framer) string {
	switch {
	case f.Lost():
		return lost
	case f.Opaque():
		return opaque
	case f.AtStart():
		return atNext
	}
	return within
}

// A row is requests, whose beginnings are the places to be found, and where
// that leads.
var framing = []struct {
	name     string
	requests []string
	end      string
}{
	{"a GET", []string{get}, atNext},
	{"pipelined", []string{get, get, get}, atNext},
	{"a body that looks like a request", []string{post + "GET /", get}, atNext},
	{"a body of requests", []string{fmt.Sprintf("POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n%s", len(get), get), get}, atNext},
	{"a GET with a body", []string{"GET / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", get}, atNext},
	{"a body of nothing", []string{"POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n", get}, atNext},
	{"lone LFs", []string{"POST / HTTP/1.1\nContent-Length: 3\n\nabc", get}, atNext},
	{"an empty line between requests is the next one's", []string{post + "abcde", "\r\n" + get}, atNext},
	{"empty lines without CR", []string{post + "abcde", "\n\n" + get}, atNext},
	{"the same length twice", []string{"POST / HTTP/1.1\r\nContent-Length: 3\r\ncontent-length:3\r\n\r\nabc", get}, atNext},
	{"a list of the same length", []string{"POST / HTTP/1.1\r\nContent-Length: 3, 3\r\n\r\nabc", get}, atNext},
	{"space around the length", []string{"POST / HTTP/1.1\r\nContent-Length: \t 3 \t\r\n\r\nabc", get}, atNext},
	{"a folded line", []string{"POST / HTTP/1.1\r\nX: a\r\n b: c\r\n\tContent-Length: 9\r\nContent-Length: 3\r\n\r\nabc", get}, atNext},
	{"a header whose name begins the same", []string{"POST / HTTP/1.1\r\nContent-Length-X: 3\r\nTransfer-Encodings: a\r\n\r\n", get}, atNext},
	{"a line that is long", []string{"POST / HTTP/1.1\r\nCookie: " + strings.Repeat("a", 70000) + "\r\nContent-Length: 3\r\n\r\nabc", get}, atNext},
	{"chunks", []string{"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1B\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n\r\n0\r\n\r\n", get}, atNext},
	{"chunks with extensions", []string{"POST / HTTP/1.1\r\nTransfer-Encoding: Chunked \r\n\r\n3;a=b\r\nabc\r\n000 ;x\r\n\r\n", get}, atNext},
	{"chunks with trailers", []string{"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX: a\r\nContent-Length: 9\r\n\r\n", get}, atNext},
	{"chunks of something encoded", []string{"POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", get}, atNext},
	{"codings in two lines", []string{"POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", get}, atNext},
	{"RTSP", []string{"SETUP rtsp://a/b RTSP/1.0\r\nCSeq: 1\r\n\r\n", "ANNOUNCE rtsp://a/b RTSP/1.0\r\nContent-Length: 3\r\n\r\nabc", "PLAY rtsp://a/b RTSP/1.0\r\n\r\n"}, atNext},
	{"an upgrade that is refused", []string{"GET / HTTP/1.1\r\nUpgrade: h2c\r\n\r\n", get, get}, atNext},
	{"a tunnel that is refused", []string{"CONNECT a:443 HTTP/1.1\r\n\r\n", get, get}, atNext},

	{"half a line", []string{get, "GET / HT"}, within},
	{"half a head", []string{get, "GET / HTTP/1.1\r\nHost: a"}, within},
	{"half a body", []string{get, post + "ab"}, within},
	{"half a chunk", []string{"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab"}, within},

	{"WebSocket", []string{"GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n", "\x81\x85abcdefghi" + get}, opaque},
	{"HTTP/2 behind an upgrade", []string{"GET / HTTP/1.1\r\nupgrade: h2c\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"}, opaque},
	{"HTTP/2 behind a body", []string{"POST / HTTP/1.1\r\nUpgrade: h2c\r\nContent-Length: 3\r\n\r\nabc", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"}, opaque},
	{"TLS in a tunnel", []string{"CONNECT a:443 HTTP/1.1\r\n\r\n", "\x16\x03\x01\x02\x00\x01\x00\x01"}, opaque},
	{"HTTP/2 from the start", []string{"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"}, opaque},
	{"TLS from the start", []string{"\x16\x03\x01\x02\x00\x01\x00\x01" + get}, opaque},
	{"SMTP", []string{"EHLO a\r\nMAIL FROM:<a@b>\r\n"}, opaque},

	{"no request behind one", []string{get, "hello\r\n" + get}, lost},
	{"a length and chunks", []string{"POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + get}, lost},
	{"chunks and a length", []string{"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n" + get}, lost},
	{"two lengths", []string{"POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc" + get}, lost},
	{"a list of two lengths", []string{"POST / HTTP/1.1\r\nContent-Length: 3, 4\r\n\r\nabc" + get}, lost},
	{"a length with a sign", []string{"POST / HTTP/1.1\r\nContent-Length: +3\r\n\r\nabc" + get}, lost},
	{"no length at all", []string{"POST / HTTP/1.1\r\nContent-Length:\r\n\r\n" + get}, lost},
	{"a length of 2^63", []string{"POST / HTTP/1.1\r\nContent-Length: 9223372036854775808\r\n\r\n" + get}, lost},
	{"a length of 2^64 and more", []string{"POST / HTTP/1.1\r\nContent-Length: 18446744073709551619\r\n\r\nabc" + get}, lost},
	{"space in front of the colon", []string{"POST / HTTP/1.1\r\nContent-Length : 3\r\n\r\nabc" + get}, lost},
	{"something else in front of the colon", []string{"POST / HTTP/1.1\r\nTransfer-Encoding\x00: chunked\r\n\r\n0\r\n\r\n" + get}, lost},
	{"a length on a folded line", []string{"POST / HTTP/1.1\r\nContent-Length:\r\n 3\r\n\r\nabc" + get}, lost},
	{"a length that is folded", []string{"POST / HTTP/1.1\r\nContent-Length: 1\r\n 0\r\n\r\nabc" + get}, lost},
	{"a first header that is folded", []string{"POST / HTTP/1.1\r\n Content-Length: 3\r\n\r\nabc" + get}, lost},
	{"a CR within a header", []string{"POST / HTTP/1.1\r\nX: a\rContent-Length: 3\r\n\r\nabc" + get}, lost},
	{"two CRs at the end of a line", []string{"POST / HTTP/1.1\r\nX: a\r\r\n\r\n" + get}, lost},
	{"a length longer than is kept", []string{"POST / HTTP/1.1\r\nContent-Length: " + strings.Repeat("0", 50) + "\r\n\r\n" + get}, lost},
	{"no chunks", []string{"POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\nabc" + get}, lost},
	{"identity", []string{"POST / HTTP/1.1\r\nTransfer-Encoding: identity\r\n\r\n" + get}, lost},
	{"chunks that are not last", []string{"POST / HTTP/1.1\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n" + get}, lost},
	{"chunks twice", []string{"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + get}, lost},
	{"chunks with something in front", []string{"POST / HTTP/1.1\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n" + get}, lost},
	{"chunks in HTTP/1.0", []string{"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + get}, lost},
	{"a chunk's size that ends with LF alone", []string{"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n" + get}, lost},
	{"a chunk that ends with LF alone", []string{"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\n0\r\n\r\n" + get}, lost},
	{"a chunk longer than its size", []string{"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n" + get}, lost},
	{"a chunk without a size", []string{"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n\r\nabc" + get}, lost},
	{"a chunk with a sign", []string{"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0x3\r\nabc\r\n0\r\n\r\n" + get}, lost},
	{"a chunk of 2^63 bytes", []string{"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n8000000000000000\r\nabc"}, lost},
	{"a chunk of 2^64 bytes and more", []string{"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000003\r\nabc\r\n0\r\n\r\n" + get}, lost},
	{"a head without an end", []string{"GET / HTTP/1.1\r\n" + strings.Repeat("X: a\r\n", maxHead/6) + "\r\n" + get}, lost},
	{"a line without an end", []string{get, "GET /" + strings.Repeat("a", maxHead)}, lost},
	{"an extension without an end", []string{"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;" + strings.Repeat("a", maxHead)}, lost},
	{"trailers without an end", []string{"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + strings.Repeat("X: a\r\n", maxHead/6+1)}, lost},
}

func TestFramer(t *testing.T) {
	for _, tt := range framing {
		t.Run(tt.name, func(t *testing.T) {
			var want []int
			at := 0
			for _, r := range tt.requests {
				want = append(want, at)
				at += len(r)
			}
			all := strings.Join(tt.requests, "")
			splits := [][]string{{all}, tt.requests}
			if len(all) < 1000 {
				splits = append(splits, strings.Split(all, ""))
				for i := range all {
					splits = append(splits, []string{all[:i], all[i:]})
				}
			}
			for _, pieces := range splits {
				var f Framer
				if got := starts(&f, pieces...); !slices.Equal(got, want) {
					t.Fatalf("fed with %.200q, requests begin at %v, want %v", pieces, got, want)
				}
				if got := end(&f); got != tt.end {
					t.Fatalf("fed with %.200q, it is %s, want %s", pieces, got, tt.end)
				}
			}
		})
	}
}

func TestSkip(t *testing.T) {
	const chunks = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
	for _, tt := range []struct {
		name   string
		before string
		n      uint64
		known  bool
		end    string
	}{
		{"within a body", post + "a", 3, true, within},
		{"to the end of a body", post + "a", 4, true, atNext},
		{"a whole body", post, 5, true, atNext},
		{"beyond a body", post + "a", 5, false, lost},
		{"nothing, at the start", get, 0, true, atNext},
		{"nothing, in a head", "GET", 0, true, within},
		{"at the start", get, 1, false, lost},
		{"in front of everything", "", 1, false, lost},
		{"in a line", "GET /", 1, false, lost},
		{"in a head", "GET / HTTP/1.1\r\nHo", 1, false, lost},
		{"within a chunk", chunks + "5\r\na", 3, true, within},
		{"to the end of a chunk", chunks + "5\r\na", 4, true, within},
		{"beyond a chunk", chunks + "5\r\na", 5, false, lost},
		{"in a chunk's size", chunks + "5", 1, false, lost},
		{"in trailers", chunks + "0\r\n", 1, false, lost},
		{"where it is lost", get + "hello\r\n", 1, false, lost},
		{"where it is opaque", "hello\r\n", 1, false, opaque},
		{"nothing, where it is lost", get + "hello\r\n", 0, false, lost},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var f Framer
			starts(&f, tt.before)
			if got := f.Skip(tt.n); got != tt.known {
				t.Errorf("known: %v, want %v", got, tt.known)
			}
			if got := end(&f); got != tt.end {
				t.Errorf("it is %s, want %s", got, tt.end)
			}
		})
	}
}

// Behind a hole in a chunk the next request is found where it begins.
func TestSkipInChunk(t *testing.T) {
	var f Framer
	starts(&f, "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\na")
	f.Skip(4)
	const rest = "\r\n0\r\n\r\n"
	if got := starts(&f, rest+get); !slices.Equal(got, []int{len(rest)}) {
		t.Errorf("requests begin at %v", got)
	}
}

func TestInterim(t *testing.T) {
	const goOn, hints, ok = "HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n"
	for _, tt := range []struct {
		name string
		b    string
		want int
	}{
		{"nothing", "", 0},
		{"100", goOn, len(goOn)},
		{"several", goOn + hints, len(goOn + hints)},
		{"102 without a reason, lone LFs", "HTTP/1.0 102\n\n", 14},
		{"an answer", ok, 0},
		{"an answer behind 100", goOn + ok, len(goOn)},
		{"101", "HTTP/1.1 101 Switching Protocols\r\n\r\n", 0},
		{"101 behind 100", goOn + "HTTP/1.1 101 Switching Protocols\r\n\r\n", len(goOn)},
		{"a head that goes on", goOn + hints[:40], len(goOn) + 40},
		{"too short to tell", "HTTP/1.1 ", 9},
		{"another protocol", "\x16\x03\x01", 0},
		{"a status of four digits", "HTTP/1.1 1000\r\n\r\n", 0},
		{"HTTP/2", "\x00\x00\x04\x08\x00\x00\x00\x00\x05", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := Interim([]byte(tt.b)); got != tt.want {
				t.Errorf("got %d, want %d", got, tt.want)
			}
		})
	}
}

// What is kept of interim answers that are cut anywhere tells as much as all of them.
func TestInterimPart(t *testing.T) {
	const hints = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nX:\r\n\r\n"
	for _, all := range []string{
		hints, hints + "HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.0 102\n\n", hints + "HTTP/1.1 200 OK\r\n\r\n",
		"HTTP/1.1 1000\r\n\r\n", hints + "HTTP/1.1 101 Switching Protocols\r\n\r\n", "HTTP/1.1 100 a\r\r\n\r\nx", hints + "hello",
	} {
		for i := range all {
			if Interim([]byte(all[:i])) != i {
				continue
			}
			part := AppendInterimPart(nil, []byte(all[:i]))
			if len(part) > MaxInterimPart {
				t.Errorf("%d bytes of %q are kept", len(part), all[:i])
			}
			for end := i; end <= len(all); end++ {
				both := append(bytes.Clone(part), all[i:end]...)
				if got, want := Interim(both) == len(both), Interim([]byte(all[:end])) == end; got != want {
					t.Errorf("%q and then %q: %v, want %v", all[:i], all[i:end], got, want)
				}
			}
		}
	}
}
