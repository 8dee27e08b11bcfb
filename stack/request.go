package stack

import "bytes"

// likeness says how much a segment looks like the start of an HTTP/1.x
// request.
type likeness uint8

const (
	contradicts likeness = iota // it is something else
	possible                    // too short to tell
	request                     // it begins with a request line, as far as it goes
)

const (
	maxMethod = 32 // bytes; the longest registered one has 17 (IANA http-methods)
	// preface is how an HTTP/2 client begins (RFC 9113, section 3.4).
	preface = "PRI * HTTP/2"
)

// requestLikeness looks for a request line (RFC 9112, section 3) at the start
// of b, behind an empty line at most, as section 2.2 allows.
//
// Where the line ends within b, any method counts, made-up and lower-case ones
// too, with a target of one of the four forms and a version of HTTP/1. Where
// it goes on in the next segment, as a long target's does, there is less to go
// by: then the method has to be in capitals and the target a path or a URL, so
// that two words of a body do not pass for a request.
func requestLikeness(b []byte) likeness {
	if string(b) == "\r" {
		return possible
	}
	b = bytes.TrimPrefix(b, []byte("\r\n"))
	method := 0
	for method < len(b) && method <= maxMethod && tchar[b[method]] {
		method++
	}
	switch {
	case method == len(b):
		return possible
	case method == 0 || method > maxMethod || b[method] != ' ':
		return contradicts
	}
	rest := b[method+1:]
	target := 0
	for target < len(rest) && rest[target] > ' ' && rest[target] != 0x7f {
		target++
	}
	if !targetForm(b[:method], rest[:target]) {
		if target == len(rest) {
			return possible
		}
		return contradicts
	}
	if target < len(rest) {
		if rest[target] != ' ' {
			return contradicts
		}
		if l := versionLikeness(rest[target+1:]); l != possible {
			return l
		}
	}
	if upper(b[:method]) {
		return request
	}
	return possible
}

// versionLikeness judges what follows the target: "HTTP/1." and a digit, then
// the end of the line, of which a lone LF is one (RFC 9112, section 2.2).
func versionLikeness(b []byte) likeness {
	const version = "HTTP/1."
	n := min(len(b), len(version))
	if string(b[:n]) != version[:n] {
		return contradicts
	}
	b = b[n:]
	if len(b) > 0 && (b[0] < '0' || b[0] > '9') {
		return contradicts
	}
	switch {
	case len(b) < 2:
		return possible
	case b[1] == '\n':
		return request
	case b[1] != '\r':
		return contradicts
	case len(b) == 2:
		return possible
	case b[2] == '\n':
		return request
	}
	return contradicts
}

// targetForm reports whether t can be, or begin, a request target: a path, an
// asterisk, a URL, or for CONNECT a host and port (RFC 9112, section 3.2).
func targetForm(method, t []byte) bool {
	if len(t) == 0 {
		return false
	}
	return t[0] == '/' || string(t) == "*" && string(method) != "PRI" ||
		bytes.Contains(t, []byte("://")) || string(method) == "CONNECT"
}

// upper reports whether b has capitals only, but for hyphens.
func upper(b []byte) bool {
	for _, c := range b {
		if (c < 'A' || c > 'Z') && c != '-' {
			return false
		}
	}
	return true
}

// tchar has the bytes that a token may consist of (RFC 9110, section 5.6.2).
var tchar = func() (t [256]bool) {
	for c := '0'; c <= '9'; c++ {
		t[c] = true
	}
	for c := 'a'; c <= 'z'; c++ {
		t[c], t[c-'a'+'A'] = true, true
	}
	for _, c := range "!#$%&'*+-.^_`|~" {
		t[c] = true
	}
	return t
}()
