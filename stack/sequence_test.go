package stack

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestConnectionsInSequence is about connections that follow one another on the same ports, with
// any numbers, targets that end, and a mirror that shows some of them twice: no stream has bytes
// of two of them, and none of them comes twice.
func TestConnectionsInSequence(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		mode := rapid.SampledFrom([]Midstream{MidstreamHTTP, MidstreamAny, MidstreamOff}).Draw(rt, "mode")
		twoWay := rapid.Bool().Draw(rt, "two-way")
		var clk clock
		s, err := New(Config{Services: []Service{{Midstream: mode}}, Now: clk.now})
		if err != nil {
			rt.Fatal(err)
		}
		defer s.Close()
		r := readMortally(s, rapid.SampledFrom([]int{0, 300, 500}).Draw(rt, "death"), rapid.Uint64().Draw(rt, "dice"))
		c := newClient(t, rapid.Uint32().Draw(rt, "ISN"))
		var contents []string
		for k := range rapid.IntRange(2, 4).Draw(rt, "connections") {
			content, segs := drawSmall(rt, c, byte('A'+k), twoWay)
			contents = append(contents, content)
			for range 1 + rapid.IntRange(0, 1).Draw(rt, "copies") {
				for _, m := range segs {
					s.Inject([]Segment{m})
					clk.pass(t, s, rapid.SampledFrom([]time.Duration{0, 0, 0, 0, time.Millisecond, 3 * time.Millisecond}).Draw(rt, "pause"))
				}
			}
			clk.pass(t, s, rapid.SampledFrom([]time.Duration{60 * time.Millisecond, 200 * time.Millisecond, 1200 * time.Millisecond}).Draw(rt, "between"))
			c = c.next(c.isn + rapid.SampledFrom([]uint32{0, 3, 21, 42, 1000, 1 << 20, 1 << 30, 1 << 31}).Draw(rt, "ahead"))
		}
		clk.pass(t, s, 3*time.Second)
		s.Shutdown()
		clk.pass(t, s, time.Second)
		r.wg.Wait()
		streams, all := r.streams[c.src.String()], ""
		for _, st := range streams {
			text := string(st.bytes)
			all += text
			whose := func(content string) bool { return strings.Contains(content, text) }
			if !slices.ContainsFunc(contents, whose) {
				rt.Fatalf("a stream of no one connection: %q", describe(streams))
			}
		}
		for _, content := range contents {
			for request := range strings.SplitAfterSeq(content, "\r\n\r\n") {
				if request != "" && strings.Count(all, request) > 1 {
					rt.Fatalf("%q comes twice: %q", request, describe(streams))
				}
			}
		}
		balanced(rt, s)
	})
	noLeaks(t)
}

// drawSmall is what a client sends in a whole connection with a few requests, and what the
// mirror shows of it. name is in the requests.
func drawSmall(t *rapid.T, c *client, name byte, twoWay bool) (content string, segs []Segment) {
	segs = []Segment{c.syn()}
	if twoWay {
		segs = append(segs, c.server(999, 0, "S"))
	}
	segs = append(segs, c.ack(0))
	for i := range rapid.IntRange(1, 4).Draw(t, "requests") {
		request := fmt.Sprintf("GET /%c%d HTTP/1.1\r\n\r\n", name, i)
		segs = append(segs, c.ask(len(content), request, uint32(i+1)))
		content += request
		if twoWay {
			segs = append(segs, c.server(uint32(1000*(i+2)), len(content), ""))
		}
	}
	if rapid.IntRange(0, 3).Draw(t, "RST") == 0 {
		return content, append(segs, c.rst(len(content)))
	}
	return content, append(segs, c.fin(len(content)))
}
