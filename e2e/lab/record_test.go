package lab

import (
	"bytes"
	"crypto/sha256"
	"net/netip"
	"strings"
	"testing"
)

func recordOf(b []byte, end End) Record {
	t := newTally()
	// In uneven pieces, as reads from a socket are.
	for len(b) > 0 {
		n := min(len(b), 700)
		t.add(b[:n])
		b = b[n:]
	}
	return t.record(clientAddr, end)
}

var clientAddr = netip.MustParseAddrPort("10.77.1.1:40000")

func TestRecordSumsTheWholeStream(t *testing.T) {
	b := bytes.Repeat([]byte("netmirror"), 1000)
	r := recordOf(b, EOF)
	if r.Sum != sha256.Sum256(b) || r.Len != 9000 {
		t.Errorf("got %v", &r)
	}
}

func TestDiff(t *testing.T) {
	whole := bytes.Repeat([]byte("0123456789abcdef"), 512)
	late := bytes.Clone(whole)
	late[5000] ^= 1
	a, b := recordOf(whole, EOF), recordOf([]byte("other"), EOF)
	for _, tt := range []struct {
		name      string
		want, got []Record
		says      string // "" is equal
	}{
		{"nothing is nothing", nil, nil, ""},
		{"order does not matter", []Record{a, b}, []Record{b, a}, ""},
		{"one of two equal streams is missing", []Record{a, a}, []Record{a}, "want 2 connections, got 1; 1 missing, 0 unexpected"},
		{"a stream came twice", []Record{a}, []Record{a, a}, "0 missing, 1 unexpected"},
		{"the end differs", []Record{a}, []Record{recordOf(whole, Reset)}, "the bytes are right, the end should be eof"},
		{"a byte differs", []Record{b, a}, []Record{b, recordOf(late, EOF)}, "first 4096 bytes are those of: 8192 bytes"},
		{"the tail is missing", []Record{a}, []Record{recordOf(whole[:3000], EOF)}, "first 2048 bytes are those of: 8192 bytes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := Diff(tt.want, tt.got)
			if (d == "") != (tt.says == "") || !strings.Contains(d, tt.says) {
				t.Errorf("got %q, want it to say %q", d, tt.says)
			}
		})
	}
}
