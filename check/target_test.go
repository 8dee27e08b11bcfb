package check

import (
	"context"
	cryptotls "crypto/tls"
	"fmt"
	"io"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	asked "netmirror/service"
	"netmirror/target"
	"netmirror/target/targettest"
	"netmirror/wire"
)

func TestTargetThatAnswers(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	to := ln.Addr().String()
	for _, tt := range []struct {
		name   string
		choice *choice
		says   string
		faulty bool
	}{
		{"a shadow service", nil, "ok    target " + to + ": answers after ", false},
		{"production itself", &choice{service: service{servers: []netip.AddrPort{netip.MustParseAddrPort(to)}}},
			"FAULT target " + to + ": it is " + to + ", a server of the mirrored service", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out strings.Builder
			r := &report{out: &out}
			c := Config{Target: to}.withDefaults()
			r.target(c, dial(t.Context(), c), tt.choice)
			if !strings.HasPrefix(out.String(), tt.says) || (r.first != "") != tt.faulty {
				t.Errorf("it says %q, and first %q; want %q", out.String(), r.first, tt.says)
			}
		})
	}
}

func TestTargetThatDoesNotAnswer(t *testing.T) {
	timeout := &net.OpError{Op: "dial", Net: "tcp", Err: context.DeadlineExceeded}
	for _, tt := range []struct {
		name        string
		err         error
		says, first string
	}{
		{"refused", &net.OpError{Op: "dial", Err: unix.ECONNREFUSED}, "nothing listens there", "start the shadow service"},
		{"silent", timeout, "no answer within 3s", "let this host reach the target"},
		{"the kernel's patience", &net.OpError{Op: "dial", Err: unix.ETIMEDOUT}, "no answer within 3s", "let this host reach the target"},
		{"silent to TLS", target.TLSError(timeout.Err), "it took the connection, and did not answer TLS within 3s", "write --to as HOST:PORT"},
		{"no route", &net.OpError{Op: "dial", Err: unix.EHOSTUNREACH}, "no way there", "give this host a route"},
		{"no name", &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: "shadow", IsNotFound: true}}, "its name does not resolve", "correct the name"},
		{"a name server that is silent", &net.OpError{Op: "dial", Err: &net.DNSError{Err: "i/o timeout", Name: "shadow", IsTimeout: true}}, "its name does not resolve", "correct the name"},
		{"interrupted", fmt.Errorf("dial: %w", context.Canceled), "did not answer in the 1s", "let the check finish"},
		{"something else", unix.EACCES, "permission denied", "correct --to"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out strings.Builder
			r := &report{out: &out}
			result := make(chan answer, 1)
			result <- answer{took: time.Second, err: tt.err}
			r.target(Config{Target: "shadow:80"}.withDefaults(), result, nil)
			if got := out.String(); !strings.Contains(got, tt.says) || !strings.HasPrefix(got, "FAULT target shadow:80: ") {
				t.Errorf("it says %q, want %q", got, tt.says)
			}
			if !strings.HasPrefix(r.first, tt.first) {
				t.Errorf("the remedy is %q, want %q", r.first, tt.first)
			}
		})
	}
}

func TestCommand(t *testing.T) {
	c := Config{Interface: "eth 0", Mirror: wire.Mirror{Ports: []uint16{8472}}, VNIs: []uint32{7, 0}, Ports: asked.PortsOf(80), Target: "[fd00::1]:80", Program: "/opt/net mirror"}
	want := `'/opt/net mirror' check --iface 'eth 0' --vxlan-port 8472 --vni 7 --vni 0 --port 80 --to '[fd00::1]:80'`
	if got := c.command("check"); got != want {
		t.Errorf("command is %s, want %s", got, want)
	}
	if got, want := quote("it's"), `'it'\''s'`; got != want {
		t.Errorf("quoted: %s, want %s", got, want)
	}
}

