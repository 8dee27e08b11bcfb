package capfile

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// readAll gives copies of the packets of the files, and how they end.
func readAll(tb testing.TB, stdin io.Reader, paths ...string) ([]Packet, error) {
	tb.Helper()
	r, err := Open(paths, stdin)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var all []Packet
	for {
		var p Packet
		if err := r.Next(&p); err != nil {
			return all, err
		}
		p.Data = bytes.Clone(p.Data)
		all = append(all, p)
	}
}

// linkBytes is what the link layer's header of the files has in addition to an
// Ethernet header's 14 bytes.
var linkBytes = map[string]int{
	"loop.pcap": -10, "null.pcap": -10, "raw.pcap": -14, "sll.pcap": 2, "sll2.pcap": 6,
}

// Every file reads as tshark reads it.
func TestAsTshark(t *testing.T) {
	lists, _ := filepath.Glob("testdata/*.tshark")
	if len(lists) == 0 {
		t.Fatal("no files")
	}
	for _, list := range lists {
		path := strings.TrimSuffix(list, ".tshark")
		name := filepath.Base(path)
		if name == "mixed.pcapng" || name == "sections.pcapng" || strings.HasPrefix(name, "half") {
			continue // they have tests of their own
		}
		t.Run(name, func(t *testing.T) {
			want, err := os.ReadFile(list)
			if err != nil {
				t.Fatal(err)
			}
			packets, err := readAll(t, nil, path)
			if err != io.EOF {
				t.Errorf("the end is %v, want EOF", err)
			}
			more := linkBytes[name]
			var got strings.Builder
			for _, p := range packets {
				fmt.Fprintf(&got, "%d.%09d\t%d\t%d\n", p.Time.Unix(), p.Time.Nanosecond(), p.Length+more, len(p.Data)+more)
			}
			if got.String() != string(want) {
				t.Errorf("read\n%swant\n%s", &got, want)
			}
		})
	}
}

// The four requests of testdata/make.sh, in Ethernet, IPv4 and TCP without options.
var texts = []string{
	"GET / HTTP/1.1", "Host: a.example", "X-Padding: 0123456789012345678901234567890123456789", "end",
}

func TestEveryLinkLayerBecomesEthernet(t *testing.T) {
	for _, name := range []string{"micro.pcap", "micro.gz", "simple.zst", "modified.pcap", "nano.pcap", "raw.pcap", "sll.pcap", "sll2.pcap", "null.pcap", "loop.pcap"} {
		t.Run(name, func(t *testing.T) {
			packets, err := readAll(t, nil, "testdata/"+name)
			if err != io.EOF || len(packets) != len(texts) {
				t.Fatalf("%d packets, %v", len(packets), err)
			}
			for i, text := range texts[:3] {
				d := packets[i].Data
				if et := binary.BigEndian.Uint16(d[12:]); et != 0x0800 {
					t.Errorf("packet %d: EtherType %#x", i, et)
				}
				if got := d[14:34]; !bytes.Equal(got[12:], []byte{192, 0, 2, 1, 198, 51, 100, 2}) {
					t.Errorf("packet %d: addresses % x", i, got[12:])
				}
				if got := string(d[54:]); got != text {
					t.Errorf("packet %d: payload %q, want %q", i, got, text)
				}
			}
		})
	}
}

// Linux has a number of its own in the cooked header of a frame with LLC, in place of the
// length that the frame had.
func TestCookedLLC(t *testing.T) {
	llc := append([]byte{0xaa, 0xaa, 3, 0, 0, 0, 0x08, 0x00}, "an IPv4 packet"...)
	for name, c := range map[string]struct {
		link   uint32
		header []byte
	}{
		"SLL":  {linkSLL, be(uint16(0), uint16(1), uint16(6), uint64(0), uint16(4))},
		"SLL2": {linkSLL2, be(uint16(4), uint16(0), uint32(1), uint16(1), byte(0), byte(6), uint64(0))},
	} {
		n := uint32(len(c.header) + len(llc))
		file := be(uint32(0xa1b2c3d4), uint16(2), uint16(4), uint64(0), uint32(65535), c.link, uint64(0), n, n, c.header, llc)
		packets, err := readAll(t, bytes.NewReader(file), Stdin)
		if err != io.EOF || len(packets) != 1 {
			t.Fatalf("%s: %d packets, %v", name, len(packets), err)
		}
		if d := packets[0].Data; int(binary.BigEndian.Uint16(d[12:])) != len(llc) || !bytes.Equal(d[14:], llc) {
			t.Errorf("%s: % x", name, d)
		}
	}
}

