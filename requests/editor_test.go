package requests

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

const (
	mark = "X-Shadow: 1\r\n"
	get  = "GET /api/a HTTP/1.1\r\nhOST: Example.com:8080\r\nx-ORDER: 1\r\n\r\n"
	post = "POST /api HTTP/1.1\r\nHost: example.com\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
	out  = "POST /other HTTP/1.1\r\nHost: example.com\r\nContent-Length: 59\r\n\r\n" + get
	tls  = "\x16\x03\x01\x02\x00\x01\x00\x01"
)

var (
	marking  = Config{Marks: []string{"X-Shadow: 1"}}
	only     = Config{Paths: []string{"/api", "/v2/"}}
	onlyHost = Config{Hosts: []string{"example.com", ".example.org", "::1"}}
	both     = Config{Marks: []string{"X-Shadow: 1"}, Paths: []string{"/api"}}
)

func rules(t testing.TB, c Config) *Rules {
	t.Helper()
	r, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// play gives what goes to the target for the pieces, each of which is taken whole.
func play(r *Rules, pieces ...string) string {
	e := r.Editor()
	defer e.Close()
	var all strings.Builder
	for _, p := range pieces {
		for b := []byte(p); len(b) > 0; {
			got := e.Edit(nil, b)
			all.Write(got)
			b = b[e.Taken(b, len(got)):]
		}
	}
	return all.String()
}

// playBadly does the same for a target that takes what it likes, from a stream that
// gives what it likes.
func playBadly(r *Rules, s string, random *rand.Rand) string {
	e := r.Editor()
	defer e.Close()
	var all strings.Builder
	scratch := make([]byte, 0, 16)
	size := 1 << random.IntN(14)
	for b := []byte(s); len(b) > 0; {
		in := b[:min(len(b), 1+random.IntN(size))]
		got := e.Edit(scratch, in)
		n := len(got)
		if random.IntN(2) == 0 {
			n = random.IntN(n + 1)
		}
		all.Write(got[:n])
		b = b[e.Taken(in, n):]
	}
	return all.String()
}

// A row is what the client sends and what the target gets.
var rows = []struct {
	name   string
	rules  Config
	in     string
	out    string
	counts Stats // but for the bytes
}{
	{"a mark", marking, get, "GET /api/a HTTP/1.1\r\n" + mark + get[21:], Stats{Marked: 1}},
	{"two marks", Config{Marks: []string{"A:1", " B: 2 "}}, "GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nA:1\r\nB: 2\r\n\r\n", Stats{Marked: 1}},
	{"pipelined requests with bodies", marking, post + "GET /" + get, marked(post) + "GET /" + marked(get), Stats{Marked: 2}},
	{"chunks", marking, "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n" + get,
		"POST / HTTP/1.1\r\n" + mark + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n" + marked(get), Stats{Marked: 2}},
	{"empty lines in front of a request", marking, "\r\n\r\n" + get, "\r\n\r\n" + marked(get), Stats{Marked: 1}},
	{"lone LFs", marking, "GET / HTTP/1.0\nA: b\n\n", "GET / HTTP/1.0\n" + mark + "A: b\n\n", Stats{Marked: 1}},
	{"a field that is there", marking, "GET / HTTP/1.1\r\nX-Shadow: 0\r\n\r\n", "GET / HTTP/1.1\r\n" + mark + "X-Shadow: 0\r\n\r\n", Stats{Marked: 1}},
	{"half a request", marking, "GET / HTTP/1.1\r\nA", "GET / HTTP/1.1\r\n" + mark + "A", Stats{Marked: 1}},
	{"TLS", marking, tls + get, tls + get, Stats{NotHTTP: 1}},
	{"HTTP/2", marking, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Stats{NotHTTP: 1}},
	{"a tunnel", marking, "CONNECT a:80 HTTP/1.1\r\n\r\n" + get, "CONNECT a:80 HTTP/1.1\r\n" + mark + "\r\n" + get, Stats{Marked: 1, Tunnels: 1}},
	{"WebSocket", marking, "GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n\x81\x85" + get, "GET / HTTP/1.1\r\n" + mark + "Upgrade: websocket\r\n\r\n\x81\x85" + get, Stats{Marked: 1, Tunnels: 1}},
	{"an upgrade that is refused", marking, "GET / HTTP/1.1\r\nUpgrade: h2c\r\n\r\n" + get, "GET / HTTP/1.1\r\n" + mark + "Upgrade: h2c\r\n\r\n" + marked(get), Stats{Marked: 2}},
	{"a length and chunks", marking, ambiguous + get, marked(ambiguous) + get, Stats{Marked: 1, Ambiguous: 1}},
	{"a first line that is folded", marking, "GET / HTTP/1.1\r\n A: b\r\n\r\n" + get, "GET / HTTP/1.1\r\n A: b\r\n\r\n" + get, Stats{Ambiguous: 1}},
	{"a PROXY header, version 1", marking, proxy1 + get, proxy1 + marked(get), Stats{Marked: 1}},
	{"a PROXY header, version 2", marking, proxy2 + get, proxy2 + marked(get), Stats{Marked: 1}},
	{"the beginning of a PROXY header", marking, proxy1[:20], proxy1[:20], Stats{}},
	{"what begins like a PROXY header", marking, "PROXY /a HTTP/1.1\r\n\r\n" + get, "PROXY /a HTTP/1.1\r\n" + mark + "\r\n" + marked(get), Stats{Marked: 2}},

	{"a request that is wanted", only, get, get, Stats{Matched: 1}},
	{"one that is not", only, out, "", Stats{NotMatched: 1}},
	{"some of each", only, get + out + post + "abcde" + out + out + get, get + post + "abcde" + get, Stats{Matched: 3, NotMatched: 3}},
	{"chunks that are not wanted", only, "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nA: b\r\n\r\n" + get, get, Stats{Matched: 1, NotMatched: 1}},
	{"a path that only begins alike", only, "GET /ap HTTP/1.1\r\n\r\nGET /v2 HTTP/1.1\r\n\r\n", "", Stats{NotMatched: 2}},
	{"a URL", only, "GET http://a/api?b HTTP/1.1\r\n\r\nGET http://a/?/api HTTP/1.1\r\n\r\n", "GET http://a/api?b HTTP/1.1\r\n\r\n", Stats{Matched: 1, NotMatched: 1}},
	{"an asterisk", only, "OPTIONS * HTTP/1.1\r\n\r\n", "", Stats{NotMatched: 1}},
	{"half a head", only, get + get[:30], get, Stats{Matched: 1}},
	{"what is no HTTP/1", only, tls + get, "", Stats{NotHTTP: 1}},
	{"a length and chunks, and what comes then", only, get + ambiguous + get, get, Stats{Matched: 1, Ambiguous: 1}},
	{"WebSocket that is wanted", only, socket + "\x81\x85" + get, socket + "\x81\x85" + get, Stats{Matched: 1, Tunnels: 1}},
	{"WebSocket that is not", only, "GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n\x81\x85" + get, "", Stats{NotMatched: 1, Tunnels: 1}},
	{"CONNECT has no path", only, "CONNECT a:80 HTTP/1.1\r\n\r\n" + get, "", Stats{NotMatched: 1, Tunnels: 1}},
	{"a PROXY header in front of what is wanted", only, proxy1 + get, proxy1 + get, Stats{Matched: 1}},
	{"a PROXY header in front of what is not", only, proxy2 + out + get, proxy2 + get, Stats{Matched: 1, NotMatched: 1}},
	{"a PROXY header in front of nothing that is wanted", only, proxy1 + out + out, "", Stats{NotMatched: 2}},
	{"a PROXY header alone", only, proxy2, "", Stats{}},
	{"a PROXY header in front of what is no HTTP/1", only, proxy2 + tls, "", Stats{NotHTTP: 1}},
	{"a PROXY header too large to be held back", only, bulky + out, bulky, Stats{NotMatched: 1}},
	{"one that is just small enough", only, bulky2k + out + get, bulky2k + get, Stats{Matched: 1, NotMatched: 1}},
	{"empty lines of what is not", only, "\r\n\r\n" + out + "\r\n" + get, "\r\n" + get, Stats{Matched: 1, NotMatched: 1}},
	{"a head that is too large", only, large(maxHead+1) + get, get, Stats{Matched: 1, TooLarge: 1}},
	{"a head that is just small enough", only, large(maxHead) + get, large(maxHead) + get, Stats{Matched: 2}},
	{"a tunnel with a head that is too large", onlyHost, "CONNECT" + large(maxHead + 5)[3:] + get, "", Stats{TooLarge: 1, Tunnels: 1}},

	{"a host", onlyHost, get, get, Stats{Matched: 1}},
	{"another host", onlyHost, "GET / HTTP/1.1\r\nHost: www.example.com\r\n\r\n" + get, get, Stats{Matched: 1, NotMatched: 1}},
	{"the end of a host", onlyHost, of("A.b.EXAMPLE.org.:1"), of("A.b.EXAMPLE.org.:1"), Stats{Matched: 1}},
	{"the end of a host, alone", onlyHost, of("example.org") + of("badexample.org"), "", Stats{NotMatched: 2}},
	{"an address", onlyHost, of("[::1]:80") + of("[::2]:80"), of("[::1]:80"), Stats{Matched: 1, NotMatched: 1}},
	{"no host", onlyHost, "GET / HTTP/1.0\r\n\r\n" + of("") + get, get, Stats{Matched: 1, NotMatched: 2}},
	{"two hosts", onlyHost, "GET / HTTP/1.1\r\nHost: example.com\r\nHost: example.com\r\n\r\n", "", Stats{NotMatched: 1}},
	{"a URL's host, which counts", onlyHost, "GET http://u@example.com:80/ HTTP/1.1\r\nHost: a\r\n\r\nGET http://a HTTP/1.1\r\nHost: example.com\r\n\r\n",
		"GET http://u@example.com:80/ HTTP/1.1\r\nHost: a\r\n\r\n", Stats{Matched: 1, NotMatched: 1}},
	{"a tunnel to a host", onlyHost, "CONNECT example.com:443 HTTP/1.1\r\n\r\n" + tls, "CONNECT example.com:443 HTTP/1.1\r\n\r\n" + tls, Stats{Matched: 1, Tunnels: 1}},
	{"a host in a body", onlyHost, "POST / HTTP/1.1\r\nContent-Length: 17\r\n\r\nHost: example.com" + get, get, Stats{Matched: 1, NotMatched: 1}},

	{"marks on what is wanted", both, out + "\n" + get + post + "abcde", "\n" + marked(get) + marked(post) + "abcde", Stats{Marked: 2, Matched: 2, NotMatched: 1}},
	{"marks behind a PROXY header", both, proxy1 + out + get + out + get, proxy1 + marked(get) + marked(get), Stats{Marked: 2, Matched: 2, NotMatched: 2}},
	{"a path and a host, of which both count", Config{Paths: only.Paths, Hosts: onlyHost.Hosts}, get + of("example.com") + "GET /api HTTP/1.1\r\nHost: a\r\n\r\n", get, Stats{Matched: 1, NotMatched: 2}},
}

const (
	ambiguous = "POST /api HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"
	chunked   = "POST /api HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
	socket    = "GET /api HTTP/1.1\r\nUpgrade: websocket\r\n\r\n"
	proxy1    = "PROXY TCP4 192.0.2.1 192.0.2.2 50000 80\r\n"
	proxy2    = "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01"
)

// Headers of version 2 with much behind the addresses.
var (
	bulky   = bulkyHeader(3000)
	bulky2k = bulkyHeader(2 << 10)
)

// bulkyHeader is such a header of n bytes.
func bulkyHeader(n int) string {
	return proxy2[:14] + string([]byte{byte((n - 16) >> 8), byte(n - 16)}) + strings.Repeat("\x04", n-16)
}

// marked is a request with the mark behind its line.
func marked(s string) string { return strings.Replace(s, "\n", "\n"+mark, 1) }

func of(host string) string { return "GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n" }

// large is a request with a head of n bytes.
func large(n int) string {
	const line, end = "GET /api HTTP/1.1\r\nCookie: ", "\r\n\r\n"
	return line + strings.Repeat("a", n-len(line)-len(end)) + end
}

func TestEdit(t *testing.T) {
	for _, tt := range rows {
		t.Run(tt.name, func(t *testing.T) {
			r := rules(t, tt.rules)
			if got := play(r, tt.in); got != tt.out {
				t.Fatalf("the target gets %.300q, want %.300q", got, tt.out)
			}
			checkCounts(t, r, tt.counts, len(tt.in), len(tt.out))
			for i := 1; i < len(tt.in) && i < 500; i++ {
				if got := play(rules(t, tt.rules), tt.in[:i], tt.in[i:]); got != tt.out {
					t.Fatalf("cut at %d, the target gets %.300q, want %.300q", i, got, tt.out)
				}
			}
			for seed := range uint64(70) {
				r := rules(t, tt.rules)
				if got := playBadly(r, tt.in, rand.New(rand.NewPCG(seed, 1))); got != tt.out {
					t.Fatalf("seed %d: the target gets %.300q, want %.300q", seed, got, tt.out)
				}
				checkCounts(t, r, tt.counts, len(tt.in), len(tt.out))
			}
		})
	}
}

// checkCounts compares the figures. No byte is unaccounted for, and nothing is held
// once the stream has ended.
func checkCounts(t *testing.T, r *Rules, want Stats, in, out int) {
	t.Helper()
	got := r.Stats()
	if uint64(in)+got.BytesAdded != uint64(out)+got.BytesLeftOut {
		t.Fatalf("%d bytes and %d added are not %d and %d left out", in, got.BytesAdded, out, got.BytesLeftOut)
	}
	if held := r.held.Load(); held != 0 {
		t.Fatalf("%d bytes are held behind the end", held)
	}
	got.BytesAdded, got.BytesLeftOut, got.BytesTooLarge, got.BytesAmbiguous = 0, 0, 0, 0
	if got != want {
		t.Fatalf("counted %+v, want %+v", got, want)
	}
}

// Behind a chunk that is none nothing can be told, and nothing goes to the target. It
// sees that the request has no end.
func TestBrokenChunk(t *testing.T) {
	const in = get + chunked + "3\r\nabcd\r\n"
	for i := range len(in) {
		r := rules(t, only)
		got := play(r, in[:i], in[i:]+get)
		if !strings.HasPrefix(got, get+chunked) || !strings.HasPrefix(in, got) || len(got) > len(in)-len("d\r\n") {
			t.Fatalf("cut at %d, the target gets %q", i, got)
		}
		checkCounts(t, r, Stats{Matched: 2, Ambiguous: 1}, len(in+get), len(got))
	}
}

// What is not altered is not copied.
func TestUnalteredIsNotCopied(t *testing.T) {
	e := rules(t, both).Editor()
	defer e.Close()
	head := []byte("POST /api HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n")
	e.Taken(head, len(e.Edit(nil, head)))
	body := make([]byte, 4096)
	if got := e.Edit(nil, body); len(got) != len(body) || &got[0] != &body[0] {
		t.Error("a body is not itself")
	}
}

// However many lines are added to however many requests, the output is bounded.
func TestOutputIsBounded(t *testing.T) {
	r := rules(t, Config{Marks: []string{"X: " + strings.Repeat("a", 4000)}})
	e := r.Editor()
	defer e.Close()
	in := []byte(strings.Repeat("GET / HTTP/1.1\r\n\r\n", 2000))
	for n := len(in); n > 0; n = len(in) {
		got := e.Edit(nil, in)
		if len(got) > MaxOutput {
			t.Fatalf("%d bytes of output", len(got))
		}
		if in = in[e.Taken(in, len(got)):]; len(in) == n {
			t.Fatal("it does not go on")
		}
	}
	if got := r.Stats().Marked; got != 2000 {
		t.Errorf("%d requests are marked", got)
	}
}

// Streams that never end their heads cannot hold more than is theirs.
func TestHeldIsBounded(t *testing.T) {
	r := rules(t, only)
	part := []byte("GET /api HTTP/1.1\r\nCookie: " + strings.Repeat("a", maxHead-100))
	var editors []*Editor
	for range 2 * maxHeld / maxHead {
		e := r.Editor()
		e.Taken(part, len(e.Edit(nil, part)))
		editors = append(editors, e)
	}
	if held := r.held.Load(); held > maxHeld+maxHead {
		t.Errorf("%d bytes are held", held)
	}
	if n := r.Stats().TooLarge; n < uint64(len(editors)/2-10) {
		t.Errorf("%d of %d requests were left out", n, len(editors))
	}
	for _, e := range editors {
		e.Close()
	}
	if held := r.held.Load(); held != 0 {
		t.Errorf("%d bytes are held behind the end", held)
	}
}

func TestNothingToDo(t *testing.T) {
	r, err := New(Config{})
	if r != nil || err != nil {
		t.Errorf("got %v, %v", r, err)
	}
	if r.Editor() != nil || r.Stats() != (Stats{}) {
		t.Error("no rules edit")
	}
}

func TestBadValues(t *testing.T) {
	for _, c := range []Config{
		{Marks: []string{"X-Shadow"}},
		{Marks: []string{""}},
		{Marks: []string{": 1"}},
		{Marks: []string{"X-Shadow : 1"}},
		{Marks: []string{"X Shadow: 1"}},
		{Marks: []string{"X-Shädow: 1"}},
		{Marks: []string{"X-Shadow: 1\r\nHost: a"}},
		{Marks: []string{"X-Shadow: 1\n"}},
		{Marks: []string{"X-Shadow: \x00"}},
		{Marks: []string{"content-length: 1"}},
		{Marks: []string{"Transfer-Encoding: chunked"}},
		{Marks: []string{"Host: a"}},
		{Marks: []string{"X: " + strings.Repeat("a", maxMarks)}},
		{Paths: []string{"api"}},
		{Paths: []string{""}},
		{Paths: []string{"/api?a"}},
		{Hosts: []string{""}},
		{Hosts: []string{"."}},
		{Hosts: []string{"*.example.com"}},
		{Hosts: []string{"example.com:80"}},
		{Hosts: []string{"http://example.com"}},
	} {
		if _, err := New(c); err == nil {
			t.Errorf("%q is taken", fmt.Sprint(c))
		}
	}
}

// What is left out because nobody can tell whether it was wanted is counted apart, to its
// last byte; what does not match is not.
func TestBytesThatCouldNotBeJudged(t *testing.T) {
	body := "POST /api HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\nA: " + strings.Repeat("a", maxHead) + "\r\n\r\n" + strings.Repeat("b", 1000)
	for name, tt := range map[string]struct {
		in             []string
		large, unclear int
	}{
		"does not match":       {[]string{get, out, post + "abcde"}, 0, 0},
		"no HTTP/1":            {[]string{tls, get}, 0, 0},
		"too large, with body": {[]string{out, body, out, get}, len(body), 0},
		"ambiguous":            {[]string{out, ambiguous, get, get}, 0, len(ambiguous + get + get)},
		"too large, ambiguous": {[]string{body, out, ambiguous, get}, len(body), len(ambiguous + get)},
	} {
		r := rules(t, only)
		play(r, tt.in...)
		if n := r.Stats(); n.BytesTooLarge != uint64(tt.large) || n.BytesAmbiguous != uint64(tt.unclear) || n.Unjudged() > n.BytesLeftOut {
			t.Errorf("%s: %d bytes too large and %d ambiguous of %d left out, want %d and %d", name, n.BytesTooLarge, n.BytesAmbiguous, n.BytesLeftOut, tt.large, tt.unclear)
		}
	}
	// A mark alone leaves nothing out.
	r := rules(t, marking)
	play(r, ambiguous, get)
	if n := r.Stats(); n.Unjudged() != 0 {
		t.Errorf("%d bytes not judged with marks alone", n.Unjudged())
	}
}
