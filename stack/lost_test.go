package stack

import (
	"bytes"
	"maps"
	"testing"
	"time"

	"netmirror/outcome"
)

// lostBytes are those that count, by reason.
func lostBytes(s *Stack) map[outcome.Drop]uint64 {
	all := make(map[outcome.Drop]uint64)
	for d, n := range s.Services()[0].Lost {
		if n > 0 && outcome.Drop(d).Place() != outcome.PlaceNone {
			all[outcome.Drop(d)] = n
		}
	}
	return all
}

// TestLostBytes checks that each byte of a client's that its stream's reader does not
// get is either missing or lost for the reason that the stream was given up for, once,
// however often the client sends it and however late it comes.
func TestLostBytes(t *testing.T) {
	part := func(n int) []byte { return bytes.Repeat([]byte("x"), n) } // which begins no request
	for _, tc := range []struct {
		name    string
		segs    func(c *client) [][]Segment // with 2 s between them
		missing uint64
		lost    map[outcome.Drop]uint64
	}{
		{"behind a hole", func(c *client) [][]Segment {
			return [][]Segment{{c.data(0, part(100)), c.data(150, part(30)), c.data(150, part(30))}}
		}, 50, map[outcome.Drop]uint64{outcome.DropGap: 30}},
		{"of a connection without requests, with further holes", func(c *client) [][]Segment {
			return [][]Segment{{c.data(0, part(100)), c.data(150, part(30))},
				{c.data(180, part(40)), c.data(180, part(40)), c.data(225, part(10))}}
		}, 55, map[outcome.Drop]uint64{outcome.DropGap: 80}},
		{"the hole comes too late", func(c *client) [][]Segment {
			return [][]Segment{{c.data(0, part(100)), c.data(150, part(30))}, {c.data(100, part(50)), c.data(180, part(40))}}
		}, 50, map[outcome.Drop]uint64{outcome.DropGap: 70}},
		{"the rest of a request", func(c *client) [][]Segment {
			return [][]Segment{{c.ask(0, "POST / HTTP/1.1\r\nContent-Length: 300\r\n\r\n", 1), c.ask(100, string(part(50)), 1)},
				{c.ask(150, string(part(100)), 1)}, {c.ask(90, string(part(20)), 1), c.ask(260, string(part(60)), 1)},
				{c.ask(340, get1, 2)}}
		}, 100 - 40 + 10 + 20, map[outcome.Drop]uint64{outcome.DropGap: 50 + 100 + 60}},
		{"older than netmirror", func(c *client) [][]Segment {
			return [][]Segment{{c.data(50, part(100)), c.data(150, part(10))}, {c.data(160, part(20)), c.data(150, part(10))}}
		}, 0, map[outcome.Drop]uint64{outcome.DropMidStream: 130}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newTimed(t, nil)
			c := newClient(t, 0xffffffff-120) // wraps around
			if tc.lost[outcome.DropMidStream] == 0 {
				s.Inject(c.opening())
				settled(t, s.Stack)
			}
			for _, segs := range tc.segs(c) {
				s.Inject(segs)
				settled(t, s.Stack)
				s.pass(2 * time.Second)
			}
			of := s.Services()[0]
			if got := lostBytes(s.Stack); of.MissingBytes != tc.missing || !maps.Equal(got, tc.lost) {
				t.Errorf("%d missing and lost %v, want %d and %v", of.MissingBytes, got, tc.missing, tc.lost)
			}
		})
	}
}

// TestLostWithTheReader: what a reader does not fetch is lost for what it says, and so is
// what comes of the connection afterwards.
func TestLostWithTheReader(t *testing.T) {
	for e, want := range map[outcome.End]outcome.Drop{
		outcome.EndTargetRefused: outcome.DropTargetEnded, outcome.EndTargetSlow: outcome.DropTargetEnded,
		outcome.EndNoPort: outcome.DropNoSocket, outcome.EndShed: outcome.DropMaxConns,
	} {
		s := newTestStack(t, nil)
		c := newClient(t, 3)
		s.Inject(append(c.opening(), c.data(0, []byte("\x16\x03some"))))
		conn := accept(t, s)
		settled(t, s)
		conn.CloseWith(e)
		s.Inject([]Segment{c.data(6, []byte("more")), c.data(6, []byte("more"))})
		if got := lostBytes(s); !maps.Equal(got, map[outcome.Drop]uint64{want: 10}) {
			t.Errorf("%v: lost %v, want 10 bytes as %v", e, got, want)
		}
	}
	s := newTestStack(t, nil)
	c := newClient(t, 3)
	s.Inject(append(c.opening(), c.data(0, []byte("some"))))
	accept(t, s).CloseWith(outcome.EndShutdown)
	if got := lostBytes(s); len(got) > 0 {
		t.Errorf("a shutdown lost %v", got)
	}
}
