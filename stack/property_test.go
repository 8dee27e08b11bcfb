package stack

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"netmirror/http1"
	"netmirror/outcome"
	"netmirror/stack/netstack"
)

// stream is what a reader got.
type stream struct {
	bytes []byte
	err   error // nil: EOF
	nth   int   // of all that were accepted
}

// errTarget is the end of a stream whose target ended first.
var errTarget = errors.New("the target ended")

// readers reads every stream of s to its end, or to where a target dies.
type readers struct {
	wg    sync.WaitGroup
	death int // chance in a thousand that a target dies at a read
	seed  uint64

	mu      sync.Mutex // guards streams
	streams map[string][]stream
}

func readEverything(s *Stack) *readers { return readMortally(s, 0, 0) }

func readMortally(s *Stack, death int, seed uint64) *readers {
	r := &readers{death: death, seed: seed, streams: make(map[string][]stream)}
	r.wg.Go(func() {
		for nth := 0; ; nth++ {
			c, err := s.Accept()
			if err != nil {
				return
			}
			dice := rand.New(rand.NewPCG(r.seed, uint64(nth)))
			r.wg.Go(func() { r.read(c.(*Conn), nth, dice) })
		}
	})
	return r
}

func (r *readers) read(c *Conn, nth int, dice *rand.Rand) {
	st := stream{nth: nth}
	buf := make([]byte, 64<<10)
	for st.err == nil {
		n, err := st.read(c, buf[:1+dice.IntN(len(buf))], dice)
		switch {
		case err != nil:
			st.err = err
		case dice.IntN(1000) < r.death:
			st.err = errTarget
			if dice.IntN(2) == 0 {
				back := min(n, dice.IntN(2*n+1))
				c.Unread(buf[n-back : n])
				st.bytes = st.bytes[:len(st.bytes)-back]
			}
		}
	}
	r.add(c.RemoteAddr().String(), st) // now, for another stream may follow at once
	how := outcome.EndComplete
	if st.err == errTarget {
		how = []outcome.End{outcome.EndTargetClosed, outcome.EndTargetClosed, outcome.EndTargetSlow}[dice.IntN(3)]
	}
	c.CloseWith(how)
}

// read waits for bytes, some of which it may take from where they are, and returns how many of
// p came last. No bytes and no error say that it has refused some.
func (st *stream) read(c *Conn, p []byte, dice *rand.Rand) (n int, err error) {
	for {
		_, n, err := c.tryRead(p, taker(func(b []byte) int {
			n := dice.IntN(len(b)+2) - 1 // or outcome.Copy
			st.bytes = append(st.bytes, b[:max(n, 0)]...)
			return n
		}))
		if err != netstack.ErrWait {
			st.bytes = append(st.bytes, p[:n]...)
			return n, err
		}
		c.await()
	}
}

type taker func([]byte) int

func (t taker) Take(p []byte) int { return t(p) }

func (r *readers) add(client string, st stream) {
	if st.err == io.EOF {
		st.err = nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.streams[client] = append(r.streams[client], st)
}

// play delivers the connections' packets, turn by turn.
func play(t *rapid.T, tb testing.TB, s *Stack, clk *clock, conns []*connection) {
	for i := 0; ; i++ {
		more := false
		pause := time.Duration(0)
		for _, conn := range conns {
			if i >= len(conn.turns) {
				continue
			}
			more = true
			rest := conn.turns[i].packets
			for len(rest) > 0 {
				n := min(len(rest), rapid.SampledFrom([]int{1, 3, 1000}).Draw(t, "batch"))
				batch := make([]Segment, n)
				for j := range n {
					batch[j] = rest[j].seg
				}
				s.Inject(batch)
				rest = rest[n:]
			}
			pause = max(pause, conn.turns[i].pause)
		}
		if !more {
			return
		}
		clk.pass(tb, s, pause)
	}
}

// TestPromise is the promise itself, on random connections that random mirrors
// show: a stream is one contiguous piece of what its client sent, begins where
// the rules allow, ends in EOF only at the client's FIN, and no byte comes
// twice; what the mirror delivered of a request in full, arrives; and every
// packet and byte is accounted for.
func TestPromise(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		mode := rapid.SampledFrom([]Midstream{MidstreamHTTP, MidstreamHTTP, MidstreamAny, MidstreamOff}).Draw(rt, "midstream")
		var clk clock
		s, err := New(Config{Services: []Service{{Midstream: mode}}, Now: clk.now})
		if err != nil {
			rt.Fatal(err)
		}
		defer s.Close()
		death := rapid.SampledFrom([]int{0, 0, 30, 300}).Draw(rt, "death")
		r := readMortally(s, death, rapid.Uint64().Draw(rt, "dice"))
		m := drawMirror.Draw(rt, "mirror")
		if death > 0 {
			m.strays = 0 // one may be the next connection where a target has ended the stream
		}
		var conns []*connection
		for i := range rapid.IntRange(1, 3).Draw(rt, "connections") {
			c := newClient(t, rapid.OneOf(rapid.Uint32(), rapid.Just(uint32(0xffffff00))).Draw(rt, "ISN"))
			c.src = netip.AddrPortFrom(c.src.Addr(), uint16(1000+i))
			conns = append(conns, drawConnection(rt, c, m))
		}
		play(rt, t, s, &clk, conns)
		clk.pass(t, s, 3*time.Second)
		s.Shutdown()
		clk.pass(t, s, time.Second)
		r.wg.Wait()
		for _, conn := range conns {
			conn.mortal = death > 0
			conn.judge(rt, mode, r.streams[conn.c.src.String()])
		}
		balanced(rt, s)
	})
	noLeaks(t)
}

