package defrag

import (
	"bytes"
	"testing"
	"time"

	"netmirror/wire"
)

func TestFragmentDrops(t *testing.T) {
	fam := families[0]
	data := datagramOf(t, 3200)
	other := bytes.Repeat([]byte{0xee}, 3200)
	// p is bytes from to to, in units of 8, with more to come.
	p := func(from, to int) []byte { return fam.Part(t, 1, from*8, true, data[from*8:to*8]) }
	// end is the same as the last.
	end := func(from, to int) []byte { return fam.Part(t, 1, from*8, false, data[from*8:to*8]) }
	whole := func(units int) []byte { return fam.Whole(t, 1, data[:units*8]) }
	cut := func(f []byte, n int) []byte { return f[:len(f)-n] }

	for _, tc := range []struct {
		name string
		in   [][]byte
		want [][]byte
		why  Drop
		n    int
	}{
		{"a duplicate of the first", [][]byte{p(0, 9), p(0, 9), end(9, 20)}, [][]byte{whole(20)}, DropDuplicate, 1},
		{"a duplicate of the last", [][]byte{end(9, 20), end(9, 20), p(0, 9)}, [][]byte{whole(20)}, DropDuplicate, 1},
		{"a duplicate in the middle", [][]byte{p(0, 9), p(9, 12), p(9, 12), end(12, 20)}, [][]byte{whole(20)}, DropDuplicate, 1},
		{"the same place with other content", [][]byte{p(0, 9), fam.Part(t, 1, 0, true, other[:72]), end(9, 20)}, nil, DropOverlap, 3},
		{"overlap at the end of one", [][]byte{p(0, 9), p(8, 12), end(12, 20)}, nil, DropOverlap, 3},
		{"overlap at the start of one", [][]byte{p(9, 12), p(0, 10)}, nil, DropOverlap, 2},
		{"one inside another", [][]byte{p(0, 12), p(3, 4)}, nil, DropOverlap, 2},
		{"one around others", [][]byte{p(3, 4), p(5, 6), p(2, 8)}, nil, DropOverlap, 3},
		{"same start, longer", [][]byte{p(3, 4), p(3, 6)}, nil, DropOverlap, 2},
		{"same start, shorter", [][]byte{p(3, 6), p(3, 4)}, nil, DropOverlap, 2},
		{"the last again, with more to come", [][]byte{end(9, 20), p(9, 20)}, nil, DropOverlap, 2},
		{"those after an overlap", [][]byte{p(0, 9), p(8, 12), p(0, 9), end(9, 20)}, nil, DropOverlap, 4},
		{"one behind the last", [][]byte{end(9, 20), p(20, 21)}, nil, DropMalformed, 2},
		{"the last before another", [][]byte{p(20, 21), end(9, 20)}, nil, DropMalformed, 2},
		{"two different lasts", [][]byte{end(9, 20), end(5, 7)}, nil, DropMalformed, 2},
		{"more to come, length not a multiple of 8", [][]byte{fam.Part(t, 1, 0, true, data[:15])}, nil, DropMalformed, 1},
		{"empty", [][]byte{fam.Part(t, 1, 8, false, nil)}, nil, DropMalformed, 1},
		{"IPv4, cut by snaplen", [][]byte{cut(p(0, 9), 1)}, nil, DropMalformed, 1},
		{"IPv6, cut by snaplen", [][]byte{cut(families[2].Part(t, 1, 8, true, data[:64]), 1)}, nil, DropMalformed, 1},
		{"IPv6, cut in the fragment header", [][]byte{cut(families[2].Part(t, 1, 8, true, nil), 1)}, nil, DropMalformed, 1},
		{"beyond 65535 bytes", [][]byte{fam.Part(t, 1, 65528, true, data[:8])}, nil, DropTooLong, 1},
		{"beyond 65535 bytes, at the end of others", [][]byte{p(0, 9), fam.Part(t, 1, 65528, false, data[:100])}, nil, DropTooLong, 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newTest(newClock())
			check(t, r, feed(r, tc.in...), tc.want...)
			dropped(t, r, tc.why, tc.n)
		})
	}
}

