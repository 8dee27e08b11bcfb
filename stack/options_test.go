package stack

import (
	"bytes"
	"testing"
)

func TestOption(t *testing.T) {
	for _, tc := range []struct {
		name        string
		options     string
		kind        uint8
		value, rest string
		found       bool
	}{
		{"no options", "", optionScale, "", "", false},
		{"alone", "\x03\x03\x07", optionScale, "\x07", "", true},
		{"behind NOPs and others", "\x02\x04\x05\xb4\x01\x03\x03\x07\x04\x02", optionScale, "\x07", "\x04\x02", true},
		{"without a value", "\x04\x02\x01", 4, "", "\x01", true},
		{"the first of two", "\x1e\x03a\x1e\x03b", optionMPTCP, "a", "\x1e\x03b", true},
		{"not there", "\x02\x04\x05\xb4", optionScale, "", "", false},
		{"behind the end of the list", "\x00\x03\x03\x07", optionScale, "", "", false},
		{"its length is missing", "\x01\x03", optionScale, "", "", false},
		{"a length of 0 would never end", "\x02\x00\x03\x03\x07", optionScale, "", "", false},
		{"a length of 1 does not cover itself", "\x03\x01\x07", optionScale, "", "", false},
		{"a length beyond the header", "\x03\x04\x07", optionScale, "", "", false},
		{"a kind that is a value of another", "\x02\x04\x03\x03\x01", optionScale, "", "", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			value, rest := option([]byte(tc.options), tc.kind)
			if string(value) != tc.value || string(rest) != tc.rest || (value != nil) != tc.found {
				t.Errorf("value %q (found %v), rest %q; want %q (%v), %q", value, value != nil, rest, tc.value, tc.found, tc.rest)
			}
		})
	}
}

func TestTimestamp(t *testing.T) {
	for _, tc := range []struct {
		name    string
		options string
		want    uint32
		ok      bool
	}{
		{"aligned by two NOPs", "\x01\x01\x08\x0a\x01\x02\x03\x04\x05\x06\x07\x08", 0x01020304, true},
		{"not aligned", "\x08\x0a\x01\x02\x03\x04\x05\x06\x07\x08\x00\x00", 0x01020304, true},
		{"behind others, as in a SYN", "\x02\x04\x05\xb4\x04\x02\x08\x0a\xff\xff\xff\xff\x00\x00\x00\x00", 0xffffffff, true},
		{"in front of SACK blocks", "\x01\x01\x08\x0a\x00\x00\x00\x09\x00\x00\x00\x00\x01\x01\x05\x0a\x00\x00\x00\x01\x00\x00\x00\x02", 9, true},
		{"too short", "\x08\x06\x01\x02\x03\x04", 0, false},
		{"cut", "\x01\x01\x08\x0a\x01\x02\x03\x04", 0, false},
		{"none", "\x01\x01\x05\x0a\x08\x0a\x00\x01\x00\x00\x00\x02", 0, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got, ok := timestamp([]byte(tc.options)); got != tc.want || ok != tc.ok {
				t.Errorf("%#x, %v; want %#x, %v", got, ok, tc.want, tc.ok)
			}
		})
	}
}

func TestWindowScale(t *testing.T) {
	for _, tc := range []struct {
		name    string
		options string
		want    uint8
		ok      bool
	}{
		{"0 is a scale", "\x03\x03\x00", 0, true},
		{"14 is the largest", "\x03\x03\x0e", 14, true},
		{"a larger one counts as 14 (RFC 7323, section 2.3)", "\x03\x03\xff", 14, true},
		{"of the wrong length", "\x03\x04\x07\x07", 0, false},
		{"not offered", "\x02\x04\x05\xb4", 0, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got, ok := windowScale([]byte(tc.options)); got != tc.want || ok != tc.ok {
				t.Errorf("%d, %v; want %d, %v", got, ok, tc.want, tc.ok)
			}
		})
	}
}

// FuzzOptions checks that what is found lies in the options, in order, and that
// looking for more of a kind comes to an end.
func FuzzOptions(f *testing.F) {
	f.Add([]byte("\x02\x04\x05\xb4\x01\x03\x03\x07\x01\x01\x08\x0a\x01\x02\x03\x04\x05\x06\x07\x08"), uint8(optionScale))
	f.Add([]byte("\x1e\x0c\x00\x01abcdefgh\x1e\x04\x20\x01\x00"), uint8(optionMPTCP))
	f.Add([]byte("\x08\x00"), uint8(optionTimestamp))
	f.Fuzz(func(t *testing.T, options []byte, kind uint8) {
		if _, ok := timestamp(options); ok && len(options) < 10 {
			t.Errorf("a timestamp of 10 bytes in %d", len(options))
		}
		if shift, ok := windowScale(options); shift > 14 || ok && len(options) < 3 {
			t.Errorf("window scale %d in %d bytes", shift, len(options))
		}
		for left := options; ; {
			value, rest := option(left, kind)
			if value == nil {
				return
			}
			if len(value)+2+len(rest) > len(left) {
				t.Fatalf("%d bytes of value and %d behind it in %d", len(value), len(rest), len(left))
			}
			at := len(left) - len(rest) - len(value)
			if left[at-2] != kind || int(left[at-1]) != len(value)+2 ||
				!bytes.Equal(left[at:at+len(value)], value) || !bytes.Equal(left[len(left)-len(rest):], rest) {
				t.Fatalf("value %x and rest %x are not what follows kind %d in %x", value, rest, kind, left)
			}
			if cap(value) > len(value) {
				t.Fatal("an append to the value would write behind it")
			}
			left = rest
		}
	})
}
