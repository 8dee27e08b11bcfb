// Package proxyhdr recognizes the header with which a PROXY protocol sender begins
// a connection (haproxy's doc/proxy-protocol.txt, versions 1 and 2).
//
// It is pure: it finds the length of the header, and keeps nothing. It checks the
// form of the addresses in the header and does not use them.
package proxyhdr

// State says whether a connection begins with a header.
type State uint8

const (
	None     State = iota // it begins with something else
	Possible              // more bytes are needed
	Header                // it begins with a header
)

// Length judges b, the first bytes of a connection. n is the length of the whole
// header in bytes, at most 65551; it is 0 unless the state is Header. The first 16
// bytes are enough to recognize version 2, so n may be more than len(b).
func Length(b []byte) (n int, state State) {
	if n, state = lengthV1(b); state == None {
		n, state = lengthV2(b)
	}
	return n, state
}
