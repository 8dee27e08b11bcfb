package check

import (
	"strings"
	"testing"
)

// Frames of HTTP/2 as a client sends them (RFC 9113, section 6).
const (
	settingsAck  = "\x00\x00\x00\x04\x01\x00\x00\x00\x00"
	ping         = "\x00\x00\x08\x06\x00\x00\x00\x00\x00abcdefgh"
	windowUpdate = "\x00\x00\x04\x08\x00\x00\x00\x00\x05\x00\x00\x40\x00"
	request      = "\x00\x00\x05\x01\x04\x00\x00\x00\x07\x83\x86\xbe\xbf\xc0"
	response     = "\x00\x00\x02\x01\x04\x00\x00\x00\x07\x88\xc0"
	data         = "\x00\x00\x06\x00\x01\x00\x00\x00\x07\x00\x00\x00\x00\x01x"
)

func TestHTTP2InTheMiddle(t *testing.T) {
	for _, tt := range []struct {
		name, payload string
		want          speech
		role          int8
	}{
		{"settings acknowledged", settingsAck, http2, 0},
		{"a ping", ping, http2, 0},
		{"a window", windowUpdate, http2, 0},
		{"a request", request, http2, asks},
		{"a request with a priority", "\x00\x00\x08\x01\x25\x00\x00\x00\x07\x00\x00\x00\x00\x10\x82\x86\xbe", http2, asks},
		{"an answer", response, http2, answers},
		{"several frames", windowUpdate + ping + request + data, http2, asks},
		{"the start of a frame at the end", request + "\x00\x40\x00\x00\x00\x00\x00\x00\x07abc", http2, asks},
		{"half a header at the end", ping + "\x00\x40", http2, 0},
		{"data, which looks like anything", data, unknown, 0},
		{"something else behind it", ping + "and now something else", unknown, 0},
		{"a window of nothing", "\x00\x00\x04\x08\x00\x00\x00\x00\x05\x00\x00\x00\x00", unknown, 0},
		{"a ping in a stream", "\x00\x00\x08\x06\x00\x00\x00\x00\x01abcdefgh", unknown, 0},
		{"headers of an even stream", "\x00\x00\x02\x01\x04\x00\x00\x00\x08\x83\x86", unknown, 0},
		{"headers that begin with none", "\x00\x00\x02\x01\x04\x00\x00\x00\x07zz", unknown, 0},
		{"a length and a message of that length", "\x00\x00\x04\x08\x00\x01\x00\x0b" + strings.Repeat("message", 147)[:1028], unknown, 0},
		{"zeros", strings.Repeat("\x00", 64), unknown, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := speechOf([]byte(tt.payload)); got != tt.want {
				t.Errorf("speech: %v, want %v", got, tt.want)
			}
			if got := roleOf([]byte(tt.payload)); got != tt.role {
				t.Errorf("role: %d, want %d", got, tt.role)
			}
		})
	}
}

func FuzzHTTP2(f *testing.F) {
	for _, b := range []string{settingsAck, ping, windowUpdate, request, response, data} {
		f.Add([]byte(b))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if roleOf(b) != 0 && isHTTP2(b) && len(b) <= frameHeader {
			t.Errorf("%q shows a role without a field", b)
		}
	})
}
