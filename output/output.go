// Package output writes the log, and a live line below it, to a terminal, a file or a pipe.
// Its callers never wait for these.
package output

import (
	"bytes"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/term"
)

// Output writes the log, and the live line below it, in the background. Its callers do not
// wait, because a stopped terminal, or a pager that nobody scrolls, must not stop anything
// else. Its methods may be called from any goroutine.
type Output struct {
	w    io.Writer
	live bool // w is a terminal that has a live line
	done chan struct{}

	mu      sync.Mutex // guards the fields below
	some    sync.Cond  // there may be something to write, or it is the end
	queue   []byte     // lines that were not written yet
	lost    uint64     // lines that found no room or could not be written, and were not told of
	failing bool       // the last write failed
	line    string     // the live line as it should be
	shown   string     // as it is on the screen
	closed  bool
	flushes []chan struct{} // to close when all has been written
}

const (
	// maxQueue bounds the lines that wait, in bytes.
	maxQueue = 1 << 20
	// flushWithin is how long the end waits for the last lines to be taken.
	flushWithin = time.Second
	// clearLine goes to the line's start and clears it (ECMA-48, EL).
	clearLine = "\r\x1b[K"
)

// New starts writing to w; Close ends it. live asks for a live line, which needs a terminal
// that can be drawn over.
func New(w io.Writer, live bool) *Output {
	out := &Output{w: w, done: make(chan struct{})}
	f, ok := w.(*os.File)
	out.live = live && ok && os.Getenv("TERM") != "dumb" && term.IsTerminal(int(f.Fd()))
	out.some.L = &out.mu
	go out.run()
	return out
}

// Write takes one line of the log. It never fails.
func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.queue)+len(p) > maxQueue {
		o.lost++
	} else {
		o.queue = append(o.queue, p...)
		o.some.Signal()
	}
	return len(p), nil
}

// LostLines is how many lines found no room, or could not be written, since it last returned
// more than 0. It returns 0 until a line that reports them can be written again.
func (o *Output) LostLines() uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.failing || len(o.queue) > maxQueue/2 {
		return 0
	}
	n := o.lost
	o.lost = 0
	return n
}

// Show replaces the live line, if there is one; "" removes it.
func (o *Output) Show(line string) {
	if !o.live {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.line = line
	o.some.Signal()
}

// Flush waits until what was given before has been written, a second at most.
func (o *Output) Flush() {
	done := make(chan struct{})
	o.mu.Lock()
	o.flushes = append(o.flushes, done)
	o.some.Signal()
	o.mu.Unlock()
	select {
	case <-done:
	case <-time.After(flushWithin):
	}
}

// Close writes what is left, as long as w accepts it.
func (o *Output) Close() {
	o.mu.Lock()
	o.closed, o.line = true, ""
	o.some.Signal()
	o.mu.Unlock()
	select {
	case <-o.done:
	case <-time.After(flushWithin):
	}
}

func (o *Output) run() {
	defer close(o.done)
	for {
		piece, ok := o.next()
		if !ok {
			return
		}
		n, err := o.w.Write(piece)
		o.wrote(piece[min(n, len(piece)):], err)
	}
}

// wrote takes the outcome of a write: what was not written, and why. Nobody can be told of an
// error at the time, so it counts the lines, as of a file on a disk that is full.
func (o *Output) wrote(left []byte, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.failing = err != nil
	if err != nil {
		o.lost += uint64(bytes.Count(left, []byte{'\n'}))
	}
}

// next waits for something to write. It is false at the end.
func (o *Output) next() (piece []byte, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for len(o.queue) == 0 && o.line == o.shown {
		for _, done := range o.flushes {
			close(done)
		}
		o.flushes = nil
		if o.closed {
			return nil, false
		}
		o.some.Wait()
	}
	if o.shown != "" {
		piece = append(piece, clearLine...)
	}
	piece = append(piece, o.queue...)
	o.queue = o.queue[:0]
	o.shown = o.line
	return append(piece, o.fit(o.line)...), true
}

// fit is the part of a line that the terminal has room for.
func (o *Output) fit(line string) string {
	if line == "" {
		return ""
	}
	width, _, err := term.GetSize(int(o.w.(*os.File).Fd()))
	if err == nil && width > 0 && len(line) > width-1 {
		line = line[:width-1]
	}
	return line
}
