package link

import (
	"encoding/binary"
	"fmt"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"
)

// Places of counters in struct rtnl_link_stats64 (linux/if_link.h), of eight bytes each.
const (
	rxDropped = 6
	rxMissed  = 15
)

// Drops is how many incoming packets the named interfaces, or all interfaces if there are no
// names, have dropped or missed since they were made: rx_dropped and rx_missed_errors of
// rtnetlink(7). It makes one request for all interfaces.
func Drops(names ...string) (sum uint64, err error) {
	rib, err := syscall.NetlinkRIB(unix.RTM_GETLINK, unix.AF_UNSPEC)
	if err != nil {
		return 0, fmt.Errorf("asking for the interfaces' counters: %w", err)
	}
	all, err := syscall.ParseNetlinkMessage(rib)
	if err != nil {
		return 0, fmt.Errorf("reading the interfaces' counters: %w", err)
	}
	for i := range all {
		if all[i].Header.Type != unix.RTM_NEWLINK {
			continue
		}
		attrs, err := syscall.ParseNetlinkRouteAttr(&all[i])
		if err != nil {
			return 0, fmt.Errorf("reading the interfaces' counters: %w", err)
		}
		name, drops := counters(attrs)
		if len(names) == 0 || slices.Contains(names, name) {
			sum += drops
		}
	}
	return sum, nil
}

// counters are the name of an interface and what it has dropped.
func counters(attrs []syscall.NetlinkRouteAttr) (name string, drops uint64) {
	for _, a := range attrs {
		switch a.Attr.Type {
		case unix.IFLA_IFNAME:
			name = unix.ByteSliceToString(a.Value)
		case unix.IFLA_STATS64:
			for _, at := range []int{rxDropped, rxMissed} {
				if 8*at+8 <= len(a.Value) {
					drops += binary.NativeEndian.Uint64(a.Value[8*at:])
				}
			}
		}
	}
	return name, drops
}
