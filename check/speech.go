package check

import (
	"bytes"

	framing "netmirror/http1"
	"netmirror/proxyhdr"
)

// speech is what a payload shows its sender to speak.
type speech uint8

const (
	unknown speech = iota
	http1
	http2
	tls
	speeches // how many there are
)

// String names it for the reader.
func (s speech) String() string {
	return [...]string{"-", "HTTP/1", "HTTP/2", "TLS"}[s]
}

// speechOf looks at the start of a client's segment, behind a PROXY header.
func speechOf(b []byte) speech {
	b = behindProxy(b)
	switch {
	case isTLS(b):
		return tls
	case isHTTP2(b):
		return http2
	case isRequest(b):
		return http1
	}
	return unknown
}

// Who sends what only the one or the other does.
const (
	asks    int8 = 1
	answers int8 = -1
)

// roleOf says whether a segment shows its sender to be the client, or the server,
// of HTTP; 0 where it shows neither.
func roleOf(b []byte) int8 {
	b = behindProxy(b)
	switch {
	case isRequest(b), bytes.HasPrefix(b, []byte("PRI * HTTP/2.0")):
		return asks
	case bytes.HasPrefix(b, []byte("HTTP/1.")):
		return answers
	case !isHTTP2(b):
		return 0
	}
	for len(b) > 0 {
		f, rest, ok := cutFrame(b)
		if !ok {
			return 0
		}
		if role := f.role(); role != 0 {
			return role
		}
		b = rest
	}
	return 0
}

// isTLS looks for a record's header (RFC 8446, section 5.1): that of a ClientHello
// at the start of a connection, of other records later in it.
func isTLS(b []byte) bool {
	const (
		changeCipherSpec, applicationData = 20, 23
		maxRecord                         = 1<<14 + 2048 // TLS 1.2's (RFC 5246, section 6.2.3)
	)
	if len(b) < 5 || b[0] < changeCipherSpec || b[0] > applicationData || b[1] != 3 || b[2] > 4 {
		return false
	}
	length := int(b[3])<<8 | int(b[4])
	return length > 0 && length <= maxRecord
}

// isRequest looks for an HTTP/1 request line by the rules by which netmirror
// picks requests up in the middle of a connection. The line may go on in the
// next segment.
func isRequest(b []byte) bool {
	l := framing.Unmistakable(b)
	return l == framing.Request || l == framing.Possible && framing.Start(b) == framing.Request
}

// begins looks for an HTTP/1 request line where a connection begins, where
// servers take more for one.
func begins(b []byte) bool { return framing.Start(behindProxy(b)) == framing.Request }

// behindProxy gives what is behind a PROXY protocol header in b, or b where it
// does not begin with one.
func behindProxy(b []byte) []byte {
	if n, state := proxyhdr.Length(b); state == proxyhdr.Header {
		return b[min(n, len(b)):]
	}
	return b
}
