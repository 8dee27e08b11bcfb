package proxyhdr

import "encoding/binary"

const (
	signature = "\r\n\r\n\x00\r\nQUIT\n"
	headV2    = 16 // bytes up to the addresses (section 2.2)
)

// The version with its command, byte 12.
const (
	local = 0x20 // a connection that the proxy opened for itself; the addresses mean nothing
	proxy = 0x21
)

// lengthV2 is Length for version 2: a signature, the version with its command, the
// address family, and the length of what follows.
func lengthV2(b []byte) (n int, state State) {
	switch {
	case !begins(b, signature),
		len(b) > 12 && b[12] != local && b[12] != proxy,
		len(b) > 13 && addresses(b[13]) < 0:
		return 0, None
	case len(b) < headV2:
		return 0, Possible
	}
	rest := int(binary.BigEndian.Uint16(b[14:]))
	if b[12] == proxy && rest < addresses(b[13]) {
		return 0, None
	}
	return headV2 + rest, Header
}

// addresses is the length in bytes of a family's addresses, or -1 for an unknown
// family.
func addresses(family byte) int {
	switch family {
	case 0x00: // unspecified
		return 0
	case 0x11, 0x12: // TCP and UDP over IPv4
		return 12
	case 0x21, 0x22: // TCP and UDP over IPv6
		return 36
	case 0x31, 0x32: // Unix sockets
		return 216
	}
	return -1
}
