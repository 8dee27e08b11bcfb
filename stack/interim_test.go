package stack

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"netmirror/outcome"

	"github.com/google/gopacket/layers"
)

// The first packet that is seen of a connection is an interim answer. What the client sends next is
// the body that the answer is about, whatever it looks like. Behind the final answer comes a request.
func TestConnectionBeginsWithAnInterimAnswer(t *testing.T) {
	const n, at = len(get1), 500 // what was not seen
	for answer, want := range map[string]string{
		"HTTP/1.1 100 Continue\r\n\r\n":                        get3,
		"HTTP/1.1 102 Processing\r\n\r\n":                      get3,
		"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n":       get3,
		"HTTP/1.1 204 No Content\r\n\r\n":                      get2 + get3,
		"HTTP/1.1 101 Switching Protocols\r\n\r\n":             "", // what follows is of another protocol
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No\r\n\r\n": get2 + get3,
	} {
		t.Run(answer, func(t *testing.T) {
			s := newTimed(t, nil)
			c := newClient(t, 0xffffffff-5)
			ack := uint32(1000 + len(answer))
			asks := func(off int, get string, ack uint32) Segment {
				return c.packet(off, []byte(get), func(t *layers.TCP) { t.Ack = ack })
			}
			s.Inject([]Segment{c.answer(1000, at, answer, nil), c.packet(at, nil, func(t *layers.TCP) { t.Ack = ack })})
			s.pass(10 * time.Millisecond)
			s.Inject([]Segment{asks(at, get2, ack), c.answer(ack, at+n, noContent, nil)})
			s.pass(100 * time.Millisecond)
			ack += uint32(len(noContent))
			s.Inject([]Segment{asks(at+n, get3, ack), c.answer(ack, at+2*n, noContent, nil)})
			s.pass(100 * time.Millisecond)
			s.Inject([]Segment{c.packet(at+2*n, nil, func(t *layers.TCP) { t.FIN, t.Ack = true, ack+uint32(len(noContent)) })})
			s.pass(2 * time.Second)
			if want == "" {
				s.is(c)
				return
			}
			s.is(c, text(want, nil))
		})
	}
}

// The mirror loses the head of a request with Upgrade, or its end, and shows that the server changes
// the protocol. What looks like a request from then on is none.
func TestProtocolChangesBehindALoss(t *testing.T) {
	const head, frame = "GET /ws HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", "\x81\x85kkkkabcde"
	changes := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"
	for _, shown := range []int{0, 18} { // of the head
		for _, interim := range []string{"", "HTTP/1.1 102 Processing\r\n\r\n"} {
			t.Run(fmt.Sprintf("%d, %q", shown, interim), func(t *testing.T) {
				const n = len(get1)
				s := newTimed(t, nil)
				c := newClient(t, 7000)
				s.Inject([]Segment{c.syn(), c.accepts(60000, 0), c.ack(0), c.says(0, get1, 1000), c.answer(1000, n, noContent, nil)})
				off, ack := n+len(head), 1000+len(noContent)
				s.Inject([]Segment{c.says(n, head[:shown], ack), c.answer(uint32(ack), off, interim+changes, nil)})
				ack += len(interim + changes)
				for _, text := range []string{frame, get2, get3} {
					s.pass(300 * time.Millisecond)
					s.Inject([]Segment{c.says(off, text, ack), c.answer(uint32(ack), off+len(text), "\x81\x01x", nil)})
					off, ack = off+len(text), ack+3
				}
				s.Inject([]Segment{c.fin(off)})
				s.pass(3 * time.Second)
				s.is(c, text(get1+head[:shown], outcome.EndGap))
			})
		}
	}
}

// Two uploads with Expect: 100-continue in a connection that is older than netmirror. The interim
// answer to the second makes no answer of that to the first, whose body looks like a request behind
// it, and is in the middle of being looked at by then.
func TestInterimAnswersOneBehindTheOther(t *testing.T) {
	const proceed, body = "HTTP/1.1 100 Continue\r\n\r\n", "rest of the body"
	post := "POST /r HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
	for _, apart := range []time.Duration{time.Millisecond, 200 * time.Millisecond, 1500 * time.Millisecond} {
		for _, cut := range []int{0, 1, 4, 6, 7, 8} { // where the server's segment ends
			t.Run(fmt.Sprintf("%v, %d", apart, cut), func(t *testing.T) {
				s := newTimed(t, nil)
				c := newClient(t, 7000)
				off, ack := 500, 1000
				client := func(text string) {
					s.pass(time.Millisecond)
					s.Inject([]Segment{c.says(off, text, ack)})
					off += len(text)
				}
				server := func(texts ...string) {
					for _, text := range texts {
						s.pass(time.Millisecond)
						s.Inject([]Segment{c.answer(uint32(ack), off, text, nil)})
						ack += len(text)
					}
					client("")
				}
				client("the middle of a body")
				server(proceed[:cut], proceed[cut:])
				client(get1 + body)
				server(noContent)
				s.pass(apart)
				for range 6 {
					client(post)
					server(proceed)
					client("12345")
					server(noContent)
				}
				s.Inject([]Segment{c.fin(off)})
				s.pass(3 * time.Second)
				s.is(c, text(strings.Repeat(post+"12345", 6), nil))
			})
		}
	}
}
