package stack

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"
)

// pseudoSum is the folded sum of the pseudo-header of a TCP segment of the
// given length, as checksum offload leaves it (RFC 1071).
func pseudoSum(ip []byte, length int) uint16 {
	addresses := ip[12:20]
	if ip[0]>>4 == 6 {
		addresses = ip[8:40]
	}
	sum := uint32(6 + length)
	for i := 0; i < len(addresses); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(addresses[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return uint16(sum)
}

func TestChecksums(t *testing.T) {
	for _, family := range []struct {
		name     string
		src, dst string
	}{
		{"IPv4", "192.0.2.7:40000", "198.51.100.1:8080"},
		{"IPv6", "[2001:db8::7]:40000", "[2001:db8::1]:8080"},
	} {
		c := newClient(t, 5)
		c.src, c.dst = netip.MustParseAddrPort(family.src), netip.MustParseAddrPort(family.dst)
		right := c.data(0, []byte("an odd number of bytes!"))
		with := func(field uint16) []byte {
			b := bytes.Clone(right.IP)
			binary.BigEndian.PutUint16(b[right.TCP+16:], field)
			return b
		}
		length := len(right.IP) - right.TCP
		damaged := bytes.Clone(right.IP)
		damaged[len(damaged)-1] ^= 1
		for _, tc := range []struct {
			name                string
			ip                  []byte
			auto, always, never bool
		}{
			{"right", right.IP, true, true, true},
			{"a byte damaged", damaged, false, false, true},
			{"pseudo-header only, with the length", with(pseudoSum(right.IP, length)), true, false, true},
			{"pseudo-header only, without", with(pseudoSum(right.IP, 0)), true, false, true},
			{"zero", with(0), false, false, true},
		} {
			t.Run(family.name+" "+tc.name, func(t *testing.T) {
				for mode, want := range map[Checksums]bool{ChecksumsAuto: tc.auto, ChecksumsAlways: tc.always, ChecksumsNever: tc.never} {
					if got := passes(mode, tc.ip, right.TCP); got != want {
						t.Errorf("mode %d: passes %v, want %v", mode, got, want)
					}
				}
			})
		}
	}
}

// passes is what a single segment's checksum decides.
func passes(c Checksums, ip []byte, tcp int) bool {
	return c.passes(c.sumOf(&Segment{IP: ip, TCP: tcp}))
}
