// Package proxyhdr recognizes the header that a PROXY protocol sender puts in
// front of a connection (haproxy's doc/proxy-protocol.txt, versions 1 and 2).
//
// It is pure: it finds the length of the header, and keeps nothing. What the
// header says of the client is checked for its form only.
package proxyhdr

// State says whether a connection begins with a header.
type State uint8

const (
	None     State = iota // it begins with something else
	Possible              // more bytes are needed
	Header                // it does
)

// Length judges b, the first bytes of a connection. n is the length of the
// whole header, in bytes, and 0 unless the state is Header. With version 2 that
// state is reached with the first 16 bytes, and n may be more than len(b); it is
// at most 65551.
func Length(b []byte) (n int, state State) {
	if n, state = lengthV1(b); state == None {
		n, state = lengthV2(b)
	}
	return n, state
}
