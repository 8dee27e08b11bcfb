package link

import (
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"netmirror/link/linktest"
)

// Nothing arrives on an interface that is up and has no carrier. One whose driver does not tell has one.
func TestUp(t *testing.T) {
	linktest.In(t, linktest.NewNamespace(t), func() {
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		socket, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		must(err)
		defer unix.Close(socket)
		must(netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "one"}, PeerName: "two"}))
		await := func(name string, want bool) {
			t.Helper()
			l, err := netlink.LinkByName(name)
			must(err)
			for end := time.Now().Add(10 * time.Second); ; runtime.Gosched() { // the kernel may take a second
				got, err := Up(socket, l.Attrs().Index)
				must(err)
				if got == want {
					return
				}
				if time.Now().After(end) {
					t.Fatalf("%s is up: %v, want %v", name, got, want)
				}
			}
		}
		set := func(name string, change func(netlink.Link) error) {
			t.Helper()
			l, err := netlink.LinkByName(name)
			must(err)
			must(change(l))
		}
		await("lo", false)
		set("lo", netlink.LinkSetUp)
		await("lo", true) // though its state is unknown
		set("one", netlink.LinkSetUp)
		await("one", false)
		set("two", netlink.LinkSetUp)
		await("one", true)
		set("two", netlink.LinkSetDown)
		await("one", false)
		if _, err := Up(socket, 9999); !errors.Is(err, ErrGone) {
			t.Errorf("of an interface that there is not: %v", err)
		}
	})
}

// An interface that there is not is told with those that there are, and several in one name with
// how to give them.
func TestNoSuchInterface(t *testing.T) {
	for name, want := range map[string]string{
		"nope":       "",
		"nope,eth7":  "give each by itself: --iface nope --iface eth7, or each on a line of its own in the file",
		"nope, eth7": "give each by itself: --iface nope --iface eth7, or each on a line of its own in the file",
		"nope,":      "leave the comma out",
		",":          "",
		"nope,any":   "give any alone, which is all of them, or each of the others by itself",
	} {
		_, err := Find(name)
		if !errors.Is(err, ErrNone) {
			t.Errorf("%s: %v, want ErrNone", name, err)
			continue
		}
		_, names, _ := strings.Cut(err.Error(), "; there are: ")
		if _, do, _ := strings.Cut(names, "; "); do != want {
			t.Errorf("%s: %v, want %q at its end", name, err, want)
		}
	}
}
