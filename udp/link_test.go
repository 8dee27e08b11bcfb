package udp

import (
	"errors"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"netmirror/link"
	"netmirror/link/linktest"
)

const (
	ourIface   = "mon0"
	otherIface = "other0"
	peerIface  = "peer0"
)

// Addresses of the receiver's end and of the sender's, in every network of a lab.
var (
	mon4, peer4 = net.IPv4(10, 0, 0, 1), net.IPv4(10, 0, 0, 2)
	mon6, peer6 = net.ParseIP("fd00::1"), net.ParseIP("fd00::2")
)

// pair joins two namespaces by a veth pair with addresses.
func pair(t testing.TB, mon netns.NsHandle, name string, peer netns.NsHandle) {
	t.Helper()
	mac := net.HardwareAddr{2, 0, 0, 0, 0, 1}
	up := func(name string, ip4, ip6 net.IP) netlink.Link {
		l, err := netlink.LinkByName(name)
		must(t, err)
		must(t, netlink.LinkSetUp(l))
		must(t, netlink.AddrAdd(l, &netlink.Addr{IPNet: &net.IPNet{IP: ip4, Mask: net.CIDRMask(24, 32)}}))
		must(t, netlink.AddrAdd(l, &netlink.Addr{IPNet: &net.IPNet{IP: ip6, Mask: net.CIDRMask(64, 128)}, Flags: unix.IFA_F_NODAD}))
		return l
	}
	linktest.In(t, mon, func() {
		must(t, netlink.LinkAdd(&netlink.Veth{
			LinkAttrs: netlink.LinkAttrs{Name: name, MTU: 1500, HardwareAddr: mac},
			PeerName:  peerIface, PeerMTU: 1500, PeerNamespace: netlink.NsFd(peer),
		}))
		up(name, mon4, mon6)
	})
	linktest.In(t, peer, func() {
		l := up(peerIface, peer4, peer6)
		for _, ip := range []net.IP{mon4, mon6} { // so that no first packet is late
			must(t, netlink.NeighSet(&netlink.Neigh{LinkIndex: l.Attrs().Index, IP: ip, HardwareAddr: mac, State: netlink.NUD_PERMANENT}))
		}
		awaitLocal(t, peer4, peer6)
	})
	linktest.In(t, mon, func() { awaitLocal(t, mon4, mon6) })
}

// awaitLocal returns when the kernel takes packets to an address of its own for its own: an
// IPv6 address is one only when a worker of the kernel's has looked at it, without
// duplicate address detection too (addrconf_dad_work), and before that they are dropped.
func awaitLocal(t testing.TB, ips ...net.IP) {
	t.Helper()
	end := time.Now().Add(10 * time.Second)
	for _, ip := range ips {
		for {
			routes, err := netlink.RouteGet(ip)
			if err == nil && len(routes) == 1 && routes[0].Type == unix.RTN_LOCAL {
				break
			}
			if time.Now().After(end) {
				t.Fatalf("%v is not local: %v, %v", ip, routes, err)
			}
			time.Sleep(time.Millisecond)
		}
	}
}

// dial is a sender's socket in a namespace.
func dial(t testing.TB, ns netns.NsHandle, to net.IP) (c *net.UDPConn) {
	t.Helper()
	linktest.In(t, ns, func() {
		var err error
		c, err = net.DialUDP("udp", nil, &net.UDPAddr{IP: to, Port: 4789})
		must(t, err)
	})
	t.Cleanup(func() { c.Close() })
	return c
}

// openIn opens a receiver in a namespace.
func openIn(t testing.TB, ns netns.NsHandle, cfg Config) (r *Receiver) {
	t.Helper()
	linktest.In(t, ns, func() {
		var err error
		r, err = Open(cfg)
		must(t, err)
	})
	t.Cleanup(func() { must(t, r.Close()) })
	return r
}

// receive gives copies of n datagrams.
func receive(t testing.TB, r *Receiver, n int) (all [][]byte) {
	t.Helper()
	late := time.AfterFunc(10*time.Second, r.Stop)
	defer late.Stop()
	for len(all) < n {
		frames, err := r.Next()
		if err != nil {
			t.Fatalf("%v: %d of %d came: %+v", err, len(all), n, r.Stats())
		}
		for _, f := range frames {
			all = append(all, slices.Clone(f))
		}
	}
	return all
}

// The interface's GRO makes one packet of datagrams that come closely, and the socket
// takes it.
func TestAggregatedByTheInterface(t *testing.T) {
	for _, features := range [][]string{{"rx-gro"}, {"rx-gro", "rx-gro-list"}, {"rx-gro", "rx-udp-gro-forwarding"}} {
		for _, to := range []net.IP{mon4, mon6} {
			t.Run(features[len(features)-1]+" "+to.String(), func(t *testing.T) {
				mon, peer := linktest.NewNamespace(t), linktest.NewNamespace(t)
				pair(t, mon, ourIface, peer)
				linktest.In(t, mon, func() {
					for _, name := range features {
						linktest.Feature(t, ourIface, name, true)
					}
				})
				linktest.In(t, peer, func() { // so that the packets leave cut, as one burst
					linktest.Feature(t, peerIface, "tx-udp-segmentation", false)
					for _, name := range []string{"", "6", "-ecn", "-mangleid"} { // with which a veth's end has no GRO
						linktest.Feature(t, peerIface, "tx-tcp"+name+"-segmentation", false)
					}
				})
				r, c := openIn(t, mon, Config{}), dial(t, peer, to)
				var want [][]byte
				for n := range 100 {
					size := 900 + n
					set(t, c, unix.SOL_UDP, unix.UDP_SEGMENT, size)
					data := payload(size*(1+n%40)+1+n, byte(n))
					send(t, c, data)
					want = append(want, slices.Collect(slices.Chunk(data, size))...)
				}
				equal(t, receive(t, r, len(want)), want)
				s := r.Stats()
				if s.Aggregates == 0 || s.Unsplit != 0 || s.Cut != 0 || s.Packets >= uint64(len(want))/2 {
					t.Errorf("%+v", s)
				}
			})
		}
	}
}

