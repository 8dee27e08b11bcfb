// Package link looks up network interfaces. It changes none.
package link

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Errors that say what is wrong with an interface; test for them with errors.Is.
var (
	ErrNone = errors.New("no such interface")
	ErrDown = errors.New("interface is down")
	// ErrGone: the interface was removed, or moved to another network namespace, since
	// it was found.
	ErrGone = errors.New("interface is gone")
)

// Find looks an interface up and checks that it is up. The error wraps ErrNone or ErrDown, or
// says why the interfaces could not be listed.
func Find(name string) (*net.Interface, error) {
	all, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("listing the interfaces: %w", err)
	}
	var names []string
	for i := range all {
		names = append(names, all[i].Name)
		if all[i].Name != name {
			continue
		}
		if all[i].Flags&net.FlagUp == 0 {
			return nil, fmt.Errorf("%w: sudo ip link set dev %s up", ErrDown, name)
		}
		return &all[i], nil
	}
	return nil, fmt.Errorf("%w: %q; there are: %s%s", ErrNone, name, strings.Join(names, ", "), apart(name))
}

// apart says how to give several interfaces that were given as one name, which does not exist:
// a list with commas, as other flags take it. It is "" for another name.
func apart(name string) string {
	words := strings.FieldsFunc(name, func(r rune) bool { return r == ',' || r == ' ' })
	switch {
	case !strings.Contains(name, ",") || len(words) == 0:
		return ""
	case len(words) == 1:
		return "; leave the comma out"
	case slices.Contains(words, "any"):
		return "; give any alone, which is all of them, or each of the others by itself"
	}
	return "; give each by itself: --iface " + strings.Join(words, " --iface ") + ", or each on a line of its own in the file"
}

// Up reports whether something can arrive on the interface with an index: it is up, and is not
// known to have no carrier, as a veth has none whose peer is down (IFF_RUNNING, netdevice(7)).
// It asks through a socket, so a new name or the thread's network namespace does not matter. The
// error is ErrGone if there is no such interface.
func Up(socket, index int) (bool, error) {
	ifr, err := unix.NewIfreq("")
	if err != nil {
		return false, err
	}
	ifr.SetUint32(uint32(index))
	if err := unix.IoctlIfreq(socket, unix.SIOCGIFNAME, ifr); err != nil {
		return false, ErrGone
	}
	if err := unix.IoctlIfreq(socket, unix.SIOCGIFFLAGS, ifr); err != nil {
		return false, ErrGone
	}
	const up = unix.IFF_UP | unix.IFF_RUNNING // the latter also where the driver does not tell
	return ifr.Uint16()&up == up, nil
}
