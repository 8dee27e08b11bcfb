// Package service says which mirrored connections belong to which service.
//
// A service is a selection, by mirror id and by the original destination port, with
// a target for what was selected. The package is pure: it opens nothing and
// starts nothing, and [Selector.Select] never allocates.
package service

import (
	"errors"
	"fmt"
)

// Max bounds the services of one process, and MaxVNIs the ids that all of them name.
const (
	Max     = 100
	MaxVNIs = 10000
)

// ID is the place of a service in the list given to [NewSelector].
type ID uint16

// What [NewSelector] finds wrong.
var (
	ErrNone    = errors.New("service: no service given")
	ErrMany    = fmt.Errorf("service: more than %d services", Max)
	ErrVNIs    = fmt.Errorf("service: more than %d VNIs", MaxVNIs)
	ErrNoPorts = errors.New("service: no port given")
	ErrPort    = errors.New("service: port 0")
	ErrVNI     = errors.New("service: VNI has more than 24 bits")
)

// Selection is what makes a connection one of a service.
type Selection struct {
	// VNIs are the ids of the mirror sessions; none means any.
	VNIs VNIs
	// Ports are the original destination ports. At least one is needed.
	Ports Ports
}

func (s Selection) String() string { return s.VNIs.String() + ":" + s.Ports.String() }

// Union is the selection of whatever is one of several selections': all of their VNIs with
// all of their ports.
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
