package stack

import (
	"testing"
	"time"

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
		"HTTP/1.1 101 Switching Protocols\r\n\r\n":             get2 + get3,
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
			s.is(c, text(want, nil))
		})
	}
}
