package http1

import "bytes"

// Part is what the next byte of a connection belongs to.
type Part uint8

const (
	AtLine  Part = iota // a request line, or an empty line in front of one
	AtHead              // a header section
	AtBody              // a body, including chunk sizes and trailers
	Unknown             // the Framer is lost or opaque
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

// Step is like [Framer.Feed] but also stops where the part changes: after a request
// line and after a head.
func (f *Framer) Step(b []byte) (n int) {
	if f.state == atStart && len(b) > 0 {
		f.begin()
	}
	for from := f.Part(); n < len(b) && f.state != atStart && f.Part() == from; {
		n += f.step(b[n:])
	}
	return n
}

// Tunnel reports whether the current request, or the last one, is a CONNECT. Unless
// the server refuses it, it passes on unread what follows the head (RFC 9110, section
// 9.3.6).
func (f *Framer) Tunnel() bool { return f.line.is("CONNECT") }

// Line returns the length of the request line that b begins with, including empty
// lines in front and the line's end, and the target, which aliases b. n is 0 if the
// line does not end in b. The line must be one that a Framer accepts.
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
