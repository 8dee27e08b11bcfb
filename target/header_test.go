package target

import (
	"net"
	"net/netip"
	"testing"
)

// signature begins version 2 (doc/proxy-protocol.txt, section 2.2).
const signature = "\r\n\r\n\x00\r\nQUIT\n"

func tcp(text string) net.Addr {
	return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(text))
}

func TestHeader(t *testing.T) {
	const (
		client6 = "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01"
		server6 = "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02"
	)
	for _, tt := range []struct {
		name           string
		header         Header
		client, server string
		want           string // after doc/proxy-protocol.txt
	}{
		{"none", NoHeader, "192.168.0.1:56324", "192.168.0.11:443", ""},
		{"the example of section 2.1", HeaderV1, "192.168.0.1:56324", "192.168.0.11:443",
			"PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n"},
		{"the longest line of IPv4", HeaderV1, "255.255.255.255:65535", "255.255.255.255:65535",
			"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n"},
		{"a line of IPv6", HeaderV1, "[2001:db8::1]:50000", "[2001:db8::2]:80",
			"PROXY TCP6 2001:db8::1 2001:db8::2 50000 80\r\n"},
		{"version 2 over IPv4", HeaderV2, "192.168.0.1:56324", "192.168.0.11:443",
			signature + "\x21\x11\x00\x0c" + "\xc0\xa8\x00\x01" + "\xc0\xa8\x00\x0b" + "\xdc\x04" + "\x01\xbb"},
		{"version 2 over IPv6", HeaderV2, "[2001:db8::1]:50000", "[2001:db8::2]:80",
			signature + "\x21\x21\x00\x24" + client6 + server6 + "\xc3\x50" + "\x00\x50"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			target, err := New("shadow:80", Options{Header: tt.header})
			if err != nil {
				t.Fatal(err)
			}
			if got := string(target.AppendHeader([]byte("<"), tcp(tt.client), tcp(tt.server))); got != "<"+tt.want {
				t.Errorf("got %q, want %q", got, "<"+tt.want)
			}
		})
	}
}

// Section 2.1: "UNKNOWN"; section 2.2: "LOCAL", with an unspecified family.
func TestHeaderForNobody(t *testing.T) {
	for h, want := range map[Header]string{NoHeader: "", HeaderV1: "PROXY UNKNOWN\r\n", HeaderV2: signature + "\x20\x00\x00\x00"} {
		target, err := New("shadow:80", Options{Header: h})
		if err != nil {
			t.Fatal(err)
		}
		if got := string(target.appendLocal(nil)); got != want {
			t.Errorf("version %d: got %q, want %q", h, got, want)
		}
	}
}

func TestParseHeader(t *testing.T) {
	for text, want := range map[string]Header{"off": NoHeader, "v1": HeaderV1, "v2": HeaderV2} {
		if got, err := ParseHeader(text); err != nil || got != want {
			t.Errorf("%q: got %d, %v", text, got, err)
		}
	}
	if _, err := ParseHeader("v3"); err == nil {
		t.Error("there is no v3")
	}
}
