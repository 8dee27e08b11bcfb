package proxyhdr

import (
	"bufio"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/pires/go-proxyproto"
)

// v2 is the head of version 2 and what follows it.
func v2(command, family byte, length int, rest string) string {
	return signature + string([]byte{command, family, byte(length >> 8), byte(length)}) + rest
}

func TestLength(t *testing.T) {
	const (
		v1      = "PROXY TCP4 192.0.2.1 192.0.2.2 50000 80\r\n"
		get     = "GET / HTTP/1.1\r\n\r\n"
		longest = "PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n" // section 2.1
	)
	twelve := strings.Repeat("\x01", 12)
	for _, tt := range []struct {
		name  string
		b     string
		n     int
		state State
	}{
		{"version 1", v1, len(v1), Header},
		{"version 1 and a request", v1 + get, len(v1), Header},
		{"version 1 over IPv6", "PROXY TCP6 2001:db8::1 2001:db8::2 1 65535\r\n", 44, Header},
		{"version 1 of an unknown protocol", "PROXY UNKNOWN\r\n" + get, 15, Header},
		{"the longest line", longest, 107, Header},
		{"IPv4 in a line of IPv6, as nginx sends it", "PROXY TCP6 192.0.2.1 2001:db8::2 1 2\r\n", 38, Header},
		{"version 2", v2(proxy, 0x11, 12, twelve) + get, 28, Header},
		{"version 2 of a connection of the proxy's own", v2(local, 0, 0, get), 16, Header},
		{"the same with addresses that are too short", v2(local, 0x11, 3, "abc"), 19, Header},
		{"version 2 with an unknown family", v2(proxy, 0, 0, get), 16, Header},
		{"version 2 with more behind the addresses", v2(proxy, 0x21, 300, ""), 316, Header},
		{"version 2 of the greatest length", v2(proxy, 0x31, 65535, ""), 65551, Header},

		{"nothing", "", 0, Possible},
		{"half a word", "PRO", 0, Possible},
		{"half a line", "PROXY TCP4 192.0.2.1 ", 0, Possible},
		{"a line without its LF", "PROXY UNKNOWN\r", 0, Possible},
		{"half a signature", "\r\n\r\n\x00", 0, Possible},
		{"half a head", v2(proxy, 0x11, 12, "")[:15], 0, Possible},

		{"a request", get, 0, None},
		{"a request behind empty lines", "\r\n\r\n" + get, 0, None},
		{"a request with that method", "PROXY / HTTP/1.1\r\n", 0, None},
		{"half a request with that method", "PROXY /", 0, None},
		{"LF alone", "PROXY UNKNOWN\n", 0, None},
		{"a line that is too long", "PROXY UNKNOWN " + strings.Repeat("a", 92) + "\r\n", 0, None},
		{"a line that is too long, and goes on", "PROXY UNKNOWN " + strings.Repeat("a", 93), 0, None},
		{"IPv6 in a line of IPv4", "PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n", 0, None},
		{"an address with a zone", "PROXY TCP6 fe80::1%eth0 2001:db8::2 1 2\r\n", 0, None},
		{"a port above 65535", "PROXY TCP4 192.0.2.1 192.0.2.2 65536 80\r\n", 0, None},
		{"a port with a zero in front", "PROXY TCP4 192.0.2.1 192.0.2.2 080 80\r\n", 0, None},
		{"no port", "PROXY TCP4 192.0.2.1 192.0.2.2 80\r\n", 0, None},
		{"an empty port", "PROXY TCP4 192.0.2.1 192.0.2.2  80\r\n", 0, None},
		{"something behind the ports", "PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n", 0, None},
		{"version 3", v2(0x31, 0x11, 12, twelve), 0, None},
		{"another command", v2(0x22, 0x11, 12, twelve), 0, None},
		{"another family", v2(proxy, 0x41, 12, twelve), 0, None},
		{"another transport", v2(proxy, 0x13, 12, twelve), 0, None},
		{"addresses that are too short", v2(proxy, 0x11, 11, twelve), 0, None},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if n, state := Length([]byte(tt.b)); n != tt.n || state != tt.state {
				t.Errorf("got %d, %d, want %d, %d", n, state, tt.n, tt.state)
			}
		})
	}
}

// What go-proxyproto writes is recognized, with its length.
func TestWritten(t *testing.T) {
	for _, addr := range [][2]string{{"192.0.2.1:50000", "192.0.2.2:80"}, {"[2001:db8::1]:50000", "[2001:db8::2]:80"}} {
		for version := byte(1); version <= 2; version++ {
			src, dst := net.TCPAddrFromAddrPort(netip.MustParseAddrPort(addr[0])), net.TCPAddrFromAddrPort(netip.MustParseAddrPort(addr[1]))
			b, err := proxyproto.HeaderProxyFromAddrs(version, src, dst).Format()
			if err != nil {
				t.Fatal(err)
			}
			if n, state := Length(append(b, "GET / HTTP/1.1\r\n"...)); n != len(b) || state != Header {
				t.Errorf("%q: got %d, %d, want %d, %d", b, n, state, len(b), Header)
			}
		}
	}
}

// What go-proxyproto reads is a header, of the length that it read, and what it
// does not read is none. No part of a header from the start on speaks against it.
func FuzzLength(f *testing.F) {
	f.Add([]byte("PROXY TCP4 192.0.2.1 192.0.2.2 50000 80\r\nGET"))
	f.Add([]byte("PROXY TCP6 2001:db8::1 192.0.2.2 50000 80\r\n"))
	f.Add([]byte("PROXY UNKNOWN x\r\n"))
	f.Add([]byte(v2(proxy, 0x11, 12, strings.Repeat("\x01", 12)) + "GET"))
	f.Add([]byte(v2(local, 0x22, 2, "ab")))
	f.Add([]byte(v2(proxy, 0x32, 217, strings.Repeat("\x01", 217))))
	proxyproto.MaxV2HeaderSize = 65535
	proxyproto.V1AcceptIPv4InTCP6 = true
	f.Fuzz(func(t *testing.T, b []byte) {
		n, state := Length(b)
		source := strings.NewReader(string(b))
		r := bufio.NewReaderSize(source, 1<<17)
		_, err := proxyproto.Read(r)
		read := len(b) - source.Len() - r.Buffered()
		unspecified := len(b) > 13 && b[12] == proxy && b[13] == 0 // which may be taken, or not
		switch {
		case err == nil && (state != Header || n != read):
			t.Errorf("%q: got %d, %d, go-proxyproto read %d bytes", b, n, state, read)
		case err != nil && state == Header && n <= len(b) && !unspecified:
			t.Errorf("%q is a header, go-proxyproto: %v", b, err)
		}
		for i := range b {
			if _, part := Length(b[:i]); part == None && state != None {
				t.Errorf("%q speaks against a header, %q is or may be one", b[:i], b)
			}
		}
	})
}
