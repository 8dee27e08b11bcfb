package target

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// Remedy says what to do about a target that could not be reached. err is the error of
// the attempt.
func Remedy(err error) string {
	if says := remedyOfTLS(err); says != "" {
		return says
	}
	var dns *net.DNSError
	var timeout net.Error
	var op *net.OpError
	var call *os.SyscallError
	switch {
	case errors.As(err, &dns):
		return "correct the name in --to, or this host's name resolution (/etc/resolv.conf, /etc/hosts)"
	case errors.Is(err, unix.EADDRNOTAVAIL) && errors.As(err, &call) && call.Syscall == "bind":
		return "give an address that this host has with --source-address"
	case errors.Is(err, unix.ECONNREFUSED) && errors.As(err, &op) && op.Net == "unix":
		return "start the shadow service, or correct the socket in --to"
	case errors.Is(err, unix.ENOENT):
		return "start the shadow service, which makes the socket, or correct the path in --to"
	case errors.Is(err, unix.ECONNREFUSED):
		return "start the shadow service, or correct the port in --to"
	case errors.Is(err, unix.EAGAIN): // of a unix socket; it is a timeout too
		return "see why the shadow service does not accept connections: its socket's listen queue is full"
	case errors.As(err, &timeout) && timeout.Timeout():
		return "let this host reach the target: its address in --to, security groups and firewalls between"
	case errors.Is(err, unix.ENETUNREACH), errors.Is(err, unix.EHOSTUNREACH):
		return "give this host a route to the target, or correct the address in --to"
	case errors.Is(err, unix.EACCES) && errors.As(err, &op) && op.Net == "unix":
		return "give netmirror's user write permission on the socket, and access to its directory"
	}
	return "correct --to, or the shadow service"
}

// remedyOfTLS is Remedy for the errors of a TLS handshake; "" for others.
func remedyOfTLS(err error) string {
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "renew the target's certificate, or set the clock of this host right"
	case errors.As(err, new(x509.HostnameError)):
		return "give the name that the target's certificate is for with --tls-name"
	case errors.As(err, new(*tls.CertificateVerificationError)):
		return "give the CA that has signed the target's certificate with --tls-ca, and the name that it is for with --tls-name"
	case IsAlert(err):
		return "give a certificate that the target accepts with --tls-cert and --tls-key"
	case errors.As(err, new(tls.RecordHeaderError)):
		return "write --to as HOST:PORT where the target does not speak TLS, or correct the port"
	case errors.Is(err, ErrNoTLS):
		return "write --to as HOST:PORT where the target does not speak TLS, or see why it does not answer"
	case errors.Is(err, io.EOF): // within the handshake: nothing else reads
		return "see why the target ends TLS handshakes, or correct the port in --to"
	}
	return ""
}
