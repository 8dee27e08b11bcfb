package stack

import (
	"fmt"
	"io"
	"testing"
	"time"

	"netmirror/outcome"
)

// A new connection begins on the ports of one whose stream was given up a moment ago, and
// of which what came behind a hole still waits. Nothing of the old one, its PROXY protocol
// header above all, is in the new one's stream.
func TestANewConnectionWhileTheOldOneWaits(t *testing.T) {
	for _, tc := range []struct {
		name  string
		opens func(c *client) []Segment
	}{
		{"its SYN is seen", func(c *client) []Segment { return []Segment{c.syn(), c.accepts(502, 7)} }},
		{"its SYN-ACK is seen", func(c *client) []Segment { return []Segment{c.accepts(502, 7)} }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newTimed(t, nil)
			c := newClient(t, 1000)
			header := "PROXY TCP4 192.0.2.1 198.51.100.1 5000 80\r\n"
			put := fmt.Sprintf("PUT /1 HTTP/1.1\r\nContent-Length: %d\r\n\r\n", 300)
			n := len(header + put)
			s.Inject([]Segment{c.syn(), c.accepts(502, 7), c.ack(0), c.data(0, []byte(header+put)), c.answer(1000, n, "", nil)})
			s.pass(10 * time.Millisecond)
			s.Inject([]Segment{c.answer(1000, n+100, "", nil)}) // so that they are known to be lost
			s.pass(40 * time.Millisecond)
			s.Inject([]Segment{c.data(n+100, append(pattern(200), get2...))})
			s.pass(30 * time.Millisecond)
			c.isn += 1 << 29
			s.Inject(tc.opens(c))
			s.Inject([]Segment{c.ack(0), c.data(0, []byte(get1+get1)), c.data(2*len(get1), []byte(get3)), c.fin(3 * len(get1))})
			s.is(c, text(header+put, outcome.EndGap), text(get1+get1+get3, nil))
		})
	}
}

// Behind a FIN that was received with all before it there are no bytes. What comes there
// waits for nothing, and is not looked through for the next request.
func TestNothingComesBehindAFIN(t *testing.T) {
	const n = len(get1)
	clk := new(clock)
	s := newTestStack(t, func(c *Config) { c.Now = clk.now })
	c := newClient(t, 1000)
	s.Inject(append(c.opening(), c.data(0, []byte(get1)), c.fin(n)))
	clk.pass(t, s, 10*time.Millisecond)
	s.Inject([]Segment{c.ask(n+1, get2, 2), c.fin(n)})
	if st := s.Stats(); st.Held != 0 || st.Dropped[outcome.DropOutOfWindow] != 1 || st.Dropped[outcome.DropDuplicate] != 1 {
		t.Errorf("%d packets held, %d dropped as out of the window, %d as duplicates, want 0, 1, 1",
			st.Held, st.Dropped[outcome.DropOutOfWindow], st.Dropped[outcome.DropDuplicate])
	}
	conn := accept(t, s)
	if _, err := io.ReadFull(conn, make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	conn.Split() // looks for the next request
	if b, err := readAll(t, conn); string(b) != get1[5:] || err != nil {
		t.Errorf("read %q, %v, want the rest of the request and the end", b, err)
	}
}