func TestTooManyPieces(t *testing.T) {
	fam, r := families[0], New(Config{Protocol: wire.ProtoUDP, Bytes: 4 << 20, Timeout: time.Second, Now: newClock().now})
	for i := range maxPieces + 1 {
		feed(r, fam.Part(t, 1, i*8, true, make([]byte, 8)))
	}
	check(t, r, nil)
	dropped(t, r, DropMalformed, maxPieces+1)
}

func TestSameIDElsewhere(t *testing.T) {
	r := newTest(newClock())
	a, b := datagramOf(t, 2000), bytes.Repeat([]byte("b"), 2000)
	four, six := families[0], families[2]
	check(t, r, feed(r,
		four.Part(t, 5, 0, true, a[:1480]), six.Part(t, 5, 0, true, b[:1480]), four.Part(t, 6, 0, true, b[:1480]),
		six.Part(t, 5, 1480, false, b[1480:]), four.Part(t, 6, 1480, false, b[1480:]), four.Part(t, 5, 1480, false, a[1480:]),
	), six.Whole(t, 5, b), four.Whole(t, 6, b), four.Whole(t, 5, a))
	dropped(t, r, 0, 0)
}

func TestIDReuse(t *testing.T) {
	fam := families[0]
	a, b := datagramOf(t, 2000), bytes.Repeat([]byte("b"), 2000)
	first := func(d []byte) []byte { return fam.Part(t, 5, 0, true, d[:1480]) }
	last := func(d []byte) []byte { return fam.Part(t, 5, 1480, false, d[1480:]) }

	t.Run("after the datagram was joined", func(t *testing.T) {
		r := newTest(newClock())
		check(t, r, feed(r, first(a), last(a), first(b), last(b)), fam.Whole(t, 5, a), fam.Whole(t, 5, b))
		dropped(t, r, 0, 0)
	})
	t.Run("after the time of a datagram that was not", func(t *testing.T) {
		c := newClock()
		r := newTest(c)
		feed(r, first(a))
		c.pass(time.Second)
		check(t, r, feed(r, last(b), first(b)), fam.Whole(t, 5, b))
		dropped(t, r, DropTimeout, 1)
	})
	t.Run("after an overlap, in its time and later", func(t *testing.T) {
		c := newClock()
		r := newTest(c)
		check(t, r, feed(r, first(a), first(b), last(b)))
		dropped(t, r, DropOverlap, 3)
		c.pass(time.Second)
		check(t, r, feed(r, first(b), last(b)), fam.Whole(t, 5, b))
		dropped(t, r, DropOverlap, 3)
	})
	t.Run("after many younger datagrams", func(t *testing.T) {
		r := newTest(newClock())
		feed(r, last(a))
		for i := range maxYounger {
			feed(r, fam.Part(t, 1000+i, 0, true, a[:1480]), fam.Part(t, 1000+i, 1480, false, a[1480:]))
		}
		check(t, r, feed(r, first(b)))
		dropped(t, r, DropTimeout, 1)
	})
}

func TestFragmentTimeout(t *testing.T) {
	fam, c := families[0], newClock()
	r, data := newTest(c), datagramOf(t, 2000)
	feed(r, fam.Part(t, 1, 0, true, data[:1480]))
	c.pass(time.Second - 1)
	feed(r, fam.Part(t, 2, 0, true, data[:1480]))
	dropped(t, r, 0, 0)
	c.pass(1)
	feed(r, mirrored(t, nil)) // any batch will do
	dropped(t, r, DropTimeout, 1)
	check(t, r, feed(r, fam.Part(t, 2, 1480, false, data[1480:])), fam.Whole(t, 2, data))

	feed(r, fam.Part(t, 3, 0, true, data[:1480]))
	r.Flush()
	check(t, r, nil)
	dropped(t, r, DropTimeout, 2)
}

