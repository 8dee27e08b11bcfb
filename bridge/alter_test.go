package bridge

import (
	"crypto/tls"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"netmirror/outcome"
	"netmirror/requests"
	"netmirror/target"
)

// altering are rules that mark requests and leave out those of other paths.
func altering(t *testing.T) *requests.Rules {
	t.Helper()
	r, err := requests.New(requests.Config{Marks: []string{"X-Shadow: 1"}, Paths: []string{"/api"}})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// mixed is n requests of different lengths, and those of them that the target is to
// get.
func mixed(n int) (sent, wanted []byte) {
	for i := range n {
		body := strings.Repeat("GET /api HTTP/1.1\r\n\r\n", i%50)
		path := []string{"/api", "/other", "/api/b?c"}[i%3]
		rest := fmt.Sprintf("Host: a\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		line := fmt.Sprintf("POST %s HTTP/1.1\r\n", path)
		sent = append(sent, line+rest...)
		if i%3 != 1 {
			wanted = append(wanted, line+"X-Shadow: 1\r\n"+rest...)
		}
	}
	return sent, wanted
}

func TestAlteredStream(t *testing.T) {
	sent, wanted := mixed(3000)
	for _, size := range []int{7, 1460, bufferSize, 1 << 20} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			g := newTarget(t)
			h := serve(t, Config{Target: g.addr(), Requests: altering(t)})
			s := h.open(t, split(sent, size)...)
			s.end(io.EOF)
			c := g.accept(t)
			expect(t, c, wanted, nil)
			c.Close()
			want(t, "outcome", s.outcome(t), "complete")
			n := h.Stats().Requests
			want(t, "requests matched", n.Matched, uint64(2000))
			want(t, "requests marked", n.Marked, uint64(2000))
			want(t, "requests left out", n.NotMatched, uint64(1000))
		})
	}
}

func TestAlteredStreamOfATargetThatIsSlow(t *testing.T) {
	sent, wanted := mixed(2000)
	g := newTarget(t)
	h := serve(t, Config{Target: g.addr(), Requests: altering(t)})
	g.narrow(t)
	s := h.open(t, split(sent, 5000)...)
	s.end(io.EOF)
	c := g.accept(t)
	expect(t, slow{c, 20_000, time.Millisecond}, wanted, nil)
	c.Close()
	want(t, "outcome", s.outcome(t), "complete")
}

// proxiedAndAltered has both a header of its own and altered requests.
func proxiedAndAltered(t *testing.T) Config {
	t.Helper()
	c := proxied(target.HeaderV1)
	c.Requests = altering(t)
	return c
}

func TestHeaderBeforeAlteredRequests(t *testing.T) {
	const mirrored = "PROXY TCP4 203.0.113.9 203.0.113.10 7 8\r\n"
	sent, wanted := mixed(300)
	for _, row := range []struct{ name, sent, want string }{
		{"requests", string(sent), header + string(wanted)},
		{"a header of the client's and requests", mirrored + string(sent), mirrored + string(wanted)},
		{"requests that begin like a header", "PROXY /api HTTP/1.1\r\n\r\n", header + "PROXY /api HTTP/1.1\r\nX-Shadow: 1\r\n\r\n"},
		{"some left out before them, behind a header of the client's", mirrored + strings.Repeat("GET / HTTP/1.1\r\n\r\n", 9) + string(sent), mirrored + string(wanted)},
		{"some left out before them", strings.Repeat("GET / HTTP/1.1\r\n\r\n", 9) + string(sent), header + string(wanted)},
		{"all of them left out", "PROXY / HTTP/1.1\r\n\r\n", ""},
		{"a header of the client's, and all left out", mirrored + "GET / HTTP/1.1\r\n\r\n", ""},
		{"a header of the client's alone", mirrored, ""},
		{"a stream that ends before that is known", "PROXY", ""},
	} {
		for _, size := range []int{1, 3, 30, bufferSize} {
			t.Run(fmt.Sprintf("%s by %d", row.name, size), func(t *testing.T) {
				g := newTarget(t)
				c := proxiedAndAltered(t)
				c.Target = g.addr()
				h := serve(t, c)
				s := h.open(t)
				s.send(split([]byte(row.sent), size)...)
				s.end(io.EOF)
				if row.want == "" {
					want(t, "outcome", s.outcome(t), "left-out")
					want(t, "attempts to connect", h.Stats().Dials, uint64(0))
					return
				}
				out := g.accept(t)
				expect(t, out, []byte(row.want), nil)
				out.Close()
				want(t, "outcome", s.outcome(t), "complete")
				n := h.Stats()
				want(t, "bytes in and out", n.BytesRead+n.Requests.BytesAdded, n.BytesWritten+n.BytesUnsent+n.Requests.BytesLeftOut)
			})
		}
	}
}

// many is a piece of short requests, which the line that is added makes longer than
// what a target takes at a time.
func many() (sent, wanted []byte) {
	const request, rest = "GET /api HTTP/1.1\r\n", "\r\n"
	const n = 8000
	return []byte(strings.Repeat(request+rest, n)), []byte(strings.Repeat(request+"X-Shadow: 1\r\n"+rest, n))
}

