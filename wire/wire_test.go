package wire_test

import (
	"slices"
	"testing"

	"netmirror/wire"
)

// frame is 12 bytes of addresses and what follows.
func frame(rest ...byte) []byte { return slices.Clip(append(make([]byte, 12), rest...)) }

func TestSkipTags(t *testing.T) {
	for _, row := range []struct {
		name  string
		frame []byte
		want  uint16
		at    int
	}{
		{"no tag", frame(8, 0, 0x45), 0x0800, 14},
		{"nothing behind the header", frame(8, 0), 0x0800, 14},
		{"802.1Q", frame(0x81, 0, 0, 1, 0x86, 0xdd, 0x60), 0x86dd, 18},
		{"802.1ad and 802.1Q", frame(0x88, 0xa8, 0, 1, 0x81, 0, 0, 2, 8, 0), 0x0800, 22},
		{"0x9100", frame(0x91, 0, 0, 1, 8, 6), 0x0806, 18},
		{"one tag more", frame(0x81, 0, 0, 1, 0x81, 0, 0, 2, 0x81, 0, 0, 3, 8, 0), 0x8100, 22},
	} {
		if got, at := wire.SkipTags(row.frame, 2); got != row.want || at != row.at {
			t.Errorf("%s: %#x at %d, want %#x at %d", row.name, got, at, row.want, row.at)
		}
	}
	for name, cut := range map[string][]byte{
		"empty": nil, "13 bytes": frame(8), "in a tag": frame(0x81, 0, 0, 1, 8), "in the second": frame(0x81, 0, 0, 1, 0x81, 0, 0, 2),
	} {
		if _, at := wire.SkipTags(cut, 2); at <= len(cut) {
			t.Errorf("cut, %s: at is %d of %d bytes", name, at, len(cut))
		}
	}
}

func TestSkipOptions(t *testing.T) {
	packet := func(next byte, rest ...byte) []byte {
		p := append(make([]byte, 40), rest...)
		p[6] = next
		return slices.Clip(p)
	}
	eight := func(next byte) []byte { return []byte{next, 0, 1, 4, 0, 0, 0, 0} }
	sixteen := append([]byte{44, 1}, make([]byte, 14)...)
	for _, row := range []struct {
		name         string
		packet       []byte
		named, start int
		ok           bool
	}{
		{"TCP", packet(6), 6, 40, true},
		{"AH is not passed over", packet(51, eight(6)...), 6, 40, true},
		{"hop-by-hop options", packet(0, eight(6)...), 40, 48, true},
		{"destination options and routing", packet(60, append(eight(43), sixteen...)...), 48, 64, true},
		{"eight headers", packet(0, append(slices.Repeat(eight(60), 7), eight(17)...)...), 96, 104, true},
		{"nine headers", packet(0, append(slices.Repeat(eight(60), 8), eight(17)...)...), 0, 0, false},
		{"the packet ends in a header", packet(0, eight(6)[:7]...), 0, 0, false},
		{"the packet ends before a header's length", packet(0, 6), 0, 0, false},
	} {
		if named, start, ok := wire.SkipOptions(row.packet); named != row.named || start != row.start || ok != row.ok {
			t.Errorf("%s: %d, %d, %t; want %d, %d, %t", row.name, named, start, ok, row.named, row.start, row.ok)
		}
	}
}

// The example of RFC 1071, section 3.
func TestChecksum(t *testing.T) {
	if got := wire.Checksum([]byte{0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7}); got != ^uint16(0xddf2) {
		t.Errorf("%#x", got)
	}
}
