package stack

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/gopacket/layers"

	"netmirror/outcome"
)

const (
	proxyV1 = "PROXY TCP4 192.0.2.7 198.51.100.1 40000 8080\r\n"
	// Version 2 of the same, with an extension of one byte.
	proxyV2 = "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x10\xc0\x00\x02\x07\xc6\x33\x64\x01\x9c\x40\x1f\x90\x04\x00\x01x"
)

// Requests begin where the bodies in front of them end (RFC 9112, section 6), and never
// in a body, however the stream is cut.
func TestWhereRequestsBegin(t *testing.T) {
	put := "PUT /a HTTP/1.1\r\nContent-Length: 19\r\n\r\n"
	chunked := "POST /b HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n13\r\n" + get1 + "\r\n0\r\n\r\n"
	for _, tc := range []struct {
		name   string
		stream string
		want   []int
		header string
	}{
		{"one request", get1, []int{0}, ""},
		{"pipelined requests", get1 + get2 + get3, []int{0, 19, 38}, ""},
		{"a body that is a request", put + get1 + get2, []int{0, len(put) + 19}, ""},
		{"chunks that are a request", chunked + get2, []int{0, len(chunked)}, ""},
		{"a PROXY header of version 1", proxyV1 + get1 + get2, []int{len(proxyV1), len(proxyV1) + 19}, proxyV1},
		{"a PROXY header of version 2", proxyV2 + get1 + get2, []int{len(proxyV2), len(proxyV2) + 19}, proxyV2},
		{"a method that begins like a PROXY header", "PROXYING / HTTP/1.1\r\n\r\n" + get1, []int{0, 23}, ""},
		{"no HTTP", "\x16\x03\x01\x02\x00\x01" + get1, nil, ""},
		{"no HTTP behind a PROXY header", proxyV1 + "\x16\x03\x01\x02\x00\x01" + get1, nil, proxyV1},
		{"HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + get1, nil, ""},
	} {
		for _, size := range []int{1, 2, 7, 1000} {
			t.Run(fmt.Sprintf("%s, in pieces of %d", tc.name, size), func(t *testing.T) {
				const isn = 0xfffffff0
				var g framing
				var got []int
				g.begin(isn, true)
				for b := []byte(tc.stream); len(b) > 0; b = b[min(size, len(b)):] {
					g.read(b[:min(size, len(b))], func(at uint32) { got = append(got, int(at-isn)) })
				}
				// A request whose first piece is too short to tell is left out.
				if size < 1000 {
					for _, at := range got {
						if !slices.Contains(tc.want, at) {
							t.Errorf("a request at %d, want only %d", at, tc.want)
						}
					}
				} else if !slices.Equal(got, tc.want) {
					t.Errorf("requests at %d, want %d", got, tc.want)
				}
				if header := string(g.proxied()); header != tc.header {
					t.Errorf("PROXY header %q, want %q", header, tc.header)
				}
			})
		}
	}
}

func TestFramingAcrossWhatIsMissing(t *testing.T) {
	put := "PUT /a HTTP/1.1\r\nContent-Length: 100\r\n\r\n"
	for _, tc := range []struct {
		name   string
		before string
		skip   uint32
		known  bool
	}{
		{"within a body", put + "body", 50, true},
		{"up to the end of a body", put + "body", 96, true},
		{"beyond the end of a body: a head is missing", put + "body", 97, false},
		{"in a head", put[:20], 1, false},
		{"between requests", get1, 10, false},
		{"in a PROXY header", proxyV1[:10], 10, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var g framing
			g.begin(0, true)
			g.read([]byte(tc.before), nil)
			g.skip(uint32(len(tc.before))+tc.skip, &answers{})
			if g.known != tc.known {
				t.Errorf("known %v, want %v", g.known, tc.known)
			}
		})
	}
}

// A copy must not see what the other reads of a PROXY header.
func TestFramingApart(t *testing.T) {
	var g framing
	g.begin(0, true)
	g.read([]byte(proxyV1[:15]), nil)
	c := g.apart()
	g.read([]byte("x"), nil)
	c.read([]byte(proxyV1[15:]), nil)
	if got := string(c.proxied()); got != proxyV1 {
		t.Errorf("PROXY header %q, want %q", got, proxyV1)
	}
}

// A header that claims to be longer than any in use is not kept.
func TestLongProxyHeaderIsNotKept(t *testing.T) {
	var g framing
	g.begin(0, true)
	g.read([]byte(proxyV2[:14]+"\xff\xff"+strings.Repeat("x", 60000)), nil)
	if g.header || len(g.lead) > 0 {
		t.Errorf("%d bytes are kept of it", len(g.lead))
	}
}

