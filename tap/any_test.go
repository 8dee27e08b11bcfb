package tap

import (
	"net"
	"slices"
	"testing"

	"github.com/vishvananda/netlink"
)

// On all interfaces: what arrives on an Ethernet interface, also one that came up later,
// and on the loopback interface, once; not what is sent.
func TestAnyInterface(t *testing.T) {
	for _, n := range []int{1, 2} {
		l := newLab(t, 1500)
		var rings []*Ring
		in(t, l.mon, func() {
			var err error
			rings, err = OpenGroup(Config{Interface: AnyInterface}, n)
			must(t, err)
			lo, err := netlink.LinkByName("lo")
			must(t, err)
			must(t, netlink.LinkSetUp(lo))
		})
		for _, r := range rings {
			defer r.Close()
		}
		var want [][]byte
		for _, to := range []net.IP{mon4, mon6} {
			c := l.udp(t, to, 4789)
			_, err := c.Write([]byte("from a peer"))
			must(t, err)
			want = append(want, []byte("from a peer"))
		}
		in(t, l.mon, func() {
			for _, to := range []net.IP{net.IPv4(127, 0, 0, 1), peer4} { // the latter is sent
				c, err := net.DialUDP("udp", nil, &net.UDPAddr{IP: to, Port: 4789})
				must(t, err)
				_, err = c.Write([]byte("from here"))
				must(t, err)
				must(t, c.Close())
			}
		})
		want = append(want, []byte("from here"))
		capturedByAll(t, rings, uint64(len(want)))
		rings[0].Stop()
		got := payloads(t, slices.Concat(drainGroup(t, rings)...))
		equalFrames(t, got, want)
	}
}
