package settings

import (
	"net/netip"
	"strings"
	"testing"

	"netmirror/target"
	"netmirror/target/targettest"
)

func TestTargetOptions(t *testing.T) {
	ca := targettest.NewAuthority(t)
	cert, key := ca.Files(t, "netmirror.test")
	o, err := parse(t, nil, "--iface=lo", "--tls-ca", ca.File(t), "--proxy-protocol=v2", "--mark=7", "--config", config(t, `
[Service plain]
vni = 1
port = 80
to = a:80
to = unix:@a
proxy-protocol = off
source-address = 192.0.2.1
[Service secure]
vni = 1
port = 443
to = tls://b:443
mark = 0x2a
tls-name = c
tls-cert = `+cert+`
tls-key = `+key+`
`))
	if err != nil {
		t.Fatal(err)
	}
	plain, secure := o.Services[0].Settings.TargetOptions(), o.Services[2].Settings.TargetOptions()
	if want := (target.Options{Source: netip.MustParseAddr("192.0.2.1"), Mark: 7, TLS: target.TLSOptions{CA: ca.File(t)}}); plain != want {
		t.Errorf("plain: %+v, want %+v", plain, want)
	}
	want := target.Options{Header: target.HeaderV2, Mark: 42, TLS: target.TLSOptions{CA: ca.File(t), Name: "c", Cert: cert, Key: key}}
	if secure != want {
		t.Errorf("secure: %+v, want %+v", secure, want)
	}
}

func TestWrongTargetOptions(t *testing.T) {
	for _, tc := range []struct {
		args []string
		want string
	}{
		{[]string{"--to=a:80", "--proxy-protocol=v3"}, "--proxy-protocol"},
		{[]string{"--to=a:80", "--source-address=eth0"}, `"eth0" is not an IP address`},
		{[]string{"--to=[::1]:80", "--source-address=192.0.2.1"}, "one is IPv4, the other IPv6"},
		{[]string{"--to=a:80", "--mark=4294967296"}, `"4294967296" is out of range; need 0 to 4294967295`},
		{[]string{"--to=a:80", "--mark=-1"}, `"-1" is out of range; need 0 to 4294967295`},
		{[]string{"--to=a:80", "--mark=-1"}, "--mark"},
		{[]string{"--to=tls://a:443", "--tls-ca=/nowhere/ca.pem"}, "CA file: /nowhere/ca.pem: no such file or directory; correct the path"},
		{[]string{"--to=a:80", "--to=unix:@a", "--tls-insecure"}, "no target uses TLS; write the target as tls://HOST:PORT"},
		{[]string{"--to=tls://a:443", "--tls-key=/nowhere/key.pem"}, "needs the client's certificate"},
		{[]string{"--to=unix://run/a"}, "the path must begin with /"},
		{[]string{"--to=ftp://a"}, "write HOST:PORT, tls://HOST:PORT or unix:///PATH"},
	} {
		_, err := parse(t, nil, append([]string{"--iface=lo", "--vni=1", "--port=80"}, tc.args...)...)
		if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v, want one line with %q", tc.args, err, tc.want)
		}
	}
	for text, want := range map[string]string{
		"tls-insecure = true\n":        "[Service a]: there are TLS options",
		"mark = x\n":                   ":5: ",
		"proxy-protocol = v3\n":        ":5: ",
		"source-address = x\n":         `:5: "x" is not an IP address`,
		"tls-insecure =\n":             ":5: no value; leave the line out",
		"tls-ca = x\ntls-ca = y\n":     ":6: tls-ca is in line 5 too",
		"to = tls://a:1\ntls-ca = x\n": "CA file: x: no such file",
	} {
		_, err := parse(t, nil, "--iface=lo", "--config", config(t, "[Service a]\nvni = 42\nport = 80\nto = a:80\n"+text))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v, want one line with %q", text, err, want)
		}
	}
}
