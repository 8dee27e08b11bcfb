package requests

import (
	"bytes"
	"fmt"
	"net/netip"
	"strings"

	"netmirror/http1"
)

// parsePaths checks the beginnings of paths.
func parsePaths(paths []string) (parsed [][]byte, err error) {
	for _, p := range paths {
		if !strings.HasPrefix(p, "/") || strings.ContainsAny(p, "?# \t\r\n") {
			return nil, fmt.Errorf("path %q: write the beginning of a path, as in /api, without a query", p)
		}
		parsed = append(parsed, []byte(p))
	}
	return parsed, nil
}

// parseHosts checks hosts, and brings them into the form that hostOf returns.
func parseHosts(hosts []string) (parsed [][]byte, err error) {
	for _, h := range hosts {
		addr, err := netip.ParseAddr(strings.Trim(h, "[]"))
		isAddr := err == nil && addr.Zone() == ""
		switch {
		case isAddr:
			h = strings.Trim(h, "[]")
		case strings.HasPrefix(h, "*."):
			return nil, fmt.Errorf("host %q: write %s for all names that end so", h, h[1:])
		case strings.Trim(h, ".") == "" || strings.ContainsAny(h, "*:/@[] \t\r\n"):
			return nil, fmt.Errorf("host %q: write a name, as in example.com, or what it ends with, as in .example.com; no port", h)
		}
		parsed = append(parsed, []byte(strings.ToLower(strings.TrimSuffix(h, "."))))
	}
	return parsed, nil
}

// wants reports whether the request with this head is forwarded. The head is whole,
// from the request line to the empty line. tunnel says that the method is CONNECT.
func (r *Rules) wants(head []byte, tunnel bool) bool {
	n, target := http1.Line(head)
	authority, path := splitTarget(target)
	if len(r.paths) > 0 && !r.wantsPath(path) {
		return false
	}
	if len(r.hosts) == 0 {
		return true
	}
	host, ok := hostField(head[n:])
	if tunnel && authority == nil {
		authority = target // RFC 9112, section 3.2.3
	}
	if authority != nil {
		host = authority // RFC 9112, section 3.2.2
	}
	return ok && r.wantsHost(hostOf(host))
}

// Wants reports whether a request is forwarded that begins with b, as far as b shows. known is
// false if b ends before it does.
func (r *Rules) Wants(b []byte) (wanted, known bool) {
	n, target := http1.Line(b)
	if n == 0 {
		return false, false
	}
	head, whole := wholeLines(b, n)
	if authority, _ := splitTarget(target); len(r.hosts) > 0 && !whole && authority == nil {
		if host, ok := hostField(head[n:]); host == nil && ok {
			return false, false
		}
	}
	return r.wants(head, bytes.HasPrefix(bytes.TrimLeft(b, "\r\n"), []byte("CONNECT "))), true
}

// wholeLines returns the lines of a head that b has in full, of which the request line has n
// bytes, and whether the empty line is among them.
func wholeLines(b []byte, n int) (head []byte, whole bool) {
	for n < len(b) {
		line, _, ended := bytes.Cut(b[n:], []byte("\n"))
		if !ended {
			break
		}
		n += len(line) + 1
		if len(bytes.TrimSuffix(line, []byte("\r"))) == 0 {
			return b[:n], true
		}
	}
	return b[:n], false
}

func (r *Rules) wantsPath(path []byte) bool {
	for _, p := range r.paths {
		if bytes.HasPrefix(path, p) {
			return true
		}
	}
	return false
}

func (r *Rules) wantsHost(host []byte) bool {
	for _, h := range r.hosts {
		if h[0] != '.' && len(h) != len(host) || len(h) >= len(host) && h[0] == '.' {
			continue
		}
		if equalFold(host[len(host)-len(h):], h) {
			return true
		}
	}
	return false
}

// splitTarget returns the path of a target, without the query, and if the target is
// a URL its authority, else nil.
func splitTarget(target []byte) (authority, path []byte) {
	if i := bytes.Index(target, []byte("://")); i > 0 && target[0] != '/' {
		rest := target[i+len("://"):]
		end := bytes.IndexAny(rest, "/?#")
		if end < 0 {
			end = len(rest)
		}
		authority, target = rest[:end:end], rest[end:]
		if len(target) == 0 || target[0] != '/' {
			return authority, root
		}
	}
	if i := bytes.IndexAny(target, "?#"); i >= 0 {
		target = target[:i]
	}
	return authority, target
}

var root = []byte("/")

// hostField returns the value of the Host line in b, the lines of a head, or nil if
// there is none. ok is false if there are several, which servers refuse (RFC 9112,
// section 3.2).
func hostField(b []byte) (value []byte, ok bool) {
	const name = "host:"
	seen := false
	for len(b) > 0 {
		line, rest, _ := bytes.Cut(b, []byte("\n"))
		if len(line) >= len(name) && equalFold(line[:len(name)], []byte(name)) {
			if seen {
				return nil, false
			}
			seen = true
			value = bytes.Trim(line[len(name):], " \t\r")
		}
		b = rest
	}
	return value, true
}

// hostOf returns the host in an authority, without a user's name, a port, the
// brackets of an address and a dot at the end.
func hostOf(authority []byte) []byte {
	b := authority[bytes.LastIndexByte(authority, '@')+1:]
	if len(b) > 0 && b[0] == '[' {
		if end := bytes.IndexByte(b, ']'); end > 0 {
			return b[1:end]
		}
	}
	if i := bytes.LastIndexByte(b, ':'); i >= 0 {
		b = b[:i]
	}
	return bytes.TrimSuffix(b, []byte("."))
}

// equalFold compares b with s, which has no capitals. It folds only ASCII: a host's
// name has no other letters.
func equalFold(b, s []byte) bool {
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		if c != s[i] {
			return false
		}
	}
	return true
}
