package target

import (
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for _, tt := range []struct {
		text string
		want Address
		is   string // as it is written in short
	}{
		{"staging.example:80", Address{Host: "staging.example", Port: 80}, "staging.example:80"},
		{" staging.example:80 ", Address{Host: "staging.example", Port: 80}, "staging.example:80"},
		{"tcp://staging.example:80", Address{Host: "staging.example", Port: 80}, "staging.example:80"},
		{"[2001:db8::1]:80", Address{Host: "2001:db8::1", Port: 80}, "[2001:db8::1]:80"},
		{"[fe80::1%eth0]:80", Address{Host: "fe80::1%eth0", Port: 80}, "[fe80::1%eth0]:80"},
		{"tls://staging.example:443", Address{Network: TLS, Host: "staging.example", Port: 443}, "tls://staging.example:443"},
		{"TLS://[2001:db8::1]:443", Address{Network: TLS, Host: "2001:db8::1", Port: 443}, "tls://[2001:db8::1]:443"},
		{"unix:///run/shadow.sock", Address{Network: Unix, Path: "/run/shadow.sock"}, "unix:///run/shadow.sock"},
		{"unix:/run/a b?c#d", Address{Network: Unix, Path: "/run/a b?c#d"}, "unix:///run/a b?c#d"},
		{"unix:@shadow", Address{Network: Unix, Path: "@shadow"}, "unix:@shadow"},
		{"unix:///" + strings.Repeat("p", 106), Address{Network: Unix, Path: "/" + strings.Repeat("p", 106)}, "unix:///" + strings.Repeat("p", 106)}, // 107: unix(7)
	} {
		a, err := Parse(tt.text)
		if err != nil || a != tt.want || a.String() != tt.is {
			t.Errorf("%q: got %+v, %q, %v; want %+v, %q", tt.text, a, a, err, tt.want, tt.is)
		}
	}
}

func TestParseSaysWhatToWrite(t *testing.T) {
	for _, tt := range []struct{ text, says string }{
		{"", "the port is missing; write HOST:PORT"},
		{"shadow", "the port is missing; write HOST:PORT"},
		{":80", "the host is missing; write HOST:PORT, as in 127.0.0.1:80"},
		{"tls://:443", "the host is missing"},
		{"shadow:0", "is not a number from 1 to 65535"},
		{"shadow:http", "is not a number from 1 to 65535"},
		{"shadow:65536", "is not a number from 1 to 65535"},
		{"2001:db8::1", "as in [2001:db8::1]:80"},
		{"tls://2001:db8::1", "as in [2001:db8::1]:80"},
		{"::1:8080", "as in [::1]:8080"},
		{"a:b:80", "write HOST:PORT"},
		{"a:80,b:80", "give each target by itself: with a --to or a --forward of its own"},
		{"a,b:80", "give each target by itself"},
		{"a:80 b:80", "give each target by itself"},
		{"tls://a:80,tls://b:80", "give each target by itself"},
		{"https://shop.example", "HTTP is forwarded as bytes, so a target is not a URL of HTTP; write tls://shop.example:443"},
		{"https://shop.example:8443/cart?x=1", "write tls://shop.example:8443, or"},
		{"http://shop.example/", "write shop.example:80"},
		{"http://user:secret@[2001:db8::1]/", "write [2001:db8::1]:80"},
		{"ssl://shop.example:993", "write tls://shop.example:993"},
		{"ftp://shop.example", "ftp:// is not supported; write HOST:PORT, tls://HOST:PORT or unix:///PATH"},
		{"tls://shadow:443/path", `leave out "/path"`},
		{"tcp://shadow:80?timeout=1s", `leave out "?timeout=1s"`},
		{"tls://me@shadow:443", "leave out the user"},
		{"/run/shadow.sock", "write unix:///run/shadow.sock"},
		{"unix:", "the path is missing; write unix:///PATH"},
		{"unix://", "the path is missing"},
		{"unix:@", "the path is missing"},
		{"unix:///", "the path is missing"},
		{"unix://run/shadow.sock", "the path must begin with /"},
		{"unix:///" + strings.Repeat("p", 107), "the path has 108 bytes; a unix socket's has 107 at most"},
		{"unix:///a\x00b", "zero byte"},
	} {
		if _, err := Parse(tt.text); err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%q: got %v, want an error that says %q", tt.text, err, tt.says)
		}
	}
}

// What is taken is written so that it is taken again.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"shadow:80", "tls://[::1]:443", "unix:@x", "unix:///x", "https://a@b/c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		a, err := Parse(text)
		if err != nil {
			return
		}
		if b, err := Parse(a.String()); err != nil || a != b {
			t.Errorf("%q is %+v, and as %q %+v, %v", text, a, a, b, err)
		}
	})
}
