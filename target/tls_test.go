package target

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"netmirror/target/targettest"
)

// listen serves TLS on the loopback address until the test ends, and has the states
// and errors of handshakes.
func listen(t *testing.T, c *tls.Config) (addr string, results <-chan result) {
	t.Helper()
	all := make(chan result, 100)
	addr = targettest.Listen(t, func(raw net.Conn) {
		s := tls.Server(raw, c)
		err := s.Handshake()
		all <- result{s.ConnectionState(), err}
		_, _ = io.Copy(io.Discard, s)
		s.Close()
	})
	return addr, all
}

type result struct {
	tls.ConnectionState
	err error
}

func try(t *testing.T, text string, o Options) error {
	t.Helper()
	target, err := New(text, o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	_, err = target.Try(ctx)
	return err
}

// A certificate without its key is missing a flag.
func TestCertificateWithoutKey(t *testing.T) {
	cert, key := targettest.NewAuthority(t).Files(t, "netmirror.test")
	want := "give the file of the key with --tls-key"
	if _, err := New("tls://a:443", Options{TLS: TLSOptions{Cert: cert}}); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %q", err, want)
	}
	if _, err := New("tls://a:443", Options{TLS: TLSOptions{Cert: cert, Key: key}}); err != nil {
		t.Errorf("with the key: %v", err)
	}
}

func TestTLSTargets(t *testing.T) {
	ca, other := targettest.NewAuthority(t), targettest.NewAuthority(t)
	addr, results := listen(t, &tls.Config{Certificates: []tls.Certificate{ca.Issue(t, "127.0.0.1"), ca.Issue(t, "shadow.test")}})
	for _, tt := range []struct {
		name string
		o    TLSOptions
		sni  string
		says string // of the error
	}{
		{"certificate for the address", TLSOptions{CA: ca.File(t)}, "", ""},
		{"certificate for another name, sent as SNI", TLSOptions{CA: ca.File(t), Name: "shadow.test"}, "shadow.test", ""},
		{"certificate for none of the names", TLSOptions{CA: ca.File(t), Name: "other.test"}, "", "TLS handshake: tls: failed to verify certificate"},
		{"of an unknown CA", TLSOptions{CA: other.File(t)}, "", "TLS handshake: tls: failed to verify certificate"},
		{"of none of the system's CAs", TLSOptions{}, "", "TLS handshake: tls: failed to verify certificate"},
		{"unchecked", TLSOptions{Insecure: true, Name: "other.test"}, "other.test", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := try(t, "tls://"+addr, Options{TLS: tt.o})
			got := <-results
			switch {
			case tt.says != "":
				if err == nil || !strings.Contains(err.Error(), tt.says) {
					t.Errorf("got %v, want an error that says %q", err, tt.says)
				}
			case err != nil || got.err != nil:
				t.Errorf("got %v, the server %v", err, got.err)
			case got.ServerName != tt.sni:
				t.Errorf("the server was asked for %q, want %q", got.ServerName, tt.sni)
			}
		})
	}
}

