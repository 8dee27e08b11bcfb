package capfile

import (
	"bytes"
	"io"
	"slices"
	"strings"
	"testing"
)

// ofInterface is a packet of one of a pcapng file's interfaces, whose content is 4
// bytes.
type ofInterface struct {
	iface int
	record
}

// severalInterfaces is a pcapng file with so many interfaces.
func severalInterfaces(interfaces int, packets ...ofInterface) []byte {
	b := be(uint32(0x0a0d0d0a), uint32(28), uint32(0x1a2b3c4d), uint16(1), uint16(0), int64(-1), uint32(28))
	for range interfaces {
		b = append(b, be(uint32(1), uint32(20), uint16(1), uint16(0), uint32(0), uint32(20))...)
	}
	for _, p := range packets {
		micros := uint64(zero.Unix())*1e6 + uint64(p.ms)*1000
		b = append(b, be(uint32(6), uint32(36), uint32(p.iface), uint32(micros>>32), uint32(micros), uint32(4), uint32(4), []byte(p.content), uint32(36))...)
	}
	return b
}

// Interfaces that a program has read in turn are put in order: a client's packets would
// else be behind the answers to them, and a packet that both have seen would begin a
// connection again.
func TestInterfacesOfOneFileAreSorted(t *testing.T) {
	for _, c := range []struct {
		name       string
		interfaces int
		packets    []ofInterface
		want       string
	}{
		{"two in turn", 2, []ofInterface{{0, record{0, "a..."}}, {0, record{20, "c..."}}, {1, record{10, "b..."}}, {1, record{999, "e..."}}, {0, record{30, "d..."}}}, "abcde"},
		{"the same time", 2, []ofInterface{{1, record{5, "a..."}}, {0, record{5, "b..."}}, {1, record{5, "c..."}}}, "abc"},
		{"a clock that was set back", 2, []ofInterface{{0, record{9000, "a..."}}, {1, record{9001, "b..."}}, {0, record{100, "c..."}}, {1, record{90, "d..."}}, {1, record{20_000, "e..."}}}, "abdce"},
		{"one interface is as it is in the file", 1, []ofInterface{{0, record{20, "a..."}}, {0, record{10, "b..."}}}, "ab"},
	} {
		packets, err := readAll(t, bytes.NewReader(severalInterfaces(c.interfaces, c.packets...)), Stdin)
		got := strings.ReplaceAll(strings.Join(contents(packets), ""), ".", "")
		if err != io.EOF || got != c.want {
			t.Errorf("%s: read %q, %v; want %q", c.name, got, err, c.want)
		}
	}
}

// What is held for that is bounded, whatever the sizes of packets.
func TestSortingIsBounded(t *testing.T) {
	const large, bound = 512 << 10, maxSorted + 2*maxPacket
	file := severalInterfaces(2)
	add := func(size int) { // all at one time, so that time lets none go
		n := uint32(32 + size)
		file = append(file, slices.Concat(be(uint32(6), n, uint64(0), uint32(0), uint32(size), uint32(size)), make([]byte, size), be(n))...)
	}
	for range 4 {
		for range 2 * maxSorted / large {
			add(large)
			add(4)
		}
		for range 1000 {
			add(4)
		}
	}
	r, err := Open([]string{Stdin}, bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	s := r.all[0].in.format.(*sorter)
	for {
		if err := r.Next(new(Packet)); err != nil {
			if err != io.EOF {
				t.Error(err)
			}
			break
		}
		spare := 0
		for _, h := range s.free {
			spare += h.size()
		}
		if s.bytes > bound || spare > bound {
			t.Fatalf("%d bytes are held, and memory for %d", s.bytes, spare)
		}
	}
}

// Once there is memory for what is held, reading a packet allocates nothing.
func TestSortingAllocatesNothing(t *testing.T) {
	var packets []ofInterface
	for i := range 20_000 {
		packets = append(packets, ofInterface{i % 2, record{i, "...."}})
	}
	r, err := Open([]string{Stdin}, bytes.NewReader(severalInterfaces(2, packets...)))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var p Packet
	read := func() {
		for range 2000 {
			if err := r.Next(&p); err != nil {
				t.Fatal(err)
			}
		}
	}
	read()
	if allocs := testing.AllocsPerRun(5, read); allocs > 0 {
		t.Errorf("%v allocations for 2000 packets", allocs)
	}
}
