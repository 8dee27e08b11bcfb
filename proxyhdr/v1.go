package proxyhdr

import (
	"bytes"
	"net/netip"
	"strconv"
	"strings"
)

// maxLine is the longest line of version 1, in bytes, including CRLF (section 2.1).
const maxLine = 107

// lengthV1 is Length for version 1, a line of text.
func lengthV1(b []byte) (n int, state State) {
	if !begins(b, "PROXY ") {
		return 0, None
	}
	line := b[:min(len(b), maxLine)]
	end := bytes.IndexByte(line, '\n')
	switch {
	case end > 0 && line[end-1] == '\r' && validV1(string(line[:end-1])):
		return end + 1, Header
	case end >= 0 || len(line) == maxLine || !beginsProtocol(b):
		return 0, None
	}
	return 0, Possible
}

// begins reports whether b begins with s or, if it is shorter, is a beginning of s.
func begins(b []byte, s string) bool {
	n := min(len(b), len(s))
	return string(b[:n]) == s[:n]
}

// beginsProtocol reports whether b is, or can become, a line with a known protocol.
func beginsProtocol(b []byte) bool {
	return begins(b, "PROXY TCP4 ") || begins(b, "PROXY TCP6 ") || begins(b, "PROXY UNKNOWN")
}

// validV1 checks a line without CRLF: PROXY, protocol, source, destination and
// their ports, separated by single spaces. Anything may follow UNKNOWN.
func validV1(line string) bool {
	words := strings.Split(line, " ")
	if len(words) > 1 && words[1] == "UNKNOWN" {
		return true
	}
	if len(words) != 6 {
		return false
	}
	v4 := words[1] == "TCP4"
	return (v4 || words[1] == "TCP6") &&
		validAddress(words[2], v4) && validAddress(words[3], v4) && validPort(words[4]) && validPort(words[5])
}

// validAddress accepts an IPv4 address with TCP6 too: nginx sends that if client
// and server have different families.
func validAddress(s string, v4 bool) bool {
	a, err := netip.ParseAddr(s)
	return err == nil && a.Zone() == "" && (!v4 || a.Is4())
}

// validPort accepts a port without leading zeros.
func validPort(s string) bool {
	_, err := strconv.ParseUint(s, 10, 16)
	return err == nil && (s[0] != '0' || s == "0")
}
