package target

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"netmirror/target/targettest"
)

// The remedy names the flag that mends it.
func TestRemedy(t *testing.T) {
	ca := targettest.NewAuthority(t)
	addr, _ := listen(t, &tls.Config{Certificates: []tls.Certificate{ca.Issue(t, "127.0.0.1")}})
	closing := targettest.Listen(t, func(c net.Conn) {
		_, _ = io.ReadAtLeast(c, make([]byte, 1<<10), 6)
		c.(*net.TCPConn).CloseWrite()
		_, _ = io.Copy(io.Discard, c)
	})
	for _, tt := range []struct {
		to   string
		o    Options
		says string
	}{
		{"tls://" + addr, Options{}, "--tls-ca"},
		{"tls://" + addr, Options{TLS: TLSOptions{CA: ca.File(t), Name: "other.test"}}, "--tls-name"},
		{"tls://" + closing, Options{}, "why the target ends TLS handshakes"},
		{addr, Options{Source: netip.MustParseAddr("192.0.2.77")}, "--source-address"},
		{"unix://" + filepath.Join(t.TempDir(), "none"), Options{}, "start the shadow service, which makes the socket"},
		{"unix:@netmirror-none", Options{}, "or correct the socket in --to"},
		{"127.0.0.1:1", Options{}, "start the shadow service"},
	} {
		err := try(t, tt.to, tt.o)
		if err == nil || !strings.Contains(Remedy(err), tt.says) {
			t.Errorf("%s: %v, and to do is %q, without %q", tt.to, err, Remedy(err), tt.says)
		}
	}
	for says, err := range map[string]error{
		"renew the target's certificate":                                          TLSError(&tls.CertificateVerificationError{Err: x509.CertificateInvalidError{Reason: x509.Expired}}),
		"why the shadow service does not accept connections":                      &net.OpError{Op: "dial", Net: "unix", Err: unix.EAGAIN},
		"write permission on the socket":                                          &net.OpError{Op: "dial", Net: "unix", Err: unix.EACCES},
		"write --to as HOST:PORT where the target does not speak TLS, or see why": TLSError(context.DeadlineExceeded),
		"correct --to": errors.New("something else"),
	} {
		if got := Remedy(err); !strings.Contains(got, says) {
			t.Errorf("%v: %q, without %q", err, got, says)
		}
	}
}
