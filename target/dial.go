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
// address that answered. The PROXY protocol header, if there is one, names no client
// (LOCAL). A TLS target must have a valid certificate. If it asks for one of the client,
// Try waits up to a second for a refusal, which comes only after the handshake (RFC 8446,
// section 4.4.2.4).
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
	return nil // other errors do not matter: it has accepted the connection
}

// Handshake makes a TLS handshake on c, a connection to a TLS target. If pending is true,
// the target has asked for a certificate and has not judged it yet: in TLS 1.3 it may
// still refuse the connection, with an alert as its first record (RFC 8446, section
// 4.4.2.4). Handshake does not close c. Its errors come from TLSError.
func (t *Target) Handshake(ctx context.Context, c net.Conn) (conn *tls.Conn, pending bool, err error) {
	config := t.TLS.Clone()
	config.GetClientCertificate = func(r *tls.CertificateRequestInfo) (*tls.Certificate, error) {
		pending = r.Version >= tls.VersionTLS13
		for i := range config.Certificates {
			if r.SupportsCertificate(&config.Certificates[i]) == nil {
				return &config.Certificates[i], nil
			}
		}
		return new(tls.Certificate), nil // no certificate
	}
	conn = tls.Client(c, config)
	if err := conn.HandshakeContext(ctx); err != nil {
		return nil, false, TLSError(err)
	}
	return conn, pending, nil
}

// IsAlert reports whether err is a TLS alert that the target sent.
func IsAlert(err error) bool {
	for op := (*net.OpError)(nil); errors.As(err, &op); err = op.Err { // dialing wraps it in another OpError
		if op.Op == "remote error" {
			return true
		}
	}
	return false
}

// ErrNoTLS is the error of a handshake that the target does not answer though it took the
// connection, as a plain service does that waits for more of a request.
var ErrNoTLS = errors.New("the target took the connection and does not answer TLS")

// TLSError wraps the error of a handshake in one that says so.
func TLSError(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("TLS handshake: %w: %w", ErrNoTLS, err)
	}
	var record tls.RecordHeaderError
	if errors.As(err, &record) {
		return fmt.Errorf("TLS handshake: the target does not speak TLS on this port: %w", err)
	}
	return fmt.Errorf("TLS handshake: %w", err)
}

func (t *Target) dial(ctx context.Context) (net.Conn, error) {
	if t.Network == Unix {
		return t.dialUnix(ctx)
	}
	var d net.Dialer
	network := "tcp"
	if t.Source.IsValid() {
		network = map[bool]string{true: "tcp4", false: "tcp6"}[t.Source.Is4()]
		d.LocalAddr = &net.TCPAddr{IP: t.Source.AsSlice(), Zone: t.Source.Zone()}
	}
	d.ControlContext = func(_ context.Context, _, _ string, c syscall.RawConn) (err error) {
		if cerr := c.Control(func(fd uintptr) { err = t.setSocketOptions(int(fd)) }); cerr != nil {
			return cerr
		}
		return err
	}
	return d.DialContext(ctx, network, t.HostPort())
}

// dialUnix waits while the socket's listen queue is full: connect(2) does not, on a socket
// that does not block.
func (t *Target) dialUnix(ctx context.Context) (net.Conn, error) {
	const most = 50 * time.Millisecond
	var d net.Dialer
	for pause := time.Millisecond; ; pause = min(2*pause, most) {
		c, err := d.DialContext(ctx, "unix", t.Path)
		if !errors.Is(err, unix.EAGAIN) {
			return c, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(pause):
		}
	}
}

// setSocketOptions sets the options that must be set before a socket is bound.
func (t *Target) setSocketOptions(fd int) error {
	if t.Mark != 0 {
		if err := setMark(fd, t.Mark); err != nil {
			return fmt.Errorf("mark %d: %w", t.Mark, err)
		}
	}
	if t.Source.IsValid() {
		// Without this option, all targets together have no more connections from this
		// address than it has ports (ip(7)). A failure is no reason not to connect.
		_ = unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
	}
	return nil
}
