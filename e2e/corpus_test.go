package e2e

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"netmirror/e2e/corpus"
	"netmirror/e2e/lab"
)

const (
	corpusAtOnce = 32                      // captures played at a time; most of them wait
	corpusQuiet  = 1300 * time.Millisecond // behind the last frame; longer than --gap-timeout
)

// Every capture of the corpus, played to netmirror as a mirror sends it, gives
// the streams and ends that the real server saw, and figures that tell no lie
// about what was lost.
func TestCorpus(t *testing.T) {
	captures := make(chan corpus.Capture)
	var players sync.WaitGroup
	for range corpusAtOnce {
		players.Go(func() {
			var w *lab.Wire
			for c := range captures {
				t.Run(c.Name, func(t *testing.T) {
					if w == nil {
						w = newWire(t)
					}
					playCapture(t, w, c)
				})
			}
			if w != nil {
				w.Close()
			}
		})
	}
	for _, c := range corpus.All() {
		captures <- c
	}
	close(captures)
	players.Wait()
}

func newWire(t *testing.T) *lab.Wire {
	t.Helper()
	w, err := lab.NewWire()
	mustAllow(t, err)
	return w
}

// How long a pause may be in excess of what the capture has, and how often one is played
// that was not kept to: the pauses are what some captures are about.
const (
	latePause = 20 * time.Millisecond
	plays     = 10
)

func playCapture(t *testing.T, w *lab.Wire, c corpus.Capture) {
	streams, b, late := playOnce(t, w, c)
	for n := 1; n < plays && late > latePause; n++ {
		t.Logf("played again: a pause was %v too long", late)
		streams, b, late = playOnce(t, w, c)
	}
	compareCapture(t, c, streams)
	b.check(t)
	checkReasons(t, c, b)
	if t.Failed() {
		keepCapture(t, c)
	}
}

// playOnce returns what the target got, netmirror's books, and how much longer than asked for
// the longest of the pauses was.
func playOnce(t *testing.T, w *lab.Wire, c corpus.Capture) ([]corpus.Stream, books, time.Duration) {
	t.Helper()
	ctx := deadline(t)
	var got keeper
	target, err := w.To.Serve(w.Target(0), got.keep)
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	args := c.Args
	if !c.Mirror.Bare {
		args = append([]string{"--vni", "42"}, args...)
	}
	p := start(t, w.To, netmirrorPath, append([]string{
		"--iface", lab.MirrorLink, "--port", fmt.Sprint(corpus.Port),
		"--to", target.Addr().String(), "--ring-mib", "8", "--workers", "1", "--stats-interval", "0",
	}, args...)...)
	p.capturing(ctx)
	late := sendFrames(t, w, c.Mirror, c.Frames)
	// That nothing further comes has no event.
	select {
	case <-time.After(corpusQuiet):
	case <-p.done:
	}
	p.stop(t)
	if err := target.WaitAll(ctx); err != nil {
		t.Errorf("target, after netmirror's end: %v", err)
	}
	return got.streams, p.final(t), late
}

// keepCapture leaves the capture where go test -artifacts keeps it.
func keepCapture(t *testing.T, c corpus.Capture) {
	t.Helper()
	f, err := os.Create(filepath.Join(t.ArtifactDir(), "capture.pcap"))
	if err == nil {
		err = errors.Join(c.WritePcap(f), f.Close())
	}
	if err != nil {
		t.Error(err)
	}
}

// keeper is a target that keeps every connection that has a byte.
type keeper struct {
	mu      sync.Mutex // guards the field below
	streams []corpus.Stream
}

func (k *keeper) keep(c *lab.Conn, _ <-chan struct{}) {
	b, _ := io.ReadAll(struct{ io.Reader }{c}) // the record has the error
	if len(b) == 0 {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.streams = append(k.streams, corpus.Stream{Bytes: b, End: string(c.Record().End)})
}

// sendFrames sends the frames, with the pauses that they have in the capture, and returns
// how much longer the longest of them was.
func sendFrames(t *testing.T, w *lab.Wire, m corpus.Mirror, frames []corpus.Frame) (late time.Duration) {
	t.Helper()
	conn, header := dialMirror(t, w, m)
	defer conn.Close()
	begun := time.Now()
	for _, f := range frames {
		time.Sleep(time.Until(begun.Add(f.At)))
		// What is sent late is no reason for a shorter pause behind it.
		over := max(0, time.Since(begun.Add(f.At)))
		begun, late = begun.Add(over), max(late, over)
		if _, err := conn.Write(slices.Concat(header, f.Bytes)); err != nil {
			t.Fatal(err)
		}
	}
	return late
}

// dialMirror opens what the mirror's packets are written to, and says what is in
// front of each frame.
func dialMirror(t *testing.T, w *lab.Wire, m corpus.Mirror) (conn io.WriteCloser, header []byte) {
	t.Helper()
	var err error
	header = m.Header
	switch {
	case m.Bare:
		conn, err = w.Link()
	case m.GRE:
		conn, err = w.DialGRE()
	case m.Port != 0:
		conn, err = w.DialPort(m.Port)
	default:
		conn, err = w.Dial()
		header = binary.BigEndian.AppendUint64(nil, 8<<56|42<<8) // RFC 7348, section 5
	}
	if err != nil {
		t.Fatal(err)
	}
	return conn, header
}

// compareCapture compares what the target got with what the capture wants.
func compareCapture(t *testing.T, c corpus.Capture, got []corpus.Stream) {
	t.Helper()
	for _, want := range append([][]corpus.Stream{c.Want}, c.Or...) {
		if describe(want) == describe(got) {
			return
		}
	}
	t.Errorf("the target got\n%swant\n%s", describe(got), describe(c.Want))
}

// describe tells streams apart, in no order.
func describe(streams []corpus.Stream) string {
	lines := []string{}
	for _, s := range streams {
		lines = append(lines, fmt.Sprintf("  %s %d bytes %.8x %.300q\n", s.End, len(s.Bytes), sha256.Sum256(s.Bytes), s.Bytes))
	}
	slices.Sort(lines)
	return strings.Join(lines, "")
}

// checkReasons checks that nothing which was lost is counted under a reason
// that says nobody needed it, or that the server did not take it either.
func checkReasons(t *testing.T, c corpus.Capture, b books) {
	t.Helper()
	var server, bare, needless, serverBytes, needlessBytes int64
	for _, f := range c.Frames {
		switch {
		case f.Server:
			server++
			serverBytes += int64(f.Data)
		case f.Data == 0:
			bare++
		case !f.Fresh:
			needless++
			needlessBytes += int64(f.Data)
		}
	}
	for key, most := range map[string]int64{
		"drop_reverse":                server,
		"drop_no_payload":             bare,
		"drop_duplicate":              needless + bare,
		"bytes_dropped_reverse":       serverBytes,
		"bytes_dropped_duplicate":     needlessBytes,
		"bytes_dropped_bad_checksum":  needlessBytes,
		"bytes_dropped_out_of_window": needlessBytes + serverBytes,
		"bytes_dropped_flow_over":     needlessBytes + serverBytes,
	} {
		if b[key] > most {
			t.Errorf("%s is %d, but the capture has no more than %d of them", key, b[key], most)
		}
	}
	for key, n := range c.Counts {
		if b[key] != n {
			t.Errorf("%s is %d, want %d", key, b[key], n)
		}
	}
}
