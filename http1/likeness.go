package http1

import "bytes"

// Likeness says how much bytes look like the start of an HTTP/1 request.
type Likeness uint8

const (
	Contradicts Likeness = iota // it is something else
	Possible                    // too short to tell
	Request                     // it begins with a request line, or with enough of one
)

// preface is how an HTTP/2 client begins (RFC 9113, section 3.4).
const preface = "PRI * HTTP/2"

// Start judges b, the first bytes of a message, by what servers accept as a
// request line after any number of empty lines. It is for places where a message
// is known to begin: the start of a connection, or the end of the previous
// request.
//
// A line that ends in b is a Request if it has a method, a target and a version,
// whatever they are. A line that continues beyond b is Possible, at any length. It
// is a Request already if the method is in capitals, the target a path or a URL, and
// what follows the beginning of "HTTP/1.".
func Start(b []byte) Likeness {
	b = trimBlank(b)
	if bytes.HasPrefix(b, []byte(preface)) {
		return Contradicts
	}
	var l requestLine
	_, verdict := l.feed(b)
	if verdict == Possible && likely(b) {
		return Request
	}
	return verdict
}

// trimBlank removes the empty lines in front.
func trimBlank(b []byte) []byte {
	for len(b) > 0 && (b[0] == '\r' || b[0] == '\n') {
		b = b[1:]
	}
	return b
}

// likely reports whether b, a line that continues beyond b, can already be taken
// for a request line.
func likely(b []byte) bool {
	method, rest, ok := bytes.Cut(b, []byte(" "))
	if !ok || !capitals(method) {
		return false
	}
	target, version, ended := bytes.Cut(rest, []byte(" "))
	if len(target) == 0 || !pathOrURL(target) && string(method) != "CONNECT" && (string(target) != "*" || string(method) == "PRI") {
		return false
	}
	const want = "HTTP/1."
	n := min(len(version), len(want))
	if string(version[:n]) != want[:n] {
		return false
	}
	version = bytes.TrimSuffix(version[n:], []byte("\r"))
	return !ended || len(version) == 0 || len(version) == 1 && version[0] >= '0' && version[0] <= '9'
}

func pathOrURL(target []byte) bool {
	return target[0] == '/' || bytes.Contains(target, []byte("://"))
}

// capitals reports whether b consists of capitals and hyphens.
func capitals(b []byte) bool {
	for _, c := range b {
		if (c < 'A' || c > 'Z') && c != '-' {
			return false
		}
	}
	return len(b) > 0
}
