package stack

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/gopacket/layers"

	"netmirror/outcome"
)

// wide has both ends offer windows of 1 GiB.
func wide(t *layers.TCP) {
	t.Window = 65535
	if t.SYN {
		t.Options = []layers.TCPOption{{OptionType: layers.TCPOptionKindWindowScale, OptionData: []byte{14}}}
	}
}

// openWide opens a connection with windows of 1 GiB; the server's first byte is at 1000.
func openWide(c *client) []Segment {
	return []Segment{
		c.packet(-1, nil, func(t *layers.TCP) { t.SYN, t.ACK, t.Ack = true, false, 0; wide(t) }),
		c.answer(999, 0, "", func(t *layers.TCP) { t.SYN = true; wide(t) }),
		c.ack(0),
	}
}

// A client sends more than 4 GiB, of which nearly all is lost and spliced out. What it
// then sends again is what it was, and not of another connection or time.
func TestSequenceNumbersComeAround(t *testing.T) {
	const step = 1 << 29
	for _, total := range []int{1 << 32, 5 << 30} {
		t.Run(fmt.Sprint(total), func(t *testing.T) {
			s := newTimed(t, func(c *Config) { c.Services = []Service{{OnGap: GapSplice, Midstream: MidstreamOff}} })
			c := newClient(t, 0xffff_0000)
			s.Inject(openWide(c))
			want := ""
			for off := 0; off <= total; off += step {
				s.Inject([]Segment{c.data(off, []byte("hello ")), c.data(off+6, []byte("world "))})
				s.pass(10 * time.Millisecond)
				s.Inject([]Segment{c.answer(1000, off+6, "", wide), c.answer(1000, off+12, "", wide)}) // one alone is a claim
				s.pass(200 * time.Millisecond)
				want += "hello world "
			}
			for i := range 3 * maxAside { // all of a window again
				s.Inject([]Segment{c.data(total-1<<20+1000*i, pattern(1000))})
			}
			s.pass(2 * time.Second)
			s.Inject([]Segment{c.data(total+12, []byte("end")), c.fin(total + 15)})
			s.is(c, text(want+"end", nil))
			if st := s.Stats(); st.Dropped[outcome.DropDuplicate] != 3*maxAside || st.Spliced != uint64(total/step) {
				t.Errorf("%d duplicates, %d holes spliced, want %d, %d: %v", st.Dropped[outcome.DropDuplicate], st.Spliced, 3*maxAside, total/step, st.Dropped)
			}
		})
	}
}

// The stream of a connection that has sent more than 4 GiB ends with a hole. What the
// client sends again of it is not picked up as something new.
func TestWhatWasSentBeforeSequenceNumbersCameAround(t *testing.T) {
	const step, total = 1 << 29, 1 << 32
	s := newTimed(t, func(c *Config) { c.Services = []Service{{OnGap: GapSplice}} })
	c := newClient(t, 1000)
	s.Inject(openWide(c))
	want := ""
	for off := 0; off <= total; off += step {
		s.Inject([]Segment{c.data(off, []byte(get1)), c.data(off+len(get1), []byte(get1))})
		s.pass(10 * time.Millisecond)
		s.Inject([]Segment{c.answer(1000, off+len(get1), "", wide), c.answer(1000, off+2*len(get1), "", wide)})
		s.pass(200 * time.Millisecond)
		want += get1 + get1
	}
	s.Stack.mu.Lock()
	for _, f := range s.flows {
		s.end(f, outcome.EndIdle, outcome.DropIdle)
	}
	s.Stack.mu.Unlock()
	s.Inject([]Segment{c.ask(total-1<<20, get2, 2)})
	s.pass(2 * time.Second)
	s.is(c, text(want, outcome.EndIdle))
}

// A server sends more than 4 GiB. What its client acknowledges just before the numbers
// come around to that of its SYN is nothing odd.
func TestServersSequenceNumbersComeAround(t *testing.T) {
	s := newTimed(t, nil)
	c := newClient(t, 1000)
	s.Inject(append(openWide(c), c.data(0, []byte(get1))))
	s.pass(10 * time.Millisecond)
	const step = 1 << 28
	sent := uint32(1000)
	for range 1<<32/step - 1 {
		sent += step
		s.Inject([]Segment{c.answer(sent, len(get1), "x", wide), c.packet(len(get1), nil, func(t *layers.TCP) { wide(t); t.Ack = sent })})
	}
	sent += step + 500
	s.Inject([]Segment{c.answer(sent, len(get1), "x", wide)})
	s.Inject([]Segment{c.packet(len(get1), []byte(get2), func(t *layers.TCP) { wide(t); t.Ack = sent - 1000 })})
	s.pass(100 * time.Millisecond)
	s.Inject([]Segment{c.packet(2*len(get1), nil, func(t *layers.TCP) { wide(t); t.Ack, t.FIN = sent, true })})
	s.is(c, text(get1+get2, nil))
}

// A subflow that fell back to TCP goes on for more than the numbers of a window tell, and
// what it left behind covers nothing of what comes when they have come around.
func TestMappingsComeAround(t *testing.T) {
	const first, dsn = 0xffff_fff0, 77
	var l mappings
	l.add(mapping{from: first - 50, dsn: 5, n: 10}) // of elsewhere
	l.add(mapping{from: first, dsn: dsn, endless: true})
	for sent := uint64(0); sent < 5<<30; sent += 10 << 20 {
		at := uint32(first + sent)
		l.movedTo(at)
		for _, back := range []uint32{0, uint32(min(sent, 100<<20))} {
			m := l.find(at - back)
			if m == nil || m.place(at-back) != uint32(dsn+sent)-back {
				t.Fatalf("%d bytes behind %d: %+v of %+v", back, sent, m, l)
			}
		}
	}
	if len(l) != 1 {
		t.Errorf("%+v are left, want the one without an end", l)
	}
}