func TestAlteredStreamOnUnixSockets(t *testing.T) {
	sent, wanted := many()
	g, h := serveUnix(t, proxiedAndAltered(t))
	s := h.open(t, sent)
	s.end(io.EOF)
	expect(t, g.accept(t), append([]byte(header), wanted...), nil)
}

func TestAlteredStreamOverTLS(t *testing.T) {
	sent, wanted := many()
	g := newSecure(t)
	h := g.serve(t, proxiedAndAltered(t))
	s := h.open(t, sent)
	s.end(io.EOF)
	c := g.shadow.accept(t)
	expect(t, io.LimitReader(c, int64(len(header))), []byte(header), nil)
	in := tls.Server(c, g.config)
	expect(t, in, wanted, nil)
	in.Close()
	want(t, "outcome", s.outcome(t), "complete")
}

// What is left out costs a target that reads nothing no time.
func TestNothingForTheTarget(t *testing.T) {
	g := newTarget(t)
	h := serve(t, Config{Target: g.addr(), Requests: altering(t)})
	s := h.open(t, split([]byte(strings.Repeat("POST / HTTP/1.1\r\nContent-Length: 9999\r\n\r\n"+strings.Repeat("a", 9999), 500)), 5000)...)
	s.end(io.EOF)
	want(t, "outcome", s.outcome(t), "left-out")
	want(t, "attempts to connect", h.Stats().Dials, uint64(0))
	want(t, "requests left out", h.Stats().Requests.NotMatched, uint64(500))
	want(t, "bytes written", h.Stats().BytesWritten, uint64(0))
}

// A head whose end never came is dropped with its stream.
func TestHalfAHeadIsDroppedWithItsStream(t *testing.T) {
	const whole, half = "GET /api HTTP/1.1\r\n\r\n", "GET /api HTTP/1.1\r\nA"
	g := newTarget(t)
	h := serve(t, Config{Target: g.addr(), Requests: altering(t)})
	s := h.open(t, []byte(whole+half))
	c := g.accept(t)
	if _, err := io.ReadFull(c, make([]byte, len(whole)+len("X-Shadow: 1\r\n"))); err != nil {
		t.Fatal(err)
	}
	s.end(outcome.EndGap)
	want(t, "outcome", s.outcome(t), "gap")
	if n, err := c.Read(make([]byte, 1)); n > 0 || err == nil || err == io.EOF {
		t.Errorf("%d more bytes, %v; want a reset", n, err)
	}
	want(t, "bytes left out", h.Stats().Requests.BytesLeftOut, uint64(len(half)))
}

// What a target that has closed its side does not take goes back as the client has
// sent it, requests that are left out before it aside.
func TestAlteredRequestIsGivenBackAsItWasSent(t *testing.T) {
	const first, other, second = "GET /api HTTP/1.1\r\n\r\n", "GET /other HTTP/1.1\r\n\r\n", "POST /api HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc"
	const marked = len(first) + len("X-Shadow: 1\r\n")
	g := newTarget(t)
	h := serve(t, Config{Target: g.addr(), Requests: altering(t)})
	s := h.open(t, []byte(first))
	c := g.accept(t)
	if _, err := io.ReadFull(c, make([]byte, marked)); err != nil {
		t.Fatal(err)
	}
	c.Close()
	h.closedFirst(t, 1)
	s.send([]byte(other), []byte(second))
	want(t, "outcome", s.outcome(t), "target-closed")
	want(t, "what was given back", string(s.rest()), second)
	want(t, "BytesWritten", h.Stats().BytesWritten, uint64(marked))
}

// A target that has half-closed goes on to be sent what is meant for it.
func TestAlteredStreamOfAHalfClosedTarget(t *testing.T) {
	sent, wanted := mixed(500)
	first, _ := mixed(1)
	g := newTarget(t)
	h := serve(t, Config{Target: g.addr(), Requests: altering(t)})
	s := h.open(t, first)
	c := g.accept(t)
	c.CloseWrite()
	h.closedFirst(t, 1)
	s.send(split(sent[len(first):], 5000)...)
	s.end(io.EOF)
	expect(t, c, wanted, nil)
	want(t, "outcome", s.outcome(t), "complete")
}

// A target that has half-closed, and still has to take what came before, costs nothing
// of what is meant for it.
func TestAlteredStreamOfAHalfClosedTargetThatIsSlow(t *testing.T) {
	const head, mark = "POST /api HTTP/1.1\r\n", "X-Shadow: 1\r\n"
	const other = "GET /other HTTP/1.1\r\n\r\n"
	before := fmt.Sprintf("Content-Length: 150000\r\n\r\n%s", strings.Repeat("a", 150_000))
	after, wanted := mixed(300)
	g := newTarget(t)
	h := serve(t, Config{Target: g.addr(), Requests: altering(t)})
	g.narrow(t)
	s := h.open(t, append(split([]byte(head+before), 50_000), []byte(other))...)
	c := g.accept(t)
	eventually(t, "every byte in the queue", func() bool { return h.Stats().Requests.NotMatched == 1 })
	c.CloseWrite()
	h.closedFirst(t, 1)
	s.send(append(split(after[:100], 7), split(after[100:], 5000)...)...)
	s.end(io.EOF)
	expect(t, slow{c, 2000, time.Millisecond}, append([]byte(head+mark+before), wanted...), nil)
	want(t, "outcome", s.outcome(t), "complete")
}