// A file of several link layers, time resolutions and sections.
func TestMixedFile(t *testing.T) {
	packets, err := readAll(t, nil, "testdata/sections.pcapng")
	if err != io.EOF {
		t.Fatal(err)
	}
	if len(packets) != 16 { // 4, and 4 of each of three interfaces
		t.Fatalf("%d packets, want 16", len(packets))
	}
	seen := map[string]int{}
	for _, p := range packets {
		for _, text := range texts[:3] {
			if len(p.Data) >= 54 && string(p.Data[54:]) == text {
				seen[text]++
			}
		}
	}
	for _, text := range texts[:3] {
		if seen[text] != 4 {
			t.Errorf("%q came %d times, want 4", text, seen[text])
		}
	}
}

func TestFileThatEndsInThePacketsMiddle(t *testing.T) {
	for name, want := range map[string]int{"half.pcap": 2, "half.gz": 0} {
		packets, err := readAll(t, nil, "testdata/"+name)
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s: the end is %v, want ErrUnexpectedEOF", name, err)
		}
		if len(packets) != want {
			t.Errorf("%s: %d packets, want %d", name, len(packets), want)
		}
	}
}

func TestSnapshotLength(t *testing.T) {
	packets, _ := readAll(t, nil, "testdata/snaplen.pcap")
	var cut []bool
	for _, p := range packets {
		cut = append(cut, len(p.Data) < p.Length)
	}
	if want := []bool{true, true, true, false}; !slices.Equal(cut, want) {
		t.Errorf("cut: %v, want %v", cut, want)
	}
}

// be writes big-endian numbers.
func be(values ...any) []byte {
	var b bytes.Buffer
	for _, v := range values {
		if err := binary.Write(&b, binary.BigEndian, v); err != nil {
			panic(err)
		}
	}
	return b.Bytes()
}

func TestBigEndian(t *testing.T) {
	packet := append(make([]byte, 14), "payload!!!"...)
	at := time.Unix(1709287200, 5000)
	ticks := uint64(at.Unix()-1700000000)<<20 + 512 // of 2^-20 s
	files := map[string][]byte{
		"pcap": be(uint32(0xa1b2c3d4), uint16(2), uint16(4), uint64(0), uint32(65535), uint32(0xf0000001),
			uint32(at.Unix()), uint32(5), uint32(24), uint32(100), packet),
		"pcapng, units of 2^-20 s, offset": be(
			uint32(0x0a0d0d0a), uint32(28), uint32(0x1a2b3c4d), uint16(1), uint16(0), int64(-1), uint32(28),
			uint32(1), uint32(44), uint16(1), uint16(0), uint32(0),
			uint16(9), uint16(1), []byte{0x80 | 20, 0, 0, 0}, uint16(14), uint16(8), int64(1700000000), uint32(0), uint32(44),
			uint32(6), uint32(56), uint32(0), uint32(ticks>>32), uint32(ticks), uint32(24), uint32(100), packet, uint32(56)),
	}
	want := map[string]int64{"pcap": at.UnixNano(), "pcapng, units of 2^-20 s, offset": at.Unix()*1e9 + 488281} // 512/2^20 s
	for name, file := range files {
		packets, err := readAll(t, bytes.NewReader(file), Stdin)
		if err != io.EOF || len(packets) != 1 {
			t.Errorf("%s: %d packets, %v", name, len(packets), err)
			continue
		}
		p := packets[0]
		if p.Time.UnixNano() != want[name] || p.Length != 100 || !bytes.Equal(p.Data, packet) {
			t.Errorf("%s: time %d, want %d; length %d of 100, % x", name, p.Time.UnixNano(), want[name], p.Length, p.Data)
		}
	}
}

func TestSimplePacketBlocks(t *testing.T) {
	data := append(make([]byte, 14), 1, 2)
	file := be(
		uint32(0x0a0d0d0a), uint32(28), uint32(0x1a2b3c4d), uint16(1), uint16(2), int64(-1), uint32(28),
		uint32(1), uint32(20), uint16(1), uint16(0), uint32(16), uint32(20),
		uint32(0xbad), uint32(16), uint32(0), uint32(16), // a block that nobody knows
		uint32(3), uint32(32), uint32(50), data, uint32(32))
	packets, err := readAll(t, bytes.NewReader(file), Stdin)
	if err != io.EOF || len(packets) != 1 {
		t.Fatalf("%d packets, %v", len(packets), err)
	}
	if p := packets[0]; !bytes.Equal(p.Data, data) || p.Length != 50 {
		t.Errorf("% x of %d bytes", p.Data, p.Length)
	}
}

