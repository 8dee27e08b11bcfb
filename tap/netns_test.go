package tap

import (
	"cmp"
	"encoding/binary"
	"io"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"netmirror/link/linktest"
)

const (
	monIface  = "mon0"
	peerIface = "peer0"
	minIPv6   = 1280 // the kernel has no IPv6 on an interface with a smaller MTU
)

// lab is two network namespaces joined by a veth pair: mon, where the capture
// runs, and peer, where the packets come from.
type lab struct {
	mon, peer netns.NsHandle
	peerLink  netlink.Link
}

// newLab makes the namespaces, and skips the test where that is not allowed.
func newLab(t testing.TB, mtu int) *lab {
	t.Helper()
	l := &lab{mon: newNamespace(t), peer: newNamespace(t)}
	in(t, l.mon, func() {
		must(t, netlink.LinkAdd(&netlink.Veth{
			LinkAttrs:        netlink.LinkAttrs{Name: monIface, MTU: mtu, HardwareAddr: monMAC},
			PeerName:         peerIface,
			PeerMTU:          uint32(mtu),
			PeerHardwareAddr: peerMAC,
			PeerNamespace:    netlink.NsFd(l.peer),
		}))
	})
	in(t, l.mon, func() { bringUp(t, monIface, mon4, mon6, mtu) })
	in(t, l.peer, func() {
		bringUp(t, peerIface, peer4, peer6, mtu)
		link, err := netlink.LinkByName(peerIface)
		must(t, err)
		l.peerLink = link
		// No neighbor discovery, so that no first packet is late.
		hosts := []net.IP{mon4, mon6}
		if mtu < minIPv6 {
			hosts = hosts[:1]
		}
		for _, ip := range hosts {
			must(t, netlink.NeighSet(&netlink.Neigh{
				LinkIndex: link.Attrs().Index, IP: ip, HardwareAddr: monMAC, State: netlink.NUD_PERMANENT,
			}))
		}
	})
	return l
}

// bringUp gives an interface its addresses and waits until it runs.
func bringUp(t testing.TB, name string, ip4, ip6 net.IP, mtu int) {
	t.Helper()
	link, err := netlink.LinkByName(name)
	must(t, err)
	must(t, netlink.LinkSetUp(link))
	must(t, netlink.AddrAdd(link, &netlink.Addr{IPNet: &net.IPNet{IP: ip4, Mask: net.CIDRMask(24, 32)}}))
	if mtu >= minIPv6 {
		must(t, netlink.AddrAdd(link, &netlink.Addr{
			IPNet: &net.IPNet{IP: ip6, Mask: net.CIDRMask(64, 128)}, Flags: unix.IFA_F_NODAD,
		}))
	}
}

// What the tests of all that captures share.
var (
	newNamespace = linktest.NewNamespace
	in           = linktest.In
	feature      = linktest.Feature
)

// open starts a capture in the namespace mon.
func (l *lab) open(t testing.TB, cfg Config) *Ring {
	t.Helper()
	cfg.Interface = cmp.Or(cfg.Interface, monIface)
	var r *Ring
	in(t, l.mon, func() {
		var err error
		r, err = Open(cfg)
		must(t, err)
	})
	t.Cleanup(func() { must(t, r.Close()) })
	return r
}

// sender opens a packet socket on the peer's interface.
func (l *lab) sender(t testing.TB) int {
	t.Helper()
	var fd int
	in(t, l.peer, func() {
		var err error
		fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		must(t, err)
		must(t, unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, 4<<20))
		must(t, unix.Bind(fd, &unix.SockaddrLinklayer{Ifindex: l.peerLink.Attrs().Index}))
	})
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

// udp opens a UDP socket in the namespace peer towards addr.
func (l *lab) udp(t testing.TB, addr net.IP, port int) *net.UDPConn {
	t.Helper()
	var c *net.UDPConn
	in(t, l.peer, func() {
		var err error
		c, err = net.DialUDP("udp", nil, &net.UDPAddr{IP: addr, Port: port})
		must(t, err)
	})
	t.Cleanup(func() { c.Close() })
	return c
}

// send sends frames as they are.
func send(t testing.TB, fd int, frames ...[]byte) {
	t.Helper()
	for _, f := range frames {
		if _, err := unix.Write(fd, f); err != nil {
			t.Fatalf("sending %d bytes: %v", len(f), err)
		}
	}
}

// sending sends a frame over and over, in steps of a time, until stop is called,
// which says how many were sent. While the interface is down none is.
func sending(t testing.TB, fd int, frame []byte, every time.Duration) (stop func() uint64) {
	stopped, sent := make(chan struct{}), make(chan uint64)
	go func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for n := uint64(0); ; {
			select {
			case <-stopped:
				sent <- n
				return
			case <-tick.C:
				if _, err := unix.Write(fd, frame); err == nil {
					n++
				}
			}
		}
	}()
	stop = sync.OnceValue(func() uint64 {
		close(stopped)
		return <-sent
	})
	t.Cleanup(func() { stop() })
	return stop
}

// captured waits until the kernel has counted n packets in all.
func captured(t testing.TB, r *Ring, n uint64) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for r.Stats().Packets < n {
		if time.Now().After(deadline) {
			t.Fatalf("the kernel counts %d packets, want %d", r.Stats().Packets, n)
		}
		runtime.Gosched()
	}
}

// drainAll reads copies of all frames until the end of the capture.
func drainAll(t testing.TB, r *Ring) [][]byte {
	t.Helper()
	var all [][]byte
	for {
		frames, err := r.Next()
		if err == io.EOF {
			return all
		}
		must(t, err)
		for _, f := range frames {
			all = append(all, append([]byte(nil), f...))
		}
	}
}

// numbered gives n mirror payloads of a size, each beginning with its number.
func numbered(n, size int) [][]byte {
	all := make([][]byte, n)
	for i := range all {
		all[i] = make([]byte, size)
		for j := range all[i] {
			all[i][j] = byte(i + j)
		}
		binary.BigEndian.PutUint32(all[i], uint32(i))
	}
	return all
}
