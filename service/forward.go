package service

import (
	"fmt"
	"strings"
)

// Forward is a selection and the target for it.
type Forward struct {
	Selection
	Target string
}

// ParseForward reads "VNIS:PORTS=TARGET", like "42:8080=staging:80" or
// "any:8080,9000-9010=tls://staging:443". The target is not looked at.
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
