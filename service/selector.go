package service

import (
	"fmt"
	"slices"

	"netmirror/wire"
)

// Selector finds the services of a packet. It is immutable, so any number of
// goroutines may share one.
type Selector struct {
	vnis map[uint32]*portTable // the VNIs that a service names
	rest *portTable            // all other VNIs; nil: no service takes them
}

// NewSelector returns a Selector for services. Their IDs are their places in the
// list. The error wraps [ErrNone], [ErrMany], [ErrVNIs], [ErrNoPorts], [ErrPort] or
// [ErrVNI]. It keeps no reference to the selections.
func NewSelector(services []Selection) (*Selector, error) {
	switch {
	case len(services) == 0:
		return nil, ErrNone
	case len(services) > Max:
		return nil, fmt.Errorf("%w: %d", ErrMany, len(services))
	}
	named := make(map[uint32][]ID)
	var open []ID // services of any VNI
	for i, s := range services {
		if err := s.check(); err != nil {
			return nil, fmt.Errorf("%w: %s", err, s)
		}
		if s.VNIs.Any() {
			open = append(open, ID(i))
		}
		for _, id := range s.VNIs {
			named[id] = append(named[id], ID(i))
		}
	}
	if len(named) > MaxVNIs {
		return nil, fmt.Errorf("%w: %d; use any to take all", ErrVNIs, len(named))
	}
	tables := make(map[string]*portTable) // by the services in them
	tableOf := func(ids []ID) *portTable {
		slices.Sort(ids)
		key := fmt.Sprint(ids)
		if tables[key] == nil {
			tables[key] = newPortTable(services, ids)
		}
		return tables[key]
	}
	s := &Selector{vnis: make(map[uint32]*portTable, len(named))}
	for id, own := range named {
		s.vnis[id] = tableOf(append(own, open...))
	}
	if len(open) > 0 {
		s.rest = tableOf(open)
	}
	return s, nil
}

// check says what is wrong with a selection.
func (s *Selection) check() error {
	switch {
	case len(s.Ports) == 0:
		return ErrNoPorts
	case s.Ports[0].First == 0:
		return ErrPort
	case !s.VNIs.Any() && s.VNIs[len(s.VNIs)-1] > wire.MaxVNI:
		return ErrVNI
	}
	return nil
}

// Knows reports whether any service takes packets of a VNI.
func (s *Selector) Knows(vni uint32) bool { return s.rest != nil || s.vnis[vni] != nil }

// Select returns the services of a packet with the VNI vni from port src to port dst:
// those that it goes to, and those whose port it comes from. If a service is in both,
// the ports do not tell the direction. The slices belong to the Selector and must not
// be changed.
func (s *Selector) Select(vni uint32, src, dst uint16) (to, from []ID) {
	t := s.rest
	if own := s.vnis[vni]; own != nil {
		t = own
	}
	if t == nil {
		return nil, nil
	}
	return t.services(dst), t.services(src)
}