func TestClientCertificates(t *testing.T) {
	ca := targettest.NewAuthority(t)
	addr, results := listen(t, &tls.Config{
		Certificates: []tls.Certificate{ca.Issue(t, "127.0.0.1")},
		ClientAuth:   tls.RequireAndVerifyClientCert, ClientCAs: ca.Pool(),
	})
	cert, key := ca.Files(t, "netmirror.test")
	both := filepath.Join(t.TempDir(), "both.pem")
	a, _ := os.ReadFile(cert)
	b, _ := os.ReadFile(key)
	if err := os.WriteFile(both, append(a, b...), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, o := range map[string]TLSOptions{
		"two files": {CA: ca.File(t), Cert: cert, Key: key},
		"one file":  {CA: ca.File(t), Cert: both},
	} {
		err := try(t, "tls://"+addr, Options{TLS: o})
		got := <-results
		if err != nil || got.err != nil || len(got.PeerCertificates) == 0 || got.PeerCertificates[0].DNSNames[0] != "netmirror.test" {
			t.Errorf("%s: %v, the server got %v, %v", name, err, got.PeerCertificates, got.err)
		}
	}
	err := try(t, "tls://"+addr, Options{TLS: TLSOptions{CA: ca.File(t)}})
	if got := <-results; got.err == nil || err == nil || !strings.Contains(Remedy(err), "--tls-cert") {
		t.Errorf("none: %v, the server %v", err, got.err)
	}
	cert, key = targettest.NewAuthority(t).Files(t, "stranger.test")
	err = try(t, "tls://"+addr, Options{TLS: TLSOptions{CA: ca.File(t), Cert: cert, Key: key}})
	if got := <-results; got.err == nil || err == nil || !strings.Contains(err.Error(), "remote error") {
		t.Errorf("of an unknown CA: %v, the server %v", err, got.err)
	}
}

func TestTargetThatSpeaksNoTLS(t *testing.T) {
	addr := targettest.Listen(t, func(c net.Conn) {
		_, _ = c.Write([]byte("220 ready\r\n"))
		_, _ = io.Copy(io.Discard, c)
	})
	err := try(t, "tls://"+addr, Options{TLS: TLSOptions{Insecure: true}})
	if err == nil || !strings.Contains(err.Error(), "does not speak TLS") {
		t.Errorf("got %v", err)
	}
}

func TestTLSFilesThatAreWrong(t *testing.T) {
	ca := targettest.NewAuthority(t)
	cert, key := ca.Files(t, "netmirror.test")
	_, otherKey := ca.Files(t, "other.test")
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		o    TLSOptions
		says []string
	}{
		{TLSOptions{CA: "/nowhere/ca.pem"}, []string{"CA file: /nowhere/ca.pem: no such file or directory; correct the path"}},
		{TLSOptions{CA: empty}, []string{"CA file", empty, "no certificate in it"}},
		{TLSOptions{CA: key}, []string{"CA file", key, "no certificate in it"}},
		{TLSOptions{CA: "/dev/zero"}, []string{"/dev/zero is not an ordinary file; name the file with certificates"}},
		{TLSOptions{CA: cert, Insecure: true}, []string{"leave one of them out"}},
		{TLSOptions{Cert: cert}, []string{"client certificate", cert, "rather than a key"}},
		{TLSOptions{Cert: cert, Key: otherKey}, []string{cert, otherKey, "does not match"}},
		{TLSOptions{Cert: empty, Key: key}, []string{"client certificate", empty, "PEM"}},
		{TLSOptions{Key: key}, []string{key, "certificate beside it"}},
	} {
		_, err := New("tls://shadow:443", Options{TLS: tt.o})
		if err == nil {
			t.Errorf("%+v is taken", tt.o)
			continue
		}
		for _, says := range append(tt.says, "tls://shadow:443") {
			if !strings.Contains(err.Error(), says) {
				t.Errorf("%+v: got %v, want an error that says %q", tt.o, err, says)
			}
		}
	}
	if _, err := New("shadow:80", Options{TLS: TLSOptions{CA: "/nowhere"}}); err != nil {
		t.Errorf("a target without TLS: %v", err)
	}
}

// OpenSSL takes a connection that begins as go-proxyproto and crypto/tls write it.
func TestOpenSSL(t *testing.T) {
	program, err := exec.LookPath("openssl")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip("needs openssl (apt install openssl)")
	}
	ca := targettest.NewAuthority(t)
	cert, key := ca.Files(t, "127.0.0.1")
	mine, myKey := ca.Files(t, "netmirror.test")
	var log bytes.Buffer
	cmd := exec.Command(program, "s_server", "-accept", "127.0.0.1:0", "-naccept", "1", "-cert", cert, "-key", key,
		"-CAfile", ca.File(t), "-Verify", "1", "-verify_return_error")
	stdout, err := cmd.StdoutPipe()
	cmd.Stderr = &log
	if stdin, err := cmd.StdinPipe(); err != nil { // it ends at the end of that
		t.Fatal(err)
	} else {
		defer stdin.Close()
	}
	if err := errors.Join(err, cmd.Start()); err != nil {
		t.Fatal(err)
	}
	addr := make(chan string, 1)
	all := make(chan string, 1)
	go func() { all <- follow(stdout, addr) }()
	if err := try(t, "tls://"+<-addr, Options{TLS: TLSOptions{CA: ca.File(t), Cert: mine, Key: myKey}}); err != nil {
		t.Error(err)
	}
	_ = cmd.Process.Signal(syscall.SIGTERM)
	if text := <-all; !strings.Contains(text, "netmirror.test") {
		t.Errorf("it logged no client's certificate:\n%s\n%s", text, &log)
	}
	_ = cmd.Wait()
}

// follow returns all of r, and sends the address of the line "ACCEPT 127.0.0.1:PORT".
func follow(r io.Reader, addr chan<- string) string {
	var all strings.Builder
	buf := make([]byte, 4096)
	for {
		n, err := r.Read(buf)
		all.Write(buf[:n])
		if _, rest, ok := strings.Cut(all.String(), "ACCEPT "); ok && addr != nil {
			if line, _, ok := strings.Cut(rest, "\n"); ok {
				addr <- strings.TrimSpace(line)
				addr = nil
			}
		}
		if err != nil {
			if addr != nil {
				addr <- "127.0.0.1:1"
			}
			return all.String()
		}
	}
}
