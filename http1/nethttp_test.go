package http1

import (
	"bufio"
	"io"
	"math/rand/v2"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// disputed matches heads that net/http reads and other servers read in another
// way, where it has to be enough that the Framer is lost: chunks beside a length
// or in HTTP/1.0, a name with space behind it, a folded line about the body, a
// CR within, and a line about the body that is too long.
var disputed = regexp.MustCompile(`(?i)transfer-encoding[^\n]*\n(.*\n)*content-length|content-length[^\n]*\n(.*\n)*transfer-encoding` +
	`|^\S+ \S+ HTTP/(0\.\d|1\.0)\r?\n(.*\n)*transfer-encoding` +
	`|\n(content-length|transfer-encoding)[^!#$%&'*+\-.^_` + "`" + `|~0-9A-Za-z:]` +
	`|\n(content-length|transfer-encoding):[^\n]*\n[ \t]` +
	`|\r[^\n]` +
	`|\n(content-length|transfer-encoding):[^\n]{45}`)

// readAll gives the places where net/http finds requests in s, and the part of
// s that it read: what it says of the rest is an error.
func readAll(s string) (places []int, end int) {
	source := strings.NewReader(s)
	r := bufio.NewReaderSize(source, 1<<16)
	for {
		at := len(s) - source.Len() - r.Buffered()
		req, err := http.ReadRequest(r)
		if err != nil || req.Method == "PRI" || len(req.Method) > maxMethod {
			return places, at
		}
		if _, err := io.Copy(io.Discard, req.Body); err != nil {
			return places, at
		}
		places = append(places, at)
	}
}

// What net/http reads as requests begin where the Framer says that they do, and
// how the bytes are cut into feeds makes no difference.
func FuzzFramer(f *testing.F) {
	for _, tt := range framing {
		if all := strings.Join(tt.requests, ""); len(all) < 1000 {
			f.Add(all, uint64(len(all)))
		}
	}
	f.Fuzz(func(t *testing.T, s string, seed uint64) {
		var whole, cut Framer
		got := starts(&whole, s)
		if pieces := cutUp(s, seed); !slices.Equal(starts(&cut, pieces...), got) || end(&cut) != end(&whole) {
			t.Errorf("fed with %q it finds other requests", pieces)
		}
		want, last := readAll(s)
		for _, at := range want {
			if Start([]byte(s[at:])) != Request {
				t.Errorf("%q is not a request", s[at:])
			}
		}
		if disputed.MatchString(s[:last]) {
			return
		}
		for i, at := range want {
			if i >= len(got) || got[i] != at {
				t.Fatalf("%q: requests begin at %v, for net/http at %v", s, got, want)
			}
		}
		if len(want) > 0 && last < len(s) && (len(got) == len(want) || got[len(want)] != last) {
			t.Errorf("%q: the last request ends somewhere else than at %d; beginnings: %v", s, last, got)
		}
	})
}

// cutUp cuts s into pieces, small and large.
func cutUp(s string, seed uint64) (pieces []string) {
	random := rand.New(rand.NewPCG(seed, 0))
	for len(s) > 0 {
		n := min(len(s), 1+random.IntN(1<<random.IntN(8)))
		pieces = append(pieces, s[:n])
		s = s[n:]
	}
	return pieces
}

// What net/http writes, it finds again: methods, bodies and chunks of all sorts.
func TestWrittenByNetHTTP(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var all strings.Builder
	var want []int
	for i := range 200 {
		want = append(want, all.Len())
		body := strings.Repeat(get, random.IntN(5))
		req, err := http.NewRequest([]string{"GET", "POST", "PATCH", "PROPFIND"}[i%4], "http://a/b?c=d", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if i%3 == 0 && body != "" {
			req.ContentLength, req.Body = -1, io.NopCloser(io.MultiReader(strings.NewReader(body), strings.NewReader(get)))
			req.Trailer = http.Header{"X-Sum": {"1"}}
		}
		if err := req.Write(&all); err != nil {
			t.Fatal(err)
		}
	}
	for seed := range uint64(20) {
		var f Framer
		if got := starts(&f, cutUp(all.String(), seed)...); !slices.Equal(got, want) || !f.AtStart() {
			t.Fatalf("requests begin at %v, want %v", got, want)
		}
	}
}
