// Package service says which mirrored connections belong to which service.
//
// A service is a selection of connections, by VNI and by the port that clients connect
// to, and a target. VNI stands for the identifier of any encapsulation: also the session
// of ERSPAN and the key of GRE. The package is pure: it opens nothing and starts nothing,
// and [Selector.Select] never allocates.
package service

import (
	"errors"
	"fmt"
)

// Max limits the services of one process, and MaxVNIs the VNIs that they name together.
const (
	Max     = 100
	MaxVNIs = 10000
)

// ID is the place of a service in the list given to [NewSelector].
type ID uint16

// The errors of [NewSelector].
var (
	ErrNone    = errors.New("service: no service given")
	ErrMany    = fmt.Errorf("service: more than %d services", Max)
	ErrVNIs    = fmt.Errorf("service: more than %d VNIs", MaxVNIs)
	ErrNoPorts = errors.New("service: no port given")
	ErrPort    = errors.New("service: port 0")
	ErrVNI     = errors.New("service: VNI has more than 24 bits")
)

// Selection decides which connections belong to a service.
type Selection struct {
	// VNIs are those of the mirror sessions; none means any.
	VNIs VNIs
	// Ports are those that clients connect to. At least one is needed.
	Ports Ports
}

// String is the selection as "VNIS:PORTS", like "42:8080"; see [ParseForward].
func (s Selection) String() string { return s.VNIs.String() + ":" + s.Ports.String() }

// Union is a selection that includes several: all of their VNIs with all of their ports.
func Union(all ...Selection) Selection {
	var u Selection
	open := false
	for _, s := range all {
		open = open || s.VNIs.Any()
		u.VNIs = append(u.VNIs, s.VNIs...)
		u.Ports = append(u.Ports, s.Ports...)
	}
	u.Ports = u.Ports.joined()
	if open {
		u.VNIs = nil
	} else {
		u.VNIs = VNIsOf(u.VNIs...)
	}
	return u
}
