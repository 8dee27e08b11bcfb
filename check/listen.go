package check

import (
	"context"
	"errors"
	"net"

	"netmirror/udp"
)

// listen receives by UDP sockets for the time given, as netmirror does with --capture udp. If
// that is not possible, it reports why and returns nil. ifi is nil for all interfaces.
func listen(ctx context.Context, r *report, c Config, ifi *net.Interface) (*seen, error) {
	cfg := udp.Config{Mirror: c.Mirror, Bytes: ringBytes}
	if ifi != nil {
		cfg.Interfaces = []string{ifi.Name}
	}
	from, err := udp.Open(cfg)
	if errors.Is(err, udp.ErrInUse) {
		r.fault("free the port, as the message says; only one netmirror can receive on it", "capture: %v", err)
		return nil, nil
	}
	if errors.Is(err, udp.ErrPermission) {
		r.fault("grant CAP_NET_BIND_SERVICE, or have the mirror send to another port", "capture: %v", err)
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer from.Close()
	r.ok("capture: by UDP sockets, which need no capability")
	if c.Mirror.GRE() {
		r.note("capture: ERSPAN and GRE do not come over UDP; sockets do not see them")
	}
	r.say("looking at %s on %s for %v ...", c.places(), c.where(), c.Time)
	s, err := watch(ctx, from, c)
	if ifi != nil {
		s.mtu = ifi.MTU
	}
	return r.stayed(c, s, err)
}

// where names the interfaces that are looked at.
func (c Config) where() string {
	if c.Interface == "" {
		return "all interfaces"
	}
	return c.Interface
}