// A writer that fails ends nothing, but is told of.
func TestReportThatCannotBeWritten(t *testing.T) {
	r := &report{out: broken{}}
	r.ok("a")
	r.note("b")
	if r.err != errBroken {
		t.Errorf("the error is %v, want %v", r.err, errBroken)
	}
}

type broken struct{}

var errBroken = fmt.Errorf("broken")

func (broken) Write([]byte) (int, error) { return 0, errBroken }

func TestTargetsOfOtherKinds(t *testing.T) {
	ca, other := targettest.NewAuthority(t), targettest.NewAuthority(t)
	secure, err := cryptotls.Listen("tcp", "127.0.0.1:0", &cryptotls.Config{Certificates: []cryptotls.Certificate{ca.Issue(t, "127.0.0.1")}})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "s")
	local, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	for _, ln := range []net.Listener{secure, local} {
		targettest.Serve(t, ln, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	}
	trusted := func(ca *targettest.Authority) target.Options {
		return target.Options{TLS: target.TLSOptions{CA: ca.File(t)}}
	}
	for _, tt := range []struct {
		to    string
		o     target.Options
		says  string
		first string // what there is to do
	}{
		{"unix://" + path, target.Options{}, "answers after ", ""},
		{"tls://" + secure.Addr().String(), trusted(ca), "answers after ", ""},
		{secure.Addr().String(), target.Options{Source: netip.MustParseAddr("192.0.2.77")}, "cannot assign requested address", "give an address that this host has with --source-address"},
		{"tls://" + secure.Addr().String(), trusted(other), "TLS handshake: ", "give the CA that has signed the target's certificate with --tls-ca"},
		{"unix://" + path + "x", target.Options{}, "no such file", "start the shadow service, which makes the socket"},
	} {
		var out strings.Builder
		r := &report{out: &out}
		c := Config{Target: tt.to, TargetOptions: tt.o}.withDefaults()
		r.target(c, dial(t.Context(), c), nil)
		if !strings.Contains(out.String(), "target "+tt.to+": ") || !strings.Contains(out.String(), tt.says) {
			t.Errorf("%s: it says %q, want %q", tt.to, out.String(), tt.says)
		}
		if !strings.HasPrefix(r.first, tt.first) || (tt.first == "") != (r.first == "") {
			t.Errorf("%s: the remedy is %q, want %q", tt.to, r.first, tt.first)
		}
	}
}

// A plain target that speaks TLS would refuse every stream: tls:// is what it needs.
func TestPlainTargetThatSpeaksTLS(t *testing.T) {
	ca := targettest.NewAuthority(t)
	secure, err := cryptotls.Listen("tcp", "127.0.0.1:0", &cryptotls.Config{Certificates: []cryptotls.Certificate{ca.Issue(t, "elsewhere.test")}})
	if err != nil {
		t.Fatal(err)
	}
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	for ln, answer := range map[net.Listener]string{secure: "", plain: "HTTP/1.1 400 Bad Request\r\n\r\n"} {
		defer ln.Close()
		go func() {
			for {
				c, err := ln.Accept()
				if err != nil {
					return
				}
				_, _ = c.Read(make([]byte, 1<<10))
				_, _ = io.WriteString(c, answer)
				c.Close()
			}
		}()
		if got := speaksTLS(t.Context(), ln.Addr().String(), target.Options{}); got != (ln == secure) {
			t.Errorf("%v speaks TLS: %v", ln.Addr(), got)
		}
	}
	encrypted := &choice{}
	encrypted.speaks[tls] = 1
	for _, tt := range []struct {
		choice *choice
		first  string
	}{{nil, "give the target as --to tls://shadow:443"}, {encrypted, ""}} {
		var out strings.Builder
		r := &report{out: &out}
		result := make(chan answer, 1)
		result <- answer{tls: true}
		r.target(Config{Target: "shadow:443"}.withDefaults(), result, tt.choice)
		if r.first != tt.first {
			t.Errorf("it says %q, and first %q, want %q", out.String(), r.first, tt.first)
		}
	}
}
