package requests

import (
	"fmt"
	"strings"
)

// maxMarks limits the lines that are added to a request, in bytes including CRLF.
// Servers accept heads of 8 KiB and more.
const maxMarks = 4096

// reserved are the fields that decide where a request ends, what happens to its
// connection, or which host it is for. A second one would alter that.
var reserved = map[string]bool{
	"connection": true, "content-length": true, "expect": true, "host": true, "http2-settings": true,
	"keep-alive": true, "proxy-connection": true, "te": true, "trailer": true, "transfer-encoding": true, "upgrade": true,
}

// parseMarks checks header lines and joins them, each with CRLF.
func parseMarks(lines []string) (joined []byte, err error) {
	for _, line := range lines {
		if err := checkMark(line); err != nil {
			return nil, err
		}
		joined = append(append(joined, strings.TrimSpace(line)...), "\r\n"...)
	}
	if len(joined) > maxMarks {
		return nil, fmt.Errorf("the header lines have %d bytes; %d is the most", len(joined), maxMarks)
	}
	return joined, nil
}

// checkMark says what is wrong with a header line (RFC 9112, section 5).
func checkMark(line string) error {
	for i := range len(line) {
		if c := line[i]; c < ' ' && c != '\t' || c == 0x7f {
			return fmt.Errorf("header line %q: it must be one line without control characters", line)
		}
	}
	name, _, ok := strings.Cut(strings.TrimSpace(line), ":")
	switch {
	case !ok:
		return fmt.Errorf("header line %q: write NAME: VALUE, as in X-Shadow: 1", line)
	case !isToken(name):
		return fmt.Errorf("header line %q: the name must be letters, digits and hyphens, with the colon right behind it", line)
	case reserved[strings.ToLower(name)]:
		return fmt.Errorf("header line %q: %s cannot be added, since it is about the framing, the connection or the host", line, name)
	}
	return nil
}

// isToken reports whether s can be a field's name (RFC 9110, section 5.6.2).
func isToken(s string) bool {
	for _, c := range []byte(s) {
		letter := c|0x20 >= 'a' && c|0x20 <= 'z'
		if !letter && (c < '0' || c > '9') && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return s != ""
}
