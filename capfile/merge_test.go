package capfile

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// record is a packet of a pcap file that is made for a test: only its time, in
// milliseconds, and its content.
type record struct {
	ms      int
	content string
}

var zero = time.Unix(1_700_000_000, 0)

func pcapOf(records ...record) []byte {
	b := be(uint32(0xa1b2c3d4), uint16(2), uint16(4), uint64(0), uint32(65535), uint32(1))
	for _, r := range records {
		at := zero.Add(time.Duration(r.ms) * time.Millisecond)
		b = append(b, be(uint32(at.Unix()), uint32(at.Nanosecond()/1000), uint32(len(r.content)), uint32(len(r.content)), []byte(r.content))...)
	}
	return b
}

func fileOf(t *testing.T, name string, b []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func contents(packets []Packet) (all []string) {
	for _, p := range packets {
		all = append(all, string(p.Data))
	}
	return all
}

// Files that overlap are merged by time, whatever the order in which they are named;
// standard input is one of them.
func TestFilesAreMergedByTime(t *testing.T) {
	late := fileOf(t, "late", pcapOf(record{30, "d"}, record{50, "f"}))
	early := fileOf(t, "early", pcapOf(record{0, "a"}, record{20, "c"}, record{40, "e"}))
	empty := fileOf(t, "empty", pcapOf())
	stdin := bytes.NewReader(pcapOf(record{10, "b"}, record{60, "g"}))
	packets, err := readAll(t, stdin, late, empty, early, Stdin)
	if err != io.EOF {
		t.Fatal(err)
	}
	if got, want := contents(packets), []string{"a", "b", "c", "d", "e", "f", "g"}; !slices.Equal(got, want) {
		t.Errorf("read %q, want %q", got, want)
	}
}

// A file that is damaged does not keep the others from being read, and is told of at
// the end.
func TestDamagedFileAmongOthers(t *testing.T) {
	whole := pcapOf(record{0, "a"}, record{20, "c"})
	half := fileOf(t, "half", whole[:len(whole)-1])
	packets, err := readAll(t, nil, half, fileOf(t, "other", pcapOf(record{10, "b"}, record{30, "d"})))
	if !errors.Is(err, io.ErrUnexpectedEOF) || !bytes.Contains([]byte(err.Error()), []byte(half)) {
		t.Errorf("the end is %v, want ErrUnexpectedEOF with the name", err)
	}
	if got, want := contents(packets), []string{"a", "b", "d"}; !slices.Equal(got, want) {
		t.Errorf("read %q, want %q", got, want)
	}
}

// Of a file that is damaged from some place on, what is before that is used, and the error
// says so.
func TestDamagedFromSomePlaceOn(t *testing.T) {
	for name, damage := range map[string]byte{"a length that is none": 0xff, "zeros": 0} {
		damaged := append(pcapOf(record{0, "a"}), bytes.Repeat([]byte{damage}, 64)...)
		packets, err := readAll(t, nil, fileOf(t, "damaged", damaged))
		if !errors.Is(err, ErrCorrupt) || !bytes.Contains([]byte(err.Error()), []byte("what was before is used")) {
			t.Errorf("%s: the end is %v, want ErrCorrupt and what becomes of the rest", name, err)
		}
		if got, want := contents(packets), []string{"a"}; !slices.Equal(got, want) {
			t.Errorf("%s: read %q, want %q", name, got, want)
		}
	}
}

// A rotated capture's files are open one at a time.
func TestRotatedFilesAreOpenOneAtATime(t *testing.T) {
	var paths []string
	for i := range 50 {
		paths = append(paths, fileOf(t, "f", pcapOf(record{10 * i, "x"}, record{10*i + 5, "y"})))
	}
	r, err := Open(paths, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for n := 0; ; n++ {
		if err := r.Next(new(Packet)); err != nil {
			if err != io.EOF || n != 100 {
				t.Errorf("%v after %d packets", err, n)
			}
			break
		}
		if len(r.open) > 1 {
			t.Fatalf("%d files are open", len(r.open))
		}
	}
	read, total := r.Progress()
	if want := int64(50 * len(pcapOf(record{0, "x"}, record{0, "y"}))); read != want || total != want {
		t.Errorf("read %d of %d bytes, want %d of both", read, total, want)
	}
}

func TestProgressOfAPipeHasNoTotal(t *testing.T) {
	file := pcapOf(record{0, "a"})
	r, err := Open([]string{Stdin}, bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	if read, total := r.Progress(); total != 0 || read != int64(len(file)) {
		t.Errorf("%d of %d", read, total)
	}
}

func batchesOf(t *testing.T, file []byte) (sizes []int, times []time.Duration) {
	t.Helper()
	r, err := Open([]string{Stdin}, bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	b := NewBatcher(r)
	var batch Batch
	for {
		if err := b.Read(&batch); err != nil {
			if err != io.EOF {
				t.Fatal(err)
			}
			return sizes, times
		}
		sizes = append(sizes, len(batch.Frames))
		times = append(times, batch.Time.Sub(zero))
	}
}

func TestBatches(t *testing.T) {
	const ms = time.Millisecond
	crowd := slices.Repeat([]record{{7, "x"}}, 70)
	for _, c := range []struct {
		name    string
		records []record
		sizes   []int
		times   []time.Duration
	}{
		{"0.1 ms", []record{{0, "a"}, {0, "b"}, {1, "c"}, {9, "d"}}, []int{2, 1, 1}, []time.Duration{0, ms, 9 * ms}},
		{"64 packets", crowd, []int{64, 6}, []time.Duration{7 * ms, 7 * ms}},
		{"a little out of order", []record{{5, "a"}, {3, "b"}, {8, "c"}}, []int{2, 1}, []time.Duration{5 * ms, 8 * ms}},
		{"the clock is set back", []record{{60_000, "a"}, {100, "b"}, {150, "c"}}, []int{2, 1}, []time.Duration{60_000 * ms, 60_050 * ms}},
		{"one packet without a time", []record{{60_000, "a"}, {0, "b"}, {60_050, "c"}, {60_060, "d"}}, []int{2, 1, 1}, []time.Duration{60_000 * ms, 60_050 * ms, 60_060 * ms}},
		{"every other packet of a clock that is late", []record{{60_000, "a"}, {100, "b"}, {60_010, "c"}, {110, "d"}, {60_020, "e"}}, []int{2, 2, 1}, []time.Duration{60_000 * ms, 60_010 * ms, 60_020 * ms}},
	} {
		sizes, times := batchesOf(t, pcapOf(c.records...))
		if !slices.Equal(sizes, c.sizes) || !slices.Equal(times, c.times) {
			t.Errorf("%s: batches of %v at %v, want %v at %v", c.name, sizes, times, c.sizes, c.times)
		}
	}
}

// Large packets do not make a batch larger than a megabyte and one packet.
func TestBatchOfLargePackets(t *testing.T) {
	large := record{0, string(make([]byte, 600<<10))}
	if sizes, _ := batchesOf(t, pcapOf(large, large, large)); !slices.Equal(sizes, []int{1, 1, 1}) {
		t.Errorf("batches of %v packets", sizes)
	}
}

// A packet out of a pipe does not wait for the next.
func TestBatchOfAPipe(t *testing.T) {
	in, out := io.Pipe()
	defer out.Close()
	go out.Write(pcapOf(record{0, "a"}, record{0, "b"}))
	r, err := Open([]string{Stdin}, in)
	if err != nil {
		t.Fatal(err)
	}
	var batch Batch
	if err := NewBatcher(r).Read(&batch); err != nil || len(batch.Frames) != 2 {
		t.Errorf("%d frames, %v", len(batch.Frames), err)
	}
}

func TestPacer(t *testing.T) {
	for _, c := range []struct {
		speed float64
		want  []time.Duration // waited for, before packets of 0, 1 and 3 s
	}{
		{1, []time.Duration{0, time.Second, 2 * time.Second}},
		{10, []time.Duration{0, 100 * time.Millisecond, 200 * time.Millisecond}},
		{0, []time.Duration{0, 0, 0}},
	} {
		now := time.Unix(5, 0)
		var waited time.Duration
		p := Pacer{Speed: c.speed, Now: func() time.Time { return now }, After: func(d time.Duration) <-chan time.Time {
			waited += d
			now = now.Add(d)
			done := make(chan time.Time, 1)
			done <- now
			return done
		}}
		var got []time.Duration
		for _, s := range []int{0, 1, 3} {
			waited = 0
			if err := p.Wait(t.Context(), zero.Add(time.Duration(s)*time.Second)); err != nil {
				t.Fatal(err)
			}
			got = append(got, waited)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("speed %v: waits of %v, want %v", c.speed, got, c.want)
		}
	}
}

// A wait of years ends with its context.
func TestPacerIsInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	p := Pacer{Speed: 1, After: func(time.Duration) <-chan time.Time { cancel(); return nil }}
	if err := p.Wait(ctx, zero); err != nil {
		t.Fatal(err)
	}
	if err := p.Wait(ctx, zero.AddDate(10, 0, 0)); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want that of the context", err)
	}
}
