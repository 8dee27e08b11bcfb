package check

import (
	"errors"
	"net"
	"os"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"netmirror/wire"
)

// On loopback, which others may use at the same time.
func TestBeside(t *testing.T) {
	lo, err := net.InterfaceByName("lo")
	if err != nil {
		t.Skip(err)
	}
	const own = 4790
	for _, tt := range []struct {
		name     string
		link     int // that the tap is on
		wanted   []uint16
		unwanted []uint16 // 4788 is no tunnel's
	}{
		{"the tap's interface", lo.Index, []uint16{wire.PortVXLANLinux, wire.PortGeneve, wire.PortVXLAN}, []uint16{own, 4788}},
		{"another interface", lo.Index + 1000, []uint16{wire.PortVXLANLinux, wire.PortGeneve, wire.PortVXLAN, own}, []uint16{4788}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := func(port uint16, seen map[place]uint64) bool { return seen[place{lo.Index, port}] > 0 }
			var seen map[place]uint64
			// Under load the kernel may hand a packet over after the call that sent it.
			for range 20 {
				seen = besideOn(t, tt.link, own)
				if !slices.ContainsFunc(tt.wanted, func(p uint16) bool { return !got(p, seen) }) {
					break
				}
			}
			for _, port := range tt.wanted {
				if !got(port, seen) {
					t.Errorf("nothing was seen on port %d", port)
				}
			}
			for _, port := range tt.unwanted {
				if got(port, seen) {
					t.Errorf("packets to port %d were seen", port)
				}
			}
		})
	}
}

// besideOn sends a packet to each of some ports, over either version of IP.
func besideOn(t *testing.T, link int, own uint16) map[place]uint64 {
	t.Helper()
	b, err := listenBeside(link, []uint16{own})
	if errors.Is(err, unix.EPERM) && os.Getenv("CI") == "" {
		t.Skip("needs CAP_NET_RAW")
	}
	if err != nil {
		t.Fatal(err)
	}
	geneve := "[::1]:6081"
	if conn, err := net.Dial("udp", geneve); err != nil {
		geneve = "127.0.0.1:6081" // a host without IPv6
	} else {
		conn.Close()
	}
	for _, to := range []string{"127.0.0.1:8472", geneve, "127.0.0.1:4789", "127.0.0.1:4790", "127.0.0.1:4788"} {
		conn, err := net.Dial("udp", to)
		if err != nil {
			t.Fatal(err)
		}
		conn.Write([]byte("x")) // refused, as nobody listens: it was sent none the less
		conn.Close()
	}
	return b.end()
}
