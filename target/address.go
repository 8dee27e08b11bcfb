package target

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Address is where a target listens.
type Address struct {
	Network Network
	// Host is a name or an IP address, without brackets, of TCP and TLS.
	Host string
	Port uint16
	// Path is a unix socket's: an absolute path, or @ and a name in the abstract
	// namespace (unix(7)).
	Path string
}

// String returns the address as [Parse] accepts it, in its shortest form.
func (a Address) String() string {
	switch a.Network {
	case Unix:
		if a.Path[0] == '@' {
			return "unix:" + a.Path
		}
		return "unix://" + a.Path
	case TLS:
		return "tls://" + a.HostPort()
	}
	return a.HostPort()
}

// HostPort returns the address of a TCP or TLS target as [net.Dial] accepts it.
func (a Address) HostPort() string { return net.JoinHostPort(a.Host, strconv.Itoa(int(a.Port))) }

// Named reports whether the host is a name that has to be looked up.
func (a Address) Named() bool {
	_, err := netip.ParseAddr(a.Host)
	return a.Network != Unix && err != nil
}

// Parse reads HOST:PORT, tcp://HOST:PORT, tls://HOST:PORT, unix:///PATH or
// unix:@NAME. The host is a name, an IPv4 address, or an IPv6 address in brackets; the
// port is a number. Space around it is left out. The error says what to write instead.
func Parse(text string) (Address, error) {
	a, err := parse(strings.TrimSpace(text)) // a list may have spaces behind its commas
	if err != nil {
		return Address{}, fmt.Errorf("target %q: %w", text, err)
	}
	return a, nil
}

func parse(text string) (Address, error) {
	if rest, ok := cutScheme(text, "unix:"); ok {
		return parseUnix(rest)
	}
	if words := strings.Fields(text); strings.Contains(text, ",") || len(words) > 1 && strings.Contains(words[1], ":") {
		return Address{}, errors.New("a target is one host and one port; give each target by itself: with a --to or a --forward of its own, or on a line of its own in the file")
	}
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok {
		return parseHostPort(TCP, text)
	}
	switch strings.ToLower(scheme) {
	case "tcp":
		return parseURL(TCP, rest)
	case "tls":
		return parseURL(TLS, rest)
	case "http":
		return Address{}, fmt.Errorf("HTTP is forwarded as bytes, so a target is not a URL of HTTP; write %s", withPort(rest, "80"))
	case "https":
		return Address{}, fmt.Errorf("HTTP is forwarded as bytes, so a target is not a URL of HTTP; write tls://%s, or HOST:PORT for a port without TLS", withPort(rest, "443"))
	case "ssl":
		return Address{}, fmt.Errorf("write tls://%s", withPort(rest, "443"))
	}
	return Address{}, fmt.Errorf("%s:// is not supported; write HOST:PORT, tls://HOST:PORT or unix:///PATH", scheme)
}

// cutScheme is strings.CutPrefix of a scheme, whose case does not matter.
func cutScheme(text, scheme string) (rest string, ok bool) {
	if len(text) < len(scheme) || !strings.EqualFold(text[:len(scheme)], scheme) {
		return text, false
	}
	return text[len(scheme):], true
}

// withPort returns the host and port of a URL. rest is what follows the scheme; port is
// the port if the URL has none.
func withPort(rest, port string) string {
	host := rest
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		host = rest[:i]
	}
	host = host[strings.LastIndexByte(host, '@')+1:]
	if _, _, err := net.SplitHostPort(host); err == nil {
		return host
	}
	return net.JoinHostPort(strings.Trim(host, "[]"), port)
}

// parseURL reads what follows tcp:// or tls://.
func parseURL(network Network, rest string) (Address, error) {
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		return Address{}, fmt.Errorf("leave out %q: a target is only a host and a port", rest[i:])
	}
	if strings.Contains(rest, "@") {
		return Address{}, errors.New("leave out the user: a target is only a host and a port")
	}
	return parseHostPort(network, rest)
}

func parseHostPort(network Network, text string) (Address, error) {
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		return Address{}, noHostPort(text, err)
	}
	if host == "" {
		return Address{}, errors.New("the host is missing; write HOST:PORT, as in 127.0.0.1" + text)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return Address{}, fmt.Errorf("port %q is not a number from 1 to 65535", port)
	}
	return Address{Network: network, Host: host, Port: uint16(n)}, nil
}

// bracketed guesses what is meant by an IPv6 address without brackets, whose last group may be
// a port.
func bracketed(text string) string {
	last := strings.LastIndexByte(text, ':')
	if _, err := strconv.ParseUint(text[last+1:], 10, 16); err == nil && net.ParseIP(text[:last]) != nil {
		return net.JoinHostPort(text[:last], text[last+1:])
	}
	return net.JoinHostPort(text, "80")
}

// noHostPort says what is wrong with text, which net.SplitHostPort refused.
func noHostPort(text string, err error) error {
	var addr *net.AddrError
	switch {
	case net.ParseIP(text) != nil && strings.Contains(text, ":"):
		return errors.New("put the IPv6 address in brackets and the port behind them, as in " + bracketed(text))
	case strings.HasPrefix(text, "/"):
		return errors.New("write unix://" + text + " for a unix socket")
	case errors.As(err, &addr) && addr.Err == "missing port in address":
		return errors.New("the port is missing; write HOST:PORT")
	}
	return errors.New("write HOST:PORT, an IPv6 address in brackets as in [2001:db8::1]:80")
}

// maxPath is the longest path of a unix socket, in bytes (unix(7)).
const maxPath = len(unix.RawSockaddrUnix{}.Path) - 1

// parseUnix reads what follows unix:. An empty host may stand before the path.
func parseUnix(rest string) (Address, error) {
	path := rest
	if after, ok := strings.CutPrefix(rest, "//"); ok {
		path = after
	}
	switch {
	case strings.Trim(path, "/") == "" || path == "@":
		return Address{}, errors.New("the path is missing; write unix:///PATH, or unix:@NAME for an abstract socket")
	case path[0] != '/' && path[0] != '@':
		return Address{}, errors.New("the path must begin with /; write unix:///PATH, or unix:@NAME for an abstract socket")
	case len(path) > maxPath:
		return Address{}, fmt.Errorf("the path has %d bytes; a unix socket's has %d at most", len(path), maxPath)
	case strings.Contains(path, "\x00"):
		return Address{}, errors.New("the path has a zero byte in it")
	}
	return Address{Network: Unix, Path: path}, nil
}
