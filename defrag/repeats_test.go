package defrag

import (
	"bytes"
	"testing"
	"time"
)

// A mirror that copies each packet twice loses nothing of a datagram in fragments.
func TestEachFragmentTwice(t *testing.T) {
	for _, fam := range families {
		t.Run(fam.Name, func(t *testing.T) {
			c := newClock()
			r, data := newTest(c), datagramOf(t, 3200)
			var in [][]byte
			for _, part := range [][]byte{
				fam.Part(t, 1, 0, true, data[:1480]), fam.Part(t, 1, 1480, true, data[1480:2960]), fam.Part(t, 1, 2960, false, data[2960:]),
			} {
				in = append(in, part, part)
			}
			check(t, r, feed(r, in...), fam.Whole(t, 1, data))
			c.pass(time.Second)
			check(t, r, feed(r))
			dropped(t, r, DropDuplicate, 3)
			if n := r.stats.Lost(); n != 0 {
				t.Errorf("%d fragments are lost", n)
			}
		})
	}
}

// What is no copy is lost, though a datagram with its identification was joined.
func TestLostAfterTheSameID(t *testing.T) {
	fam, c := families[0], newClock()
	r, a, b := newTest(c), datagramOf(t, 2000), bytes.Repeat([]byte("b"), 2000)
	first := func(d []byte) []byte { return fam.Part(t, 5, 0, true, d[:1480]) }
	last := func(d []byte) []byte { return fam.Part(t, 5, 1480, false, d[1480:]) }
	check(t, r, feed(r, first(a), last(a), last(b)), fam.Whole(t, 5, a))
	c.pass(time.Second)
	check(t, r, feed(r))
	dropped(t, r, DropTimeout, 1)
	// One of which a part only is a copy.
	check(t, r, feed(r, first(a), fam.Part(t, 5, 1480, true, a[1480:1488])))
	c.pass(time.Second)
	check(t, r, feed(r))
	dropped(t, r, DropTimeout, 3)
}

// So many datagrams are remembered, each by the last that was joined.
func TestRememberedDatagrams(t *testing.T) {
	fam, c := families[0], newClock()
	r, data := newTest(c), datagramOf(t, 2000)
	part := func(id int) [2][]byte {
		return [2][]byte{fam.Part(t, id, 0, true, data[:1480]), fam.Part(t, id, 1480, false, data[1480:])}
	}
	for id := range remembered + 1 {
		for range 2 {
			feed(r, part(id)[0], part(id)[1])
		}
	}
	if n := len(r.repeats.place); n != remembered {
		t.Errorf("%d are remembered, want %d", n, remembered)
	}
	feed(r, part(0)[1], part(1)[1])
	c.pass(time.Second)
	feed(r)
	if got := r.stats.FragmentsDropped; got[DropTimeout] != 1 || got[DropDuplicate] != 1 {
		t.Errorf("dropped %v, want one as lost and one as a copy", got)
	}
}
