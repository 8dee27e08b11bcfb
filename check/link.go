package check

import (
	"fmt"
	"net"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// What the mirror puts around a packet, in bytes, by which the largest one that
// it can carry whole is below the target's MTU (AWS VPC, Traffic Mirroring, "MTU
// considerations").
const (
	overheadIPv4 = 54
	overheadIPv6 = 74
)

// link tells of the interface. fit says that packets can be captured on it; sockets take
// them from any kind.
func (r *report) link(c Config) (ifi *net.Interface, fit bool) {
	name := c.Interface
	all, err := net.Interfaces()
	if err != nil {
		r.fault("have the system list its interfaces", "interface: %v", err)
		return nil, false
	}
	for i := range all {
		if all[i].Name == name {
			ifi = &all[i]
		}
	}
	if ifi == nil {
		r.fault("give the interface that the mirror arrives on with --iface", "interface: there is no %s; up are: %s",
			quote(name), upBeside(all, name))
		return nil, false
	}
	kind, ethernet, err := linkType(name)
	switch {
	case err != nil:
		r.fault("have the system tell of "+name, "interface %s: %v", name, err)
	case ifi.Flags&net.FlagUp == 0:
		r.fault("sudo ip link set dev "+name+" up", "interface %s: it is down", name)
	case !carrier(ifi):
		r.fault("bring up the other end of "+name+": its cable, the switch's port, or the peer of a veth",
			"interface %s: it is up, and has no carrier, so nothing can arrive", name)
	case !ethernet && !c.Sockets:
		r.fault("give the Ethernet interface that the mirror arrives on with --iface",
			"interface %s: %s, not Ethernet; up are: %s", name, kind, upBeside(all, name))
	default:
		r.usable(ifi, kind)
		return ifi, true
	}
	return nil, false
}

// usable tells of an interface that packets can be captured on.
func (r *report) usable(ifi *net.Interface, kind string) {
	r.ok("interface %s: up, %s, MTU %d", ifi.Name, kind, ifi.MTU)
	r.ok("interface %s: mirrored packets of up to %d bytes arrive whole (%d if the mirror runs over IPv6); keep the mirrored hosts' MTU at that, or packets arrive cut or in fragments",
		ifi.Name, ifi.MTU-overheadIPv4, ifi.MTU-overheadIPv6)
}

// carrierLate is how long after an interface was brought up the kernel may say so: it tells of
// changes of the carrier once a second (linkwatch).
const carrierLate = 1500 * time.Millisecond

// carrier reports whether an interface that is up has a carrier, or its driver does not tell.
func carrier(ifi *net.Interface) bool {
	for start := time.Now(); ifi.Flags&net.FlagRunning == 0; time.Sleep(50 * time.Millisecond) {
		again, err := net.InterfaceByIndex(ifi.Index)
		if err != nil || time.Since(start) > carrierLate {
			return false
		}
		ifi = again
	}
	return true
}

// linkType gives what a link is called that has the kernel's ARPHRD_ value
// (netdevice(7), SIOCGIFHWADDR), and whether its frames begin with an Ethernet
// header.
func linkType(name string) (kind string, ethernet bool, err error) {
	ifr, err := unix.NewIfreq(name)
	if err != nil {
		return "", false, err
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return "", false, err
	}
	defer unix.Close(fd)
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFHWADDR, ifr); err != nil {
		return "", false, err
	}
	switch t := ifr.Uint16(); t {
	case unix.ARPHRD_ETHER:
		return "Ethernet", true, nil
	case unix.ARPHRD_LOOPBACK:
		return "loopback", true, nil
	default:
		return fmt.Sprintf("link type %d", t), false, nil
	}
}

// upBeside lists the interfaces that are up, but for one.
func upBeside(all []net.Interface, name string) string {
	var up []string
	for i := range all {
		if all[i].Flags&net.FlagUp != 0 && all[i].Name != name {
			up = append(up, all[i].Name)
		}
	}
	if len(up) == 0 {
		return "none"
	}
	return strings.Join(up, ", ")
}
