package target

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Try connects to the target as a stream would, ends the connection, and returns the
// address that answered. The header that it sends stands for no client's connection
// (LOCAL). A TLS target has to prove who it is, and is given a moment to refuse the
// client's certificate, or that there is none, where it has asked for one: it tells only
// after the handshake (RFC 8446, section 4.4.2.4).
func (t *Target) Try(ctx context.Context) (net.Addr, error) {
	c, err := t.dial(ctx)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	at := c.RemoteAddr()
	if head := t.appendLocal(nil); len(head) > 0 {
		if _, err := c.Write(head); err != nil {
			return at, err
		}
	}
	if t.TLS != nil {
		return at, t.tryTLS(ctx, c)
	}
	return at, nil
}

func (t *Target) tryTLS(ctx context.Context, c net.Conn) error {
	s, pending, err := t.Handshake(ctx, c)
	if err != nil {
		return err
	}
	if !pending {
		return s.CloseWrite()
	}
	err = errors.Join(s.CloseWrite(), s.SetReadDeadline(time.Now().Add(time.Second)))
	if err == nil {
		_, err = io.Copy(io.Discard, io.LimitReader(s, 1<<20))
	}
	if IsAlert(err) {
		return TLSError(err)
	}
	return nil // whatever else it does: it has taken the connection
}

// Handshake makes c, a connection to a TLS target, one of TLS. With pending, the target
// has asked for a certificate and has not said what it thinks of the answer: in TLS 1.3
// it may still refuse the connection, with an alert in place of its first byte (RFC 8446,
// section 4.4.2.4). It does not close c. The error is one of TLSError.
func (t *Target) Handshake(ctx context.Context, c net.Conn) (conn *tls.Conn, pending bool, err error) {
	config := t.TLS.Clone()
	config.GetClientCertificate = func(r *tls.CertificateRequestInfo) (*tls.Certificate, error) {
		pending = r.Version >= tls.VersionTLS13
		for i := range config.Certificates {
			if r.SupportsCertificate(&config.Certificates[i]) == nil {
				return &config.Certificates[i], nil
			}
		}
		return new(tls.Certificate), nil // none
	}
	conn = tls.Client(c, config)
	if err := conn.HandshakeContext(ctx); err != nil {
		return nil, false, TLSError(err)
	}
	return conn, pending, nil
}

// IsAlert reports whether err is a TLS alert of the target.
func IsAlert(err error) bool {
	for op := (*net.OpError)(nil); errors.As(err, &op); err = op.Err { // that of connecting is around it
		if op.Op == "remote error" {
			return true
		}
	}
	return false
}

// TLSError is what a handshake failed with, in words that name TLS.
func TLSError(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("TLS handshake: no answer in time: %w", err)
	}
	var record tls.RecordHeaderError
	if errors.As(err, &record) {
		return fmt.Errorf("TLS handshake: the target does not speak TLS on this port: %w", err)
	}
	return fmt.Errorf("TLS handshake: %w", err)
}

func (t *Target) dial(ctx context.Context) (net.Conn, error) {
	var d net.Dialer
	if t.Network == Unix {
		return d.DialContext(ctx, "unix", t.Path)
	}
	network := "tcp"
	if t.Source.IsValid() {
		network = map[bool]string{true: "tcp4", false: "tcp6"}[t.Source.Is4()]
		d.LocalAddr = &net.TCPAddr{IP: t.Source.AsSlice(), Zone: t.Source.Zone()}
	}
	d.ControlContext = func(_ context.Context, _, _ string, c syscall.RawConn) (err error) {
		if cerr := c.Control(func(fd uintptr) { err = t.prepare(int(fd)) }); cerr != nil {
			return cerr
		}
		return err
	}
	return d.DialContext(ctx, network, t.HostPort())
}

// prepare sets what has to be set before a socket is bound.
func (t *Target) prepare(fd int) error {
	if t.Mark != 0 {
		if err := setMark(fd, t.Mark); err != nil {
			return fmt.Errorf("mark %d: %w", t.Mark, err)
		}
	}
	if t.Source.IsValid() {
		// Else the address alone would have no more connections than it has ports
		// (ip(7)). Where it cannot be set, fewer are possible.
		_ = unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
	}
	return nil
}
