package output

import (
	"bytes"
	"io"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// held is a terminal that takes nothing until it is let go.
type held struct {
	let     chan struct{}
	entered chan struct{} // holds a token once something is being written

	mu  sync.Mutex // guards got
	got bytes.Buffer
}

func (h *held) Write(p []byte) (int, error) {
	select {
	case h.entered <- struct{}{}:
	default:
	}
	<-h.let
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.got.Write(p)
}

func TestAHeldTerminalHoldsNothing(t *testing.T) {
	h := &held{let: make(chan struct{}), entered: make(chan struct{}, 1)}
	out := New(h, true)
	line := strings.Repeat("x", 1023) + "\n"
	const n = 3000 // of which at most a full queue is being written and another one waits
	io.WriteString(out, line)
	<-h.entered
	for range n - 1 {
		io.WriteString(out, line)
	}
	if lost := out.LostLines(); lost != 0 {
		t.Errorf("%d lost lines are told of while there is no room to tell", lost)
	}
	begin := time.Now()
	out.Close()
	if took := time.Since(begin); took < flushWithin || took > 10*flushWithin {
		t.Errorf("the end waited for %v", took)
	}
	close(h.let)
	<-out.done
	lost := out.LostLines()
	if lost < n-2*maxQueue/1024 || lost >= n-maxQueue/1024 {
		t.Errorf("%d of %d lines found no room", lost, n)
	}
	if again := out.LostLines(); again != 0 {
		t.Errorf("%d are told of twice", again)
	}
	if got := strings.Count(h.got.String(), line); got != n-int(lost) {
		t.Errorf("%d lines were written in the end, want %d", got, n-int(lost))
	}
}

// Nothing but a terminal gets a line that is drawn over.
// What somebody else writes to the same terminal comes behind what was logged before.
func TestFlush(t *testing.T) {
	var h bytes.Buffer
	out := New(&h, false)
	defer out.Close()
	for n := range 100 {
		io.WriteString(out, "line\n")
		out.Flush()
		if got := strings.Count(h.String(), "line\n"); got != n+1 {
			t.Fatalf("%d lines are there after %d", got, n+1)
		}
	}
}

func TestNoLiveLineInAFile(t *testing.T) {
	f, err := os.Create(t.TempDir() + "/log")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	out := New(f, true)
	out.Show("100 packets/s")
	io.WriteString(out, "a line\n")
	out.Show("200 packets/s")
	out.Close()
	if b, _ := os.ReadFile(f.Name()); string(b) != "a line\n" {
		t.Errorf("%q", b)
	}
}

// full is a file on a disk that is full at times: it takes some bytes of what is written.
type full struct {
	mu   sync.Mutex
	room int
	got  bytes.Buffer
}

func (f *full) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := min(len(p), f.room)
	f.got.Write(p[:n])
	f.room -= n
	if n < len(p) {
		return n, syscall.ENOSPC
	}
	return n, nil
}

// What a full disk did not take is counted, and told of when it takes lines again.
func TestAFullDiskLosesNothingUntold(t *testing.T) {
	f := &full{room: 7}
	out := New(f, false)
	defer out.Close()
	for range 5 {
		io.WriteString(out, "line\n")
		out.Flush()
	}
	if lost := out.LostLines(); lost != 0 {
		t.Errorf("%d lost lines are told of while the disk is full", lost)
	}
	f.mu.Lock()
	f.room = 1000
	f.mu.Unlock()
	io.WriteString(out, "again\n")
	out.Flush()
	if lost := out.LostLines(); lost != 4 {
		t.Errorf("%d lines were lost, want 4", lost)
	}
	if again := out.LostLines(); again != 0 {
		t.Errorf("%d are told of twice", again)
	}
}
