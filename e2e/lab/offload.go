package lab

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ethtool commands that x/sys/unix does not name (linux/ethtool.h).
const (
	ethtoolSetTxChecksums = 0x17
	ethtoolSetTSO         = 0x1f
)

// setOffloads switches segmentation, aggregation and checksumming of a link in Srv or
// Mon. If they are off on the mirror's devices, Srv segments each mirrored frame and
// computes its checksum as for a real wire, before frames are lost or reordered. If they
// are on, Mon receives what the client's TCP gave to its link.
func (n *Namespace) setOffloads(link string, on bool) error {
	var value uint32
	if on {
		value = 1
	}
	return n.Do(func() error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("lab: socket in %s: %w", n.label, err)
		}
		defer unix.Close(fd)
		for _, command := range []uint32{ethtoolSetTSO, unix.ETHTOOL_SGSO, unix.ETHTOOL_SGRO, ethtoolSetTxChecksums} {
			if err := ethtoolSet(fd, link, command, value); err != nil {
				return fmt.Errorf("lab: ethtool %#x on %s in %s: %w", command, link, n.label, err)
			}
		}
		return nil
	})
}

// ethtoolSet is ioctl SIOCETHTOOL with a struct ethtool_value (linux/ethtool.h).
func ethtoolSet(fd int, link string, command, value uint32) error {
	arg := [2]uint32{command, value}
	req := struct {
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [16]byte // the rest of the union in struct ifreq
	}{data: unsafe.Pointer(&arg)}
	copy(req.name[:unix.IFNAMSIZ-1], link)
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&req)))
	if errno != 0 {
		return errno
	}
	return nil
}