// Outer fragments are the kernel's to join.
func TestFragments(t *testing.T) {
	mon, peer := linktest.NewNamespace(t), linktest.NewNamespace(t)
	pair(t, mon, ourIface, peer)
	for _, to := range []net.IP{mon4, mon6} {
		r, c := openIn(t, mon, Config{}), dial(t, peer, to)
		want := [][]byte{payload(9000, 1), payload(60000, 2)}
		send(t, c, want...)
		equal(t, receive(t, r, 2), want)
		must(t, r.Close())
	}
}

// What arrives on another interface is another's.
func TestInterfaces(t *testing.T) {
	for _, row := range []struct {
		name       string
		interfaces []string
		want       string
	}{
		{"one", []string{ourIface}, "m"},
		{"the other", []string{otherIface}, "o"},
		{"both", []string{ourIface, otherIface}, "mo"},
		{"one of them and the loopback interface", []string{otherIface, "lo"}, "ol"},
		{"all", nil, "mol"},
	} {
		t.Run(row.name, func(t *testing.T) {
			mon, one, two := linktest.NewNamespace(t), linktest.NewNamespace(t), linktest.NewNamespace(t)
			pair(t, mon, ourIface, one)
			pair(t, mon, otherIface, two)
			linktest.In(t, mon, func() {
				lo, err := netlink.LinkByName("lo")
				must(t, err)
				must(t, netlink.LinkSetUp(lo))
			})
			r := openIn(t, mon, Config{Interfaces: row.interfaces})
			for _, from := range []struct {
				ns   netns.NsHandle
				to   net.IP
				data string
			}{{one, mon4, "m"}, {two, mon4, "o"}, {mon, to4, "l"}} {
				send(t, dial(t, from.ns, from.to), []byte(from.data))
			}
			got := ""
			for _, d := range rest(t, r) {
				got += string(d)
			}
			if s := r.Stats(); got != row.want || s.Drops != 0 {
				t.Errorf("received %q, want %q; %+v", got, row.want, s)
			}
		})
	}
}

func TestInterfaceErrors(t *testing.T) {
	mon, peer := linktest.NewNamespace(t), linktest.NewNamespace(t)
	pair(t, mon, ourIface, peer)
	linktest.In(t, mon, func() {
		if _, err := Open(Config{Interfaces: []string{"eth7"}}); !errors.Is(err, link.ErrNone) || !strings.HasPrefix(err.Error(), `no such interface: "eth7"`) {
			t.Errorf("an interface that is not there: %v, without a package's name in front", err)
		}
		if _, err := Open(Config{Interfaces: []string{"lo"}}); !errors.Is(err, link.ErrDown) {
			t.Errorf("an interface that is down: %v", err)
		}
	})
	r := openIn(t, mon, Config{Interfaces: []string{ourIface}})
	got := make(chan error)
	go func() {
		for {
			_, err := r.Next()
			if err != nil {
				got <- err
				return
			}
		}
	}()
	change := func(f func(netlink.Link) error) {
		linktest.In(t, mon, func() {
			l, err := netlink.LinkByName(ourIface)
			must(t, err)
			must(t, f(l))
		})
	}
	await := func(down bool) {
		t.Helper()
		for end := time.Now().Add(10 * time.Second); (len(r.Stats().Down) > 0) != down; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("the interface is not seen to be down: %t", down)
			}
		}
	}
	change(netlink.LinkSetDown)
	await(true)
	change(netlink.LinkSetUp)
	await(false)
	if s := r.Stats(); s.LinkDowns != 1 {
		t.Errorf("%+v", s)
	}
	change(netlink.LinkDel)
	select {
	case err := <-got:
		if !errors.Is(err, link.ErrGone) {
			t.Errorf("got %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("an interface that was removed is not missed")
	}
}

// Of several interfaces, those are named that are down or have no carrier.
func TestCarrierLostAndBack(t *testing.T) {
	mon, one, two := linktest.NewNamespace(t), linktest.NewNamespace(t), linktest.NewNamespace(t)
	pair(t, mon, ourIface, one)
	linktest.In(t, mon, func() {
		must(t, netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "mon1"}, PeerName: peerIface, PeerNamespace: netlink.NsFd(two)}))
	})
	set := func(ns netns.NsHandle, name string, change func(netlink.Link) error) {
		linktest.In(t, ns, func() {
			l, err := netlink.LinkByName(name)
			must(t, err)
			must(t, change(l))
		})
	}
	set(mon, "mon1", netlink.LinkSetUp)
	set(two, peerIface, netlink.LinkSetUp)
	r := openIn(t, mon, Config{Interfaces: []string{ourIface, "mon1"}})
	await := func(want ...string) {
		t.Helper()
		for end := time.Now().Add(10 * time.Second); !slices.Equal(r.Stats().Down, want); time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("down are %v, want %v", r.Stats().Down, want)
			}
		}
	}
	await()
	set(one, peerIface, netlink.LinkSetDown)
	await(ourIface)
	set(mon, "mon1", netlink.LinkSetDown)
	await(ourIface, "mon1")
	set(one, peerIface, netlink.LinkSetUp)
	await("mon1")
}