// What the program that wrote the file has lost is counted.
func TestDroppedByTheCapture(t *testing.T) {
	statistics := func(dropped uint64) []byte {
		return be(uint32(5), uint32(40), uint32(0), uint64(0), uint16(5), uint16(8), dropped, uint32(0), uint32(40))
	}
	file := slices.Concat(be(
		uint32(0x0a0d0d0a), uint32(28), uint32(0x1a2b3c4d), uint16(1), uint16(0), int64(-1), uint32(28),
		uint32(1), uint32(20), uint16(1), uint16(0), uint32(0), uint32(20)), statistics(3), statistics(7))
	r, err := Open([]string{Stdin}, bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Next(new(Packet)); err != io.EOF {
		t.Fatal(err)
	}
	if s := r.Stats(); s.Dropped != 7 {
		t.Errorf("dropped %d, want 7, the last figure", s.Dropped)
	}
}

func TestWhatIsNoCaptureFile(t *testing.T) {
	for name, c := range map[string]struct {
		file []byte
		want error
	}{
		"empty":               {nil, ErrFormat},
		"text":                {[]byte("hello, world"), ErrFormat},
		"three bytes":         {[]byte("hel"), io.ErrUnexpectedEOF},
		"half a header":       {be(uint32(0xa1b2c3d4), uint16(2)), io.ErrUnexpectedEOF},
		"802.11":              {be(uint32(0xa1b2c3d4), uint16(2), uint16(4), uint64(0), uint32(65535), uint32(105)), ErrFormat},
		"a packet of 4 GB":    {be(uint32(0xa1b2c3d4), uint16(2), uint16(4), uint64(0), uint32(math.MaxUint32), uint32(1), uint64(0), uint32(math.MaxUint32), uint32(math.MaxUint32)), ErrCorrupt},
		"a block of 7 bytes":  {be(uint32(0x0a0d0d0a), uint32(28), uint32(0x1a2b3c4d), uint16(1), uint16(0), int64(-1), uint32(28), uint32(6), uint32(7)), ErrCorrupt},
		"no such interface":   {be(uint32(0x0a0d0d0a), uint32(28), uint32(0x1a2b3c4d), uint16(1), uint16(0), int64(-1), uint32(28), uint32(6), uint32(32), uint64(0), uint64(0), uint32(0), uint32(32)), ErrCorrupt},
		"resolution 10^-120":  {be(uint32(0x0a0d0d0a), uint32(28), uint32(0x1a2b3c4d), uint16(1), uint16(0), int64(-1), uint32(28), uint32(1), uint32(28), uint16(1), uint16(0), uint32(0), uint16(9), uint16(1), []byte{120, 0, 0, 0}, uint32(28)), ErrCorrupt},
		"section of no order": {be(uint32(0x0a0d0d0a), uint32(28), uint32(0), uint16(1), uint16(0), int64(-1), uint32(28)), ErrCorrupt},
	} {
		_, err := readAll(t, bytes.NewReader(c.file), Stdin)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		if c.want == ErrCorrupt && !strings.Contains(err.Error(), "give another file") {
			t.Errorf("%s: %v does not say what to do", name, err)
		}
	}
	if _, err := Open([]string{"testdata/nothing.pcap"}, nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
	if _, err := Open([]string{Stdin, Stdin}, bytes.NewReader(nil)); err == nil {
		t.Error("standard input was accepted twice")
	}
}

// Reading a packet allocates nothing.
func TestAllocations(t *testing.T) {
	for _, name := range []string{"sll2.pcap", "simple.pcapng"} {
		file, err := os.ReadFile("testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		r := bufio.NewReader(nil)
		again := bytes.NewReader(nil)
		var f format = newPcapng(r, new(counters))
		records := file
		if name == "sll2.pcap" {
			if f, err = newPcap(io.MultiReader(bytes.NewReader(file[:pcapHeader]), r), binary.LittleEndian); err != nil {
				t.Fatal(err)
			}
			records = file[pcapHeader:]
		}
		var p Packet
		allocs := testing.AllocsPerRun(100, func() {
			again.Reset(records)
			r.Reset(again)
			for range texts {
				if err := f.next(&p); err != nil {
					t.Fatal(err)
				}
			}
		})
		if allocs > 0 {
			t.Errorf("%s: %v allocations for %d packets", name, allocs, len(texts))
		}
	}
}
