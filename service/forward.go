package service

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Forward is a selection and the target for it.
type Forward struct {
	Selection
	Target string
}

// ParseForward reads "VNIS:PORTS=TARGET", like "42:8080=staging:80" or
// "any:8080,9000-9010=tls://staging:443". It does not check the target.
func ParseForward(s string) (Forward, error) {
	selection, target, ok := strings.Cut(s, "=")
	vnis, ports, ok2 := strings.Cut(selection, ":")
	if !ok || !ok2 || target == "" {
		return Forward{}, fmt.Errorf("%q is not VNIS:PORTS=TARGET, like 42:8080=staging:80 or any:8080,9000-9010=staging:80", s)
	}
	f := Forward{Target: target}
	var err error
	if f.VNIs, err = ParseVNIs(vnis); err != nil {
		return Forward{}, fmt.Errorf("%q: %w", s, err)
	}
	if f.Ports, err = ParsePorts(ports); err != nil {
		return Forward{}, fmt.Errorf("%q: %w", s, err)
	}
	return f, nil
}

// ParseNamed reads "NAME=VNIS:PORTS=TARGET", like "shop=42:8080=staging:80", or the same
// without a name, as ParseForward does. A name has no colon, but "VNIS:PORTS" has one: so
// the two can be told apart.
func ParseNamed(s string) (name string, f Forward, err error) {
	first, rest, ok := strings.Cut(s, "=")
	if !ok || strings.Contains(first, ":") || !strings.Contains(rest, "=") {
		f, err = ParseForward(s)
		return "", f, err
	}
	if err := CheckName(first); err != nil {
		return "", Forward{}, fmt.Errorf("%q: %w", s, err)
	}
	f, err = ParseForward(rest)
	return first, f, err
}

// MaxName is how long the name of a service may be, in bytes.
const MaxName = 100

// CheckName says what is wrong with a service's name, which appears in the log, in
// metrics and on the status page.
func CheckName(name string) error {
	unprintable := func(r rune) bool { return !unicode.IsPrint(r) }
	switch {
	case name == "":
		return errors.New("the name of the service is missing before =")
	case len(name) > MaxName:
		return fmt.Errorf("the service's name has %d bytes; the limit is %d", len(name), MaxName)
	case !utf8.ValidString(name) || strings.ContainsFunc(name, unprintable):
		return fmt.Errorf("the service's name %q contains characters that cannot be printed", name)
	}
	return nil
}
