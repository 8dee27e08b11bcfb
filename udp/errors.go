package udp

import (
	"errors"
	"fmt"
	"net"
	"strings"

	"golang.org/x/sys/unix"

	"netmirror/wire"
)

// What Open finds wrong.
var (
	// ErrInUse: something else receives on the mirror's port.
	ErrInUse = errors.New("port is in use")
	// ErrNotUDP: the mirror's encapsulation is one that no UDP socket receives.
	ErrNotUDP = errors.New("the mirror's packets must come over UDP")
	// ErrPermission: a port below net.ipv4.ip_unprivileged_port_start.
	ErrPermission = errors.New("no permission")
)

// bindError says what to do where a port could not be bound, if err is not nil.
func (c Config) bindError(port wire.UDPPort, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.EADDRINUSE):
		return fmt.Errorf("%w: %s%s, or use --capture ring, which sees the packets beside it", ErrInUse, owner(port), c.fewer(port))
	case errors.Is(err, unix.EACCES):
		return fmt.Errorf("%w to bind UDP port %d: ports below net.ipv4.ip_unprivileged_port_start take CAP_NET_BIND_SERVICE", ErrPermission, port.Port)
	}
	return fmt.Errorf("opening UDP port %d: %w", port.Port, err)
}

// owner says what holds a port, and how to stop it.
func owner(port wire.UDPPort) string {
	driver := "vxlan"
	if port.Encap == wire.EncapGeneve {
		driver = "geneve"
	}
	if devices := tunnels(driver); len(devices) > 0 {
		return fmt.Sprintf("UDP port %d is probably that of the kernel's %s device %s: remove it (sudo ip link del dev %s)",
			port.Port, strings.ToUpper(driver), strings.Join(devices, " or "), devices[0])
	}
	return fmt.Sprintf("another program has UDP port %d: stop it (sudo ss -ulnp 'sport = :%d' shows which)", port.Port, port.Port)
}

// fewer says how to leave a port out that was not asked for.
func (c Config) fewer(port wire.UDPPort) string {
	if c.Mirror.Encap != wire.EncapAuto || len(c.Mirror.Ports) > 0 {
		return ""
	}
	other := wire.EncapVXLAN
	if port.Encap == other {
		other = wire.EncapGeneve
	}
	return fmt.Sprintf(", or leave the port alone by naming what the mirror sends, like --encap %v", other)
}

// tunnels are the names of a driver's interfaces (ethtool -i). The kernel holds a socket for
// each tunnel device.
func tunnels(driver string) (names []string) {
	all, err := net.Interfaces()
	if err != nil {
		return nil
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	defer unix.Close(fd)
	for _, ifi := range all {
		if info, err := unix.IoctlGetEthtoolDrvinfo(fd, ifi.Name); err == nil && unix.ByteSliceToString(info.Driver[:]) == driver {
			names = append(names, ifi.Name)
		}
	}
	return names
}
