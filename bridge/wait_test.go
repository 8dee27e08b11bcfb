package bridge

import (
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"netmirror/outcome"
)

const (
	unwantedRequest = "GET /other HTTP/1.1\r\n\r\n"
	wantedRequest   = "GET /api HTTP/1.1\r\n\r\n"
	asForwarded     = "GET /api HTTP/1.1\r\nX-Shadow: 1\r\n\r\n"
)

// A stream without a request for the target gets no connection, and no loss is made of it
// unless some of its bytes were lost.
func TestStreamsThatAreLeftOut(t *testing.T) {
	for _, row := range []struct {
		sent string
		end  error
		want string
	}{
		{unwantedRequest, io.EOF, "left-out"},
		{"", io.EOF, "left-out"},
		{wantedRequest[:9], io.EOF, "left-out"},
		{"\x16\x03\x01\x02\x00" + wantedRequest, io.EOF, "left-out"},
		{unwantedRequest, outcome.EndClientReset, "left-out"},
		{unwantedRequest, outcome.EndServerReset, "left-out"},
		{unwantedRequest, outcome.EndIdle, "left-out"},
		{unwantedRequest, outcome.EndGap, "gap"},
		{unwantedRequest, outcome.EndShed, "shed"},
		{unwantedRequest, outcome.EndReplaced, "replaced"},
		{unwantedRequest, io.ErrUnexpectedEOF, "error"},
	} {
		t.Run(fmt.Sprintf("%.9q, %v", row.sent, row.end), func(t *testing.T) {
			h := serve(t, Config{Target: newTarget(t).addr(), Requests: altering(t)})
			s := h.open(t)
			if row.sent != "" {
				s.send([]byte(row.sent))
			}
			s.end(row.end)
			want(t, "outcome", s.outcome(t), row.want)
			want(t, "attempts to connect", h.Stats().Dials, uint64(0))
			want(t, "bytes left out", h.Stats().Requests.BytesLeftOut, uint64(len(row.sent)))
		})
	}
}

// The request that is wanted has the stream connect, and arrives alone.
func TestStreamConnectsAtItsFirstRequest(t *testing.T) {
	for _, size := range []int{1, 10, bufferSize} {
		g := newTarget(t)
		h := serve(t, Config{Target: g.addr(), Requests: altering(t)})
		s := h.open(t, []byte(unwantedRequest))
		eventually(t, "the request left out", func() bool { return h.Stats().Requests.NotMatched == 1 })
		n := h.Stats()
		want(t, "streams that wait", n.Waiting, int64(1))
		want(t, "streams with a connection", n.Open, int64(0))
		want(t, "attempts to connect", n.Dials, uint64(0))
		s.send(split([]byte(wantedRequest+unwantedRequest), size)...)
		c := g.accept(t)
		want(t, "streams that wait", h.Stats().Waiting, int64(0))
		s.end(io.EOF)
		expect(t, c, []byte(asForwarded), nil)
		c.Close()
		want(t, "outcome", s.outcome(t), "complete")
	}
}

// Streams that wait take no room of those that connect.
func TestStreamsThatWaitTakeNoRoom(t *testing.T) {
	g := newTarget(t)
	h := serve(t, Config{Target: g.addr(), Requests: altering(t), Room: NewRoom(1, 1)})
	var idle []*script
	for range 5 {
		idle = append(idle, h.open(t, []byte(unwantedRequest)))
	}
	first := h.open(t, []byte(wantedRequest))
	c := g.accept(t)
	second := h.open(t, []byte(wantedRequest[:9]), []byte(wantedRequest[9:]))
	want(t, "outcome beyond the room", second.outcome(t), "shed")
	want(t, "streams turned away", h.Stats().TurnedAway, uint64(1))
	want(t, "what the stack counts as lost", string(second.rest()), wantedRequest)
	first.end(io.EOF)
	expect(t, c, []byte(asForwarded), nil)
	c.Close()
	want(t, "outcome", first.outcome(t), "complete")
	idle[0].send([]byte(wantedRequest))
	idle[0].end(io.EOF)
	c = g.accept(t)
	expect(t, c, []byte(asForwarded), nil)
	c.Close()
	h.Bridge.Close()
	for _, s := range idle[1:] {
		want(t, "outcome of one that waits", s.outcome(t), "shutdown")
	}
}

// A request that waits for a target that takes no connection is lost, all of it: what was
// read before its head was whole as well.
func TestRequestForATargetThatRefuses(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	h := serve(t, Config{Target: ln.Addr().String(), Requests: altering(t), Retries: 1, RetryDelay: time.Millisecond})
	s := h.open(t, []byte(unwantedRequest+wantedRequest[:5]), []byte(wantedRequest[5:9]), []byte(wantedRequest[9:]))
	want(t, "outcome", s.outcome(t), "target-refused")
	want(t, "what the stack counts as lost", string(s.rest()), wantedRequest)
	want(t, "bytes left out", h.Stats().Requests.BytesLeftOut, uint64(len(unwantedRequest)))
}
