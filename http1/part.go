package http1

import "bytes"

// Part is what the next byte of a connection belongs to.
type Part uint8

const (
	AtLine  Part = iota // a request line, or an empty line in front of one
	AtHead              // a header section
	AtBody              // a body, with what frames its chunks and with its trailers
	Unknown             // the Framer is lost, or the connection opaque
)

// Part says what the next byte belongs to.
func (f *Framer) Part() Part {
	switch f.state {
	case atStart, inLine:
		return AtLine
	case inHead:
		return AtHead
	case isLost, isOpaque:
		return Unknown
	}
	return AtBody
}

// Step is [Framer.Feed] that stops where the part changes, too: behind a request
// line and behind a head.
func (f *Framer) Step(b []byte) (n int) {
	if f.state == atStart && len(b) > 0 {
		f.begin()
	}
	for from := f.Part(); n < len(b) && f.state != atStart && f.Part() == from; {
		n += f.step(b[n:])
	}
	return n
}

// Tunnel reports whether the request that is read, or the last one that was, is a
// CONNECT: behind its head comes what a server sends on unread (RFC 9110, section
// 9.3.6), unless it refuses.
func (f *Framer) Tunnel() bool { return f.line.is("CONNECT") }

// Line is the length of the request line that b begins with, with the empty lines
// in front of it and with its end; and its target, which aliases b. n is 0 where the
// line does not end in b. The line has to be one that a Framer takes.
func Line(b []byte) (n int, target []byte) {
	line := trimBlank(b)
	end := bytes.IndexByte(line, '\n') + 1
	if end == 0 {
		return 0, nil
	}
	if i := bytes.IndexAny(line[:end], " \t"); i >= 0 {
		target, _ = cutLine(line[i:end])
	}
	return len(b) - len(line) + end, target
}
