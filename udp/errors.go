package udp

import (
	"errors"
	"fmt"
	"net"
	"strings"

	"golang.org/x/sys/unix"
)

// ErrInUse: something else receives on the mirror's port.
var ErrInUse = errors.New("udp: port is in use")

// bindError says what to do where a port could not be bound, if err is not nil.
func bindError(port uint16, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.EADDRINUSE):
		if devices := vxlanDevices(); len(devices) > 0 {
			return fmt.Errorf("%w: UDP port %d is probably that of the kernel's VXLAN device %s: remove it (sudo ip link del dev %s), or use --capture ring, which sees the packets beside it",
				ErrInUse, port, strings.Join(devices, " or "), devices[0])
		}
		return fmt.Errorf("%w: another program has UDP port %d: stop it (sudo ss -ulnp 'sport = :%d' shows which), or use --capture ring, which sees the packets beside it",
			ErrInUse, port, port)
	case errors.Is(err, unix.EACCES):
		return fmt.Errorf("udp: no permission to bind UDP port %d: ports below net.ipv4.ip_unprivileged_port_start take CAP_NET_BIND_SERVICE", port)
	}
	return fmt.Errorf("udp: opening UDP port %d: %w", port, err)
}

// vxlanDevices are the names of the interfaces that are VXLAN devices (ethtool -i), each
// of which has a socket of the kernel's.
func vxlanDevices() (names []string) {
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
		if info, err := unix.IoctlGetEthtoolDrvinfo(fd, ifi.Name); err == nil && unix.ByteSliceToString(info.Driver[:]) == "vxlan" {
			names = append(names, ifi.Name)
		}
	}
	return names
}
