// Package proxyhdr recognizes the header that a PROXY protocol sender puts in
// front of a connection (haproxy's doc/proxy-protocol.txt, versions 1 and 2).
//
// It finds the length of the header and checks its form. It does not read the
// addresses.
package proxyhdr

import (
	"bytes"
	"encoding/binary"
)

// State says whether a connection begins with a header.
type State uint8

const (
	None     State = iota // it begins with something else
	Possible              // more bytes are needed
	Header                // it does
)

const (
	prefix1  = "PROXY"
	maxLine1 = 107 // bytes of version 1, with CRLF (section 2.1)

	signature2 = "\r\n\r\n\x00\r\nQUIT\n"
	head2      = 16 // bytes of version 2 up to the addresses (section 2.2)
)

// Length judges b, the first bytes of a connection. n is the length of the
// whole header, in bytes; it is known as soon as the state is Header, and with
// version 2 it may be more than len(b). It is 0 otherwise.
func Length(b []byte) (n int, state State) {
	if n, state := length1(b); state != None {
		return n, state
	}
	return length2(b)
}

// length1 looks for a line of version 1: "PROXY", then TCP4, TCP6 or UNKNOWN.
func length1(b []byte) (n int, state State) {
	state = None
	for _, start := range []string{prefix1 + " TCP4 ", prefix1 + " TCP6 ", prefix1 + " UNKNOWN"} {
		k := min(len(b), len(start))
		if string(b[:k]) != start[:k] {
			continue
		}
		if k < len(start) {
			return 0, Possible
		}
		state = Possible
	}
	if state == None {
		return 0, None
	}
	line := b[:min(len(b), maxLine1)]
	switch end := bytes.IndexByte(line, '\n'); {
	case end > 0 && line[end-1] == '\r':
		return end + 1, Header
	case end >= 0, len(line) == maxLine1:
		return 0, None
	}
	return 0, Possible
}

// length2 looks for the signature of version 2, the version with its command,
// the family and the length of what follows.
func length2(b []byte) (n int, state State) {
	k := min(len(b), len(signature2))
	if string(b[:k]) != signature2[:k] {
		return 0, None
	}
	if len(b) > 12 && b[12] != 0x20 && b[12] != 0x21 { // LOCAL and PROXY
		return 0, None
	}
	if len(b) > 13 && (b[13]>>4 > 3 || b[13]&0xf > 2) {
		return 0, None
	}
	if len(b) < head2 {
		return 0, Possible
	}
	return head2 + int(binary.BigEndian.Uint16(b[14:])), Header
}
