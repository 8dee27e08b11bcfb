package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/term"

	"netmirror/status"
)

// liveLine keeps one line at the bottom of a terminal, below what is written
// through it.
type liveLine struct {
	terminal *os.File

	mu   sync.Mutex // guards line, and the order of what is written
	line string     // on the screen now, "" for none
}

// newLiveLine gives nil where there is no place for one.
func newLiveLine(o *reportOptions, stderr io.Writer) *liveLine {
	f, ok := stderr.(*os.File)
	if !ok || o.Live == "off" || o.LogFormat != "text" || os.Getenv("TERM") == "dumb" || !term.IsTerminal(int(f.Fd())) {
		return nil
	}
	return &liveLine{terminal: f}
}

// clearLine goes to the line's start and clears it (ECMA-48, EL).
const clearLine = "\r\x1b[K"

// Write writes lines of a log.
func (l *liveLine) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.line == "" {
		return l.terminal.Write(p)
	}
	_, err := fmt.Fprint(l.terminal, clearLine, string(p), l.line)
	return len(p), err
}

// show replaces the line; "" takes it away.
func (l *liveLine) show(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if width, _, err := term.GetSize(int(l.terminal.Fd())); err == nil && len(line) > width-1 {
		line = line[:max(width-1, 0)]
	}
	if line == "" && l.line == "" {
		return
	}
	l.line = line
	fmt.Fprint(l.terminal, clearLine, line)
}

// rates is what the line says of the time between two snapshots.
func rates(before, now *status.Snapshot) string {
	seconds := max(now.Time.Sub(before.Time), time.Millisecond).Seconds()
	rate := func(a, b uint64) float64 { return float64(b-a) / seconds }
	lost, cut := now.Lost()
	return fmt.Sprintf("%s  in %s  out %s  flows %d  to target %d  waiting %s  lost %d packets, %d streams",
		short(rate(before.Frames, now.Frames), "packets/s"),
		short(8*rate(before.Stack.Bytes, now.Stack.Bytes), "bit/s"), short(8*rate(before.Bridge.BytesWritten, now.Bridge.BytesWritten), "bit/s"),
		now.Stack.Flows, now.Bridge.Open, short(float64(now.Stack.BytesHeld), "B"), lost, cut)
}

// short is an amount with three digits or so and a decimal prefix.
func short(n float64, unit string) string {
	prefixes := []string{"", "k", "M", "G", "T"}
	i := 0
	for ; n >= 999.5 && i < len(prefixes)-1; i++ {
		n /= 1000
	}
	digits := 0
	if i > 0 && n < 99.5 {
		digits = 1
	}
	return fmt.Sprintf("%.*f %s%s", digits, n, prefixes[i], unit)
}