// balanced checks that everything is accounted for, and nothing is left.
func balanced(t *rapid.T, s *Stack) {
	st := s.Stats()
	packets, payload := st.Used+st.Held, st.BytesRead+st.BytesHeld
	for d := range outcome.NumDrops {
		packets += st.Dropped[d]
		payload += st.DroppedBytes[d]
	}
	if packets != st.Packets || payload != st.Bytes || st.Held+st.BytesHeld > 0 || st.Flows > 0 || s.held != 0 || len(s.lingering) > 0 {
		t.Fatalf("%d packets and %d bytes came in, %d and %d are accounted for: %+v", st.Packets, st.Bytes, packets, payload, st)
	}
	holdsNothing(t, s)
}

// judge checks the streams of one connection against what its client sent.
func (c *connection) judge(t *rapid.T, mode Midstream, streams []stream) {
	came := make([]bool, len(c.content))
	// Long ones first: they have but one place.
	slices.SortFunc(streams, func(a, b stream) int { return len(b.bytes) - len(a.bytes) })
	if !c.fit(mode, streams, came) {
		t.Fatalf("streams of client %v are no separate pieces of what it sent (%d bytes) that may be streams: %v of %v",
			c.c.src, len(c.content), describe(streams), c)
	}
	if c.mortal {
		return
	}
	if c.lossless && len(streams) != 1 {
		t.Fatalf("nothing was lost, and there were streams %v of %v", describe(streams), c)
	}
	for _, e := range c.exchanges {
		if !c.mustArrive(mode, e) {
			continue
		}
		for j := e.from; j < e.to; j++ {
			if !came[j] {
				t.Fatalf("client %v: the request in %d to %d was mirrored in full, byte %d did not arrive; streams %v of %v",
					c.c.src, e.from, e.to, j, describe(streams), c)
			}
		}
	}
}

// fit finds a place for every stream, so that no byte comes twice, and marks
// the bytes that came. A short stream can have several.
func (c *connection) fit(mode Midstream, streams []stream, came []bool) bool {
	if len(streams) == 0 {
		return true
	}
	b := streams[0].bytes
	for at := 0; ; at++ {
		next := bytes.Index(c.content[at:], b)
		if next < 0 {
			return false
		}
		at += next
		part := came[at : at+len(b)]
		if slices.Contains(part, true) || !c.mayStart(mode, at) || !c.mayEnd(at+len(b), streams[0].err) {
			continue
		}
		for i := range part {
			part[i] = true
		}
		if c.fit(mode, streams[1:], came) {
			return true
		}
		clear(part)
	}
}

// mayEnd reports whether a stream may end there so.
func (c *connection) mayEnd(to int, err error) bool {
	var end outcome.End
	return err == nil && c.fin && to == len(c.content) || err == errTarget || errors.As(err, &end)
}

func describe(streams []stream) (s []string) {
	for _, st := range streams {
		s = append(s, fmt.Sprintf("%d bytes (%.40q), %v", len(st.bytes), st.bytes, st.err))
	}
	return s
}

// mayStart reports whether the mode lets a stream begin there.
func (c *connection) mayStart(mode Midstream, from int) bool {
	if from == 0 || mode == MidstreamOff {
		return from == 0
	}
	for _, e := range c.exchanges {
		if e.from == from {
			return true
		}
	}
	begins := false
	known := false // of the request that it is in, an earlier part was seen
	for _, p := range c.delivered() {
		begins = begins || p.from == from && p.to > from
	}
	if mode == MidstreamAny || !begins {
		return begins || mode == MidstreamAny && c.mortal // what was given back begins anywhere
	}
	for _, e := range c.exchanges {
		if e.from < from && from < e.to {
			for _, p := range c.delivered() {
				known = known || p.from >= e.from && p.from < from && p.to > p.from
			}
		}
	}
	return !known && http1.Start(c.content[from:]) == http1.Request
}

// delivered is every intact packet that the mirror showed.
func (c *connection) delivered() (all []mirrored) {
	for _, t := range c.turns {
		for _, p := range t.packets {
			if p.intact {
				all = append(all, p)
			}
		}
	}
	return all
}

// mustArrive reports whether the mirror showed all of a request, and the
// beginning of it as such, or all from the SYN on.
func (c *connection) mustArrive(mode Midstream, e exchange) bool {
	began := false
	seen := make([]bool, e.to)
	fromSYN := false
	for _, p := range c.delivered() {
		fromSYN = fromSYN || p.syn
		for j := p.from; j < min(p.to, e.to); j++ {
			seen[j] = true
		}
		began = began || p.from == e.from && p.to-p.from >= len("POST /x")
	}
	for j, ok := range seen {
		fromSYN = fromSYN && ok
		if j >= e.from && !ok {
			return false
		}
	}
	return fromSYN || mode != MidstreamOff && began
}
