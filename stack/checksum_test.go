package stack

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"
)

// offloaded leaves the checksums of segments as checksum offload does: right for every
// sequence number.
func offloaded(segs ...Segment) []Segment {
	for _, m := range segs {
		binary.BigEndian.PutUint16(m.IP[36:], pseudoSum(m.IP, 0))
	}
	return segs
}

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

// A connection's segments are judged together: where offload is at work, nearly all of
// its checksums are unfinished; where it is not, an unfinished one is a wrong one.
func TestSumsOfAConnection(t *testing.T) {
	const full, unfinished = sumFull, sumUnfinished
	type one struct {
		sum     sum
		payload int
		trusted bool
	}
	for _, tc := range []struct {
		name string
		segs []one
	}{
		{"all are full", []one{{full, 0, true}, {full, 100, true}}},
		{"all are unfinished: offload", []one{{unfinished, 0, true}, {unfinished, 100, true}, {unfinished, 20000, true}}},
		{"an unfinished one among full ones", []one{{full, 0, true}, {unfinished, 100, false}, {full, 100, true}, {unfinished, 100, false}}},
		{"a full one among unfinished ones, which some are by chance", []one{{unfinished, 0, true}, {full, 100, true}, {unfinished, 100, true}}},
		{"what was full at first was so by chance", []one{{full, 0, true}, {unfinished, 1, false}, {unfinished, 2, false}, {unfinished, 3, true}, {unfinished, 4, true}}},
		{"two in a row are not enough", []one{{full, 0, true}, {unfinished, 1, false}, {unfinished, 2, false}, {full, 3, true}, {unfinished, 4, false}}},
		{"a super-frame, before segmentation offload cuts it", []one{{full, 0, true}, {unfinished, 1461, true}, {full, 10, true}, {unfinished, 1460, false}}},
		{"jumbo frames are no super-frames", []one{{full, 8960, true}, {unfinished, 8960, false}, {unfinished, 8961, true}}},
		{"not looked at", []one{{sumUnread, 0, true}, {sumUnread, 100, true}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var c sums
			for i, o := range tc.segs {
				if got := c.trusts(o.sum, o.payload); got != o.trusted {
					t.Errorf("segment %d: trusted %v, want %v", i+1, got, o.trusted)
				}
			}
		})
	}
}
