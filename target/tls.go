package target

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"

	"netmirror/userfile"
)

// TLSOptions are for TLS targets. The zero value verifies the target's certificate
// against the host of its address and the system's CAs, and has no client certificate.
type TLSOptions struct {
	// Name replaces the address's host: it is sent as SNI, and the target's certificate
	// must be valid for it.
	Name string
	// CA is a PEM file of certificates, in place of the system's CAs.
	CA string
	// Cert is a PEM file with the client's certificate, followed by those that sign it.
	// Key is a PEM file with its key; if Key is "", the key is in Cert.
	Cert, Key string
	// Insecure accepts any certificate of the target.
	Insecure bool
}

// config reads the files.
func (o *TLSOptions) config(host string) (*tls.Config, error) {
	host, _, _ = strings.Cut(host, "%") // a zone is in no certificate
	c := &tls.Config{
		ServerName: host, InsecureSkipVerify: o.Insecure,
		// Each stream has its own connection. Most of them resume a session, which
		// spares the costly half of the handshake.
		ClientSessionCache: tls.NewLRUClientSessionCache(0),
	}
	if o.Name != "" {
		c.ServerName = o.Name
	}
	if o.Insecure && o.CA != "" {
		return nil, errors.New("--tls-ca and --tls-insecure contradict each other; leave one of them out")
	}
	var err error
	if o.CA != "" {
		if c.RootCAs, err = authorities(o.CA); err != nil {
			return nil, fmt.Errorf("--tls-ca: CA file: %w", err)
		}
	}
	if o.Cert == "" && o.Key != "" {
		return nil, fmt.Errorf("--tls-key: the key %s needs the client's certificate beside it, with --tls-cert", o.Key)
	}
	if o.Cert != "" {
		cert, err := o.certificate()
		if err != nil {
			return nil, fmt.Errorf("--tls-cert: client certificate: %w", err)
		}
		c.Certificates = []tls.Certificate{cert}
	}
	return c, nil
}

// likeTLS compares two configurations made by config.
func likeTLS(a, b *tls.Config) bool {
	if a == nil || b == nil {
		return a == b
	}
	chain := func(x, y tls.Certificate) bool { return slices.EqualFunc(x.Certificate, y.Certificate, bytes.Equal) }
	return a.ServerName == b.ServerName && a.InsecureSkipVerify == b.InsecureSkipVerify &&
		a.RootCAs.Equal(b.RootCAs) && slices.EqualFunc(a.Certificates, b.Certificates, chain)
}

func authorities(path string) (*x509.CertPool, error) {
	text, err := userfile.Read(path, "certificates", maxFile)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s: no certificate in it; it has to be PEM", path)
	}
	return pool, nil
}

func (o *TLSOptions) certificate() (tls.Certificate, error) {
	cert, err := userfile.Read(o.Cert, "certificates", maxFile)
	if err != nil {
		return tls.Certificate{}, err
	}
	key, files := cert, o.Cert
	if o.Key != "" {
		if key, err = userfile.Read(o.Key, "a key", maxFile); err != nil {
			return tls.Certificate{}, err
		}
		files += " and " + o.Key
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		hint := ""
		switch text := err.Error(); {
		case o.Key == "" && strings.Contains(text, "private key"): // it may have only certificates
			hint = "; give the file of the key with --tls-key"
		case strings.Contains(text, "failed to find any PEM data"):
			hint = "; both have to be PEM"
		}
		return tls.Certificate{}, fmt.Errorf("%s: %s%s", files, strings.TrimPrefix(err.Error(), "tls: "), hint)
	}
	return pair, nil
}

// maxFile limits each of these files, in MiB; none needs as much.
const maxFile = 4
