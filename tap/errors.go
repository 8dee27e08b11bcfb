package tap

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"netmirror/link"
)

// Errors of Open that say what is to be done, beside those of package link; test for
// them with errors.Is.
var (
	ErrPermission = errors.New("no permission")
	ErrLinkType   = errors.New("not an Ethernet interface")
)

// checkLinkType sees that the interface's frames begin with an Ethernet header.
func checkLinkType(fd int, name string) error {
	ifr, err := unix.NewIfreq(name)
	if err != nil {
		return fmt.Errorf("%w: %q", link.ErrNone, name)
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFHWADDR, ifr); err != nil {
		return fmt.Errorf("link type of %s: %w", name, err)
	}
	// The answer is a sockaddr; its family is the ARPHRD_ value.
	switch t := ifr.Uint16(); t {
	case unix.ARPHRD_ETHER, unix.ARPHRD_LOOPBACK:
		return nil
	default:
		return fmt.Errorf("%w: %s has link type %d; capture on the Ethernet interface that the mirror arrives at",
			ErrLinkType, name, t)
	}
}

// captureError says what the refusal of a packet socket means.
func captureError(err error) error {
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		return fmt.Errorf("%w to capture, which takes CAP_NET_RAW: %s", ErrPermission, Grant("CAP_NET_RAW"))
	}
	return fmt.Errorf("opening a packet socket: %w", err)
}

// Grant says what to do, in the imperative, to give this program capabilities
// that the kernel has just found missing.
func Grant(capabilities ...string) string { return grant(os.Geteuid(), capabilities) }

// grant is Grant for a user. Root lacks a capability only where something has
// taken it away, which neither sudo nor the file's capabilities bring back.
func grant(user int, capabilities []string) string {
	if user == 0 {
		docker := ""
		for _, name := range capabilities {
			docker += " --cap-add " + strings.TrimPrefix(name, "CAP_")
		}
		return fmt.Sprintf("root lacks it here, so have the container, unit or user namespace grant it (docker run%s; AmbientCapabilities=%s; a user namespace needs a network namespace of its own)",
			docker, strings.Join(capabilities, " "))
	}
	path, err := os.Executable()
	if err != nil {
		path = os.Args[0]
	}
	return fmt.Sprintf("run as root, or: sudo setcap %s+ep %s", strings.ToLower(strings.Join(capabilities, ",")), path)
}
