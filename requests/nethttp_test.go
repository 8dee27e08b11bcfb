package requests

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// request is one as net/http reads it.
type request struct {
	line, header, body string
	marks              []string
	path, host         string
}

// readAll gives the requests that net/http reads from s, and whether that is all of s.
func readAll(s string) (all []request, whole bool) {
	r := bufio.NewReaderSize(strings.NewReader(s), 1<<16)
	for {
		q, err := http.ReadRequest(r)
		if err != nil {
			return all, err == io.EOF
		}
		body, err := io.ReadAll(q.Body)
		if err != nil {
			return all, false
		}
		marks := q.Header["X-Shadow"]
		delete(q.Header, "X-Shadow")
		all = append(all, request{
			line:   q.Method + " " + q.RequestURI + " " + q.Proto,
			header: fmt.Sprint(q.Header, q.Host, q.ContentLength, q.TransferEncoding, q.Close, q.Trailer),
			body:   string(body), marks: marks, path: q.URL.EscapedPath(), host: q.URL.Host + " " + q.Host,
		})
	}
}

func same(a, b request) bool { return a.line == b.line && a.header == b.header && a.body == b.body }

// refused matches heads that net/http reads and servers, its own among them, refuse:
// there it is enough that no request is forwarded that should not be.
var refused = regexp.MustCompile(`(?i)\nhost:[^\n]*\n(.+\n)*host:|\nhost:[^\n]*\n[ \t]|\nhost:[^\n]*[^a-z0-9.:\-\r\n \t]|\r[^\n]|://[^/ \n]*[^a-z0-9.:\-/ \n]|CONNECT`)

// A marked stream is, for net/http, the same requests with the mark in front; without
// the marks it is the same bytes. How the bytes come and go makes no difference.
func FuzzMark(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, in string, seed uint64) {
		if strings.Contains(strings.ToLower(in), "x-shadow") {
			return
		}
		r, cut := rules(t, marking), rules(t, marking)
		got := play(r, in)
		if bad := playBadly(cut, in, rand.New(rand.NewPCG(seed, 0))); bad != got || cut.Stats() != r.Stats() {
			t.Fatalf("%q: in pieces it is %q, whole it is %q", in, bad, got)
		}
		if strings.ReplaceAll(got, mark, "") != in {
			t.Fatalf("%q became %q", in, got)
		}
		before, _ := readAll(in)
		after, _ := readAll(got)
		if len(before) != len(after) {
			t.Fatalf("%q: %d requests became %d: %q", in, len(before), len(after), got)
		}
		marked := int(r.Stats().Marked)
		for i, q := range after {
			if !same(q, before[i]) || i < marked && !slices.Equal(q.marks, []string{"1"}) {
				t.Fatalf("%q: %+v became %+v", in, before[i], q)
			}
		}
	})
}

// A filtered stream is, for net/http, the wanted requests alone.
func FuzzFilter(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, in string, seed uint64) {
		c := Config{Paths: []string{"/a", "/v2/"}, Hosts: []string{"example.com", ".example.org"}}
		r, cut := rules(t, c), rules(t, c)
		got := play(r, in)
		bad := playBadly(cut, in, rand.New(rand.NewPCG(seed, 0)))
		n := r.Stats()
		if n.Ambiguous == 0 && (bad != got || cut.Stats() != n) {
			t.Fatalf("%q: in pieces it is %q, whole it is %q", in, bad, got)
		}
		if uint64(len(in)) != uint64(len(got))+n.BytesLeftOut {
			t.Fatalf("%q: of %d bytes %d are forwarded, %d left out", in, len(in), len(got), n.BytesLeftOut)
		}
		before, whole := readAll(in)
		if !whole || n.Tunnels+n.NotHTTP > 0 || refused.MatchString(in) {
			return
		}
		after, _ := readAll(got)
		var want []request
		for _, q := range before {
			if !usualTarget.MatchString(q.line) {
				return
			}
			if wantedForFuzz(q) {
				want = append(want, q)
			}
		}
		if len(after) > len(want) || n.Ambiguous == 0 && len(after) < len(want) {
			t.Fatalf("%q: %d requests are forwarded, want %d: %q", in, len(after), len(want), got)
		}
		for i, q := range after {
			if !same(q, want[i]) {
				t.Fatalf("%q: got %+v, want %+v", in, q, want[i])
			}
		}
	})
}

var (
	usualTarget = regexp.MustCompile(`^\S+ (/|\*|[A-Za-z0-9+.\-]+://[^/])`)
	wantedPath  = regexp.MustCompile(`^(/a|/v2/)`)
	wantedHost  = regexp.MustCompile(`(?i)^(example\.com|[^ ]+\.example\.org)\.?(:[^:]*)?$`)
)

// wantedForFuzz judges by what net/http has read.
func wantedForFuzz(q request) bool {
	url, field, _ := strings.Cut(q.host, " ")
	if url == "" {
		url = field
	}
	return wantedPath.MatchString(q.path) && wantedHost.MatchString(url)
}

func seed(f *testing.F) {
	for i, tt := range rows {
		if len(tt.in) < 1000 {
			f.Add(tt.in, uint64(i))
		}
	}
	f.Add("GET http://example.com/a HTTP/1.1\r\nHost: b\r\n\r\nGET /v2/ HTTP/1.1\r\nHost: b.example.org:1\r\n\r\nGET /b HTTP/1.1\r\nHost: example.com\r\n\r\n", uint64(1))
}

// What net/http writes is told apart and marked: methods, bodies and chunks of all
// sorts, in random order.
func TestWrittenByNetHTTP(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 100 {
		var all, wanted strings.Builder
		for range 50 {
			var one strings.Builder
			path := []string{"/api/a", "/other", "/api?b", "/"}[random.IntN(4)]
			body := strings.Repeat(get, random.IntN(5))
			q, err := http.NewRequest([]string{"GET", "POST", "PATCH", "PROPFIND"}[random.IntN(4)], "http://a"+path, strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			if random.IntN(3) == 0 && body != "" {
				q.ContentLength, q.Body = -1, io.NopCloser(io.MultiReader(strings.NewReader(body), strings.NewReader(get)))
				q.Trailer = http.Header{"X-Sum": {"1"}}
			}
			if err := q.Write(&one); err != nil {
				t.Fatal(err)
			}
			all.WriteString(one.String())
			if strings.HasPrefix(path, "/api") {
				wanted.WriteString(marked(one.String()))
			}
		}
		if got := playBadly(rules(t, both), all.String(), random); got != wanted.String() {
			t.Fatalf("%q became %q, want %q", all.String(), got, wanted.String())
		}
	}
}