func TestFragmentBudget(t *testing.T) {
	fam := families[0]
	part := func(id, from, to int, more bool) []byte {
		return fam.Part(t, id, from, more, make([]byte, to-from))
	}
	t.Run("the oldest makes room", func(t *testing.T) {
		r := New(Config{Protocol: wire.ProtoUDP, Bytes: 3 * ChunkBytes, Timeout: time.Second, Now: newClock().now})
		check(t, r, feed(r, part(1, 0, 1480, true), part(2, 0, 1480, true), part(3, 0, 1480, true),
			part(4, 0, 1480, true),     // drops 1
			part(3, 1480, 1600, false), // drops 2
			part(1, 1480, 1600, false),
		), fam.Whole(t, 3, make([]byte, 1600)))
		dropped(t, r, DropBudget, 2)
		if r.stats.FragmentsHeld != 2 {
			t.Errorf("%d held, want 4's first and 1's last", r.stats.FragmentsHeld)
		}
	})
	t.Run("one datagram larger than all of it", func(t *testing.T) {
		r := New(Config{Protocol: wire.ProtoUDP, Bytes: 3 * ChunkBytes, Timeout: time.Second, Now: newClock().now})
		check(t, r, feed(r, part(1, 0, 1480, true), part(1, 1480, 2960, true), part(1, 2960, 4440, true), part(1, 4440, 5000, false)))
		dropped(t, r, DropBudget, 4)
	})
	t.Run("one fragment larger than all of it", func(t *testing.T) {
		r := New(Config{Protocol: wire.ProtoUDP, Bytes: ChunkBytes, Timeout: time.Second, Now: newClock().now})
		check(t, r, feed(r, part(1, 0, 4000, true)))
		dropped(t, r, DropBudget, 1)
	})
	t.Run("a flood of fragments that never complete", func(t *testing.T) {
		const chunks = 16
		r := New(Config{Protocol: wire.ProtoUDP, Bytes: chunks * ChunkBytes, Timeout: time.Hour, Now: newClock().now})
		for id := range 1000 {
			feed(r, part(id, 8, 16, true))
		}
		check(t, r, nil)
		dropped(t, r, DropBudget, 1000-chunks)
		if len(r.live) != chunks || len(r.chunks.memory) != chunks*ChunkBytes {
			t.Errorf("%d datagrams, %d bytes", len(r.live), len(r.chunks.memory))
		}
	})
	t.Run("a flood of overlaps", func(t *testing.T) {
		const chunks = 16
		r := New(Config{Protocol: wire.ProtoUDP, Bytes: chunks * ChunkBytes, Timeout: time.Hour, Now: newClock().now})
		for id := range 1000 {
			feed(r, part(id, 8, 24, true), part(id, 16, 32, true))
		}
		check(t, r, nil)
		dropped(t, r, DropOverlap, 2000)
		if len(r.live) > chunks {
			t.Errorf("%d datagrams kept, budget %d", len(r.live), chunks)
		}
	})
}

func TestReassemblyDoesNotAllocate(t *testing.T) {
	r, data := newTest(newClock()), datagramOf(t, 1550)
	first := families[0].Part(t, 1, 0, true, data[:1480])
	last := families[0].Part(t, 1, 1480, false, data[1480:])
	run := func() {
		r.Begin()
		if r.Frame(first) != nil || r.Frame(last) == nil {
			t.Fatal("not joined")
		}
	}
	run()
	if n := testing.AllocsPerRun(1000, run); n != 0 {
		t.Fatalf("%v allocations a datagram", n)
	}
}

func TestFragmentDropNames(t *testing.T) {
	seen := map[string]bool{}
	for d := range Drops {
		if s := d.String(); seen[s] || s == "unknown" {
			t.Errorf("reason %d is called %q", d, s)
		} else {
			seen[s] = true
		}
	}
	if got := Drop(200).String(); got != "unknown" {
		t.Errorf("reason 200 is called %q", got)
	}
}

func BenchmarkUnfragmented(b *testing.B) {
	frame := mirrored(b, make([]byte, 1400))
	b.ReportAllocs()
	for b.Loop() {
		if !Unfragmented(frame) {
			b.Fatal("a fragment")
		}
	}
}

func BenchmarkReassembly(b *testing.B) {
	r, data := newTest(newClock()), datagramOf(b, 1550)
	first := families[0].Part(b, 1, 0, true, data[:1480])
	last := families[0].Part(b, 1, 1480, false, data[1480:])
	b.ReportAllocs()
	for b.Loop() {
		r.Begin()
		r.Frame(first)
		r.Frame(last)
	}
}