// The target takes a stream that goes on in the middle for a new connection: it gets
// the connection's PROXY header first.
func TestTheProxyHeaderIsGivenAgain(t *testing.T) {
	for name, header := range map[string]string{"version 1": proxyV1, "version 2": proxyV2} {
		t.Run(name, func(t *testing.T) {
			s := newTimed(t, nil)
			c := newClient(t, 0xffffffff-20)
			n, h := len(get1), len(header)
			s.Inject(append(c.opening(), c.ask(0, header[:7], 1), c.ask(7, header[7:]+get1, 1)))
			settled(t, s.Stack)
			s.Inject([]Segment{c.ask(h+n, put4, 2), c.ask(h+n+len(put4)+4, get3, 3), c.fin(h + n + len(put4) + 4 + n)})
			s.pass(2 * time.Second)
			s.is(c, text(header+get1+put4, outcome.EndGap), text(header+get3, nil))
			if got := s.Stats().HeaderUnknown; got != 0 {
				t.Errorf("%d headers not known, want 0", got)
			}
		})
	}
}

// put4 is the head of a request with a body of 4 bytes.
const put4 = "PUT / HTTP/1.1\r\nContent-Length: 4\r\n\r\n"

func TestTheProxyHeaderThatWasNotSeenIsCounted(t *testing.T) {
	s := newTimed(t, nil)
	c, d := newClient(t, 1), newClient(t, 1<<20)
	d.src = netip.AddrPortFrom(d.src.Addr(), 2)
	s.Inject(append(c.opening(), c.ask(0, proxyV1+get1, 1)))
	s.pass(10 * time.Millisecond)
	s.Inject([]Segment{d.ask(0, get2, 1)})
	s.pass(200 * time.Millisecond)
	s.is(d, text(get2, outcome.EndShutdown))
	if got := s.Stats().HeaderUnknown; got != 1 {
		t.Errorf("%d headers not known, want that of the connection older than netmirror", got)
	}
}

// Of the request behind a loss a piece comes first, alone, and is passed over.
func TestAPieceOfARequestBehindALossComesFirst(t *testing.T) {
	post := "POST / HTTP/1.1\r\nContent-Length: 5000\r\n\r\n"
	n := len(post) + 5000
	body := string(pattern(1000))
	s := newTimed(t, nil)
	c := newClient(t, 100)
	s.Inject(append(c.opening(), c.ask(0, post+body, 1)))
	for i, off := range []int{1, 3} { // the third and the fifth are lost
		s.Inject([]Segment{c.ask(len(post)+1000*off, body, 1), c.answer(1000, len(post)+1000*(off+1), "", nil)})
		s.pass(time.Duration(i) * time.Millisecond)
	}
	s.Inject([]Segment{c.answer(1000, n, noContent, nil), c.ask(n+1, get2[1:3], 2)})
	s.pass(3 * time.Second)
	s.Inject([]Segment{c.ask(n, get2, 2)})
	s.pass(time.Second)
	s.Inject([]Segment{c.packet(n+len(get2), nil, func(t *layers.TCP) { t.FIN, t.Ack = true, 3000 })})
	s.pass(time.Second)
	s.is(c, text(post+body+body, outcome.EndGap), text(get2, nil))
}

// The first byte of a request is lost, and the rest of its head comes late, with the first byte
// of its body: that looks like a request, but is directly behind the head.
func TestABodyBehindAHeadWithoutItsFirstByte(t *testing.T) {
	body := "GET /evil HTTP/1.1\r\nHost: a\r\n\r\n" + string(pattern(1969))
	head := "POST / HTTP/1.1\r\nContent-Length: 2000\r\n\r\n"
	s := newTimed(t, nil)
	c := newClient(t, 100)
	at := func(off int, b string, ack uint32) Segment {
		return c.packet(off, []byte(b), func(t *layers.TCP) { t.Ack = ack })
	}
	s.Inject([]Segment{at(0, head[:30], 1000)})
	s.pass(time.Millisecond)
	s.Inject([]Segment{c.answer(1000, 90, "x", nil)})
	s.pass(200 * time.Millisecond)
	n := 90 + len(head)
	s.Inject([]Segment{at(n, body, 1002), c.answer(1001, n, "x", nil), at(91, head[1:]+body[:1], 1002)})
	s.pass(3 * time.Second)
	s.is(c, text(head[:30], outcome.EndGap))
}
