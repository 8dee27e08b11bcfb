package http1

import "bytes"

// Likeness says how much bytes look like the start of an HTTP/1 request.
type Likeness uint8

const (
	Contradicts Likeness = iota // it is something else
	Possible                    // too short to tell
	Request                     // it begins with a request line, as far as it goes
)

// preface is how an HTTP/2 client begins (RFC 9113, section 3.4).
const preface = "PRI * HTTP/2"

// Start judges b, the first bytes of a message, by what servers take for a
// request line, behind any number of empty lines. It is for places where a
// message is known to begin: the start of a connection, or the end of the
// request before.
//
// A line that has its end in b is a request where it has a method, a target and
// a version, whatever they are. Of a line that goes on there is less to go by:
// it is Possible, at any length, and a Request already where the method is in
// capitals, the target a path or a URL, and what is behind it the start of
// "HTTP/1.".
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

// trimBlank takes off the empty lines in front.
func trimBlank(b []byte) []byte {
	for len(b) > 0 && (b[0] == '\r' || b[0] == '\n') {
		b = b[1:]
	}
	return b
}

// likely reports whether b, a request line without its end, can be taken for
// one already.
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

// capitals reports whether b has capitals only, but for hyphens.
func capitals(b []byte) bool {
	for _, c := range b {
		if (c < 'A' || c > 'Z') && c != '-' {
			return false
		}
	}
	return len(b) > 0
}
