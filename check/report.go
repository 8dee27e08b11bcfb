package check

import (
	"fmt"
	"io"
	"strings"
)

// report writes the findings, a line each, and remembers what is to be changed
// first. The findings come from the outside in, so that the first fault is the
// one that hides the others.
type report struct {
	out   io.Writer
	first string // the remedy of the first fault; "" while there is none
	err   error  // of the first write that failed
}

// ok writes what is as it should be.
func (r *report) ok(format string, args ...any) { r.line("ok", format, args...) }

// note writes what netmirror can live with.
func (r *report) note(format string, args ...any) { r.line("note", format, args...) }

// say writes what is no finding.
func (r *report) say(format string, args ...any) { r.line("", format, args...) }

// fault writes what keeps netmirror from its work; remedy says, in the
// imperative, what to do about it.
func (r *report) fault(remedy, format string, args ...any) {
	r.line("FAULT", format, args...)
	if r.first == "" {
		r.first = remedy
	}
}

func (r *report) line(mark, format string, args ...any) {
	text := fmt.Sprintf("%-5s %s", mark, fmt.Sprintf(format, args...))
	_, err := fmt.Fprintln(r.out, strings.TrimRight(text, " "))
	if r.err == nil {
		r.err = err
	}
}
