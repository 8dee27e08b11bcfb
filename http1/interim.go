package http1

import "bytes"

// Interim returns how many bytes at the beginning of b belong to interim answers:
// those with a status below 200, except 101, which changes the protocol. b is what a
// server sends from the beginning of a message on. An answer that continues beyond b
// counts as far as b goes, and so do bytes too few to tell.
func Interim(b []byte) (n int) {
	for n < len(b) && interimLine(b[n:]) {
		end := headEnd(b[n:])
		if end < 0 {
			return len(b)
		}
		n += end
	}
	return n
}

// SwitchingProtocols is the status with which a server changes to another protocol (RFC 9110,
// section 15.2.2).
const SwitchingProtocols = 101

// Status is the status code of the answer that b begins with (RFC 9112, section 4); 0 if it
// begins with none.
func Status(b []byte) (code int) {
	const form = "HTTP/1.1 200"
	if len(b) < len(form) || string(b[:7]) != form[:7] || b[8] != ' ' {
		return 0
	}
	for _, c := range b[9:len(form)] {
		if c < '0' || c > '9' {
			return 0
		}
		code = 10*code + int(c-'0')
	}
	return code
}

// MaxInterimPart is how long AppendInterimPart's result is at the most, in bytes.
const MaxInterimPart = len("HTTP/1.1 103\n") + 2

// AppendInterimPart appends to dst the least part of b that must be kept to judge what follows.
// b must be interim as a whole: Interim(b) is len(b). If b and the bytes behind it are interim
// as a whole, the part and these bytes are so too. The part is empty if b ends with an interim
// answer, and has MaxInterimPart bytes at most.
func AppendInterimPart(dst, b []byte) []byte {
	for end := headEnd(b); end >= 0; end = headEnd(b) {
		b = b[end:]
	}
	const code = len("HTTP/1.1 103")
	if len(b) <= code {
		return append(dst, b...)
	}
	dst = append(dst, b[:code]...)
	last := bytes.LastIndexByte(b, '\n')
	if last < 0 {
		return append(dst, ' ') // the status line goes on
	}
	line := b[last+1:] // an empty one ends the head
	return append(append(dst, '\n'), line[:min(len(line), 2)]...)
}

// interimLine reports whether b begins with the status line of an interim answer
// (RFC 9112, section 4), or can still become one.
func interimLine(b []byte) bool {
	const form = "HTTP/0.0 100"
	for i := range min(len(b), len(form)) {
		c := b[i]
		if c >= '0' && c <= '9' && i != len("HTTP/0.0 ") {
			c = '0'
		}
		if c != form[i] {
			return false
		}
	}
	if len(b) > len(form) && b[len(form)] > ' ' {
		return false
	}
	return len(b) < len(form) || string(b[len(form)-3:len(form)]) != "101"
}

// headEnd is the length of a head with the empty line at its end, or -1 if b has
// no empty line.
func headEnd(b []byte) int {
	for n := 0; ; {
		i := bytes.IndexByte(b[n:], '\n')
		if i < 0 {
			return -1
		}
		line := bytes.TrimSuffix(b[n:n+i], []byte("\r"))
		n += i + 1
		if len(line) == 0 {
			return n
		}
	}
}
