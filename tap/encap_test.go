package tap

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/google/gopacket/layers"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"netmirror/filter"
	"netmirror/service"
	"netmirror/wire"
	"netmirror/wire/wiretest"
)

// ofGRE makes an IPv4 header one of GRE.
func ofGRE(h *layers.IPv4) { h.Protocol = layers.IPProtocolGRE }

// The kernel, which has no GRE tunnel, says so to whoever sends GRE; while the
// capture is open it does not.
func TestKernelDoesNotAnswerGRE(t *testing.T) {
	l := newLab(t, 1500)
	in(t, l.mon, func() {
		for _, f := range []string{"ipv4/icmp_ratelimit", "ipv6/icmp/ratelimit"} {
			must(t, os.WriteFile("/proc/sys/net/"+f, []byte("0"), 0))
		}
	})
	for _, row := range []struct {
		network string
		to      net.IP
		answer  unix.Errno // to the ICMP error
	}{
		{"ip4:47", mon4, unix.ENOPROTOOPT},
		{"ip6:47", mon6, unix.EPROTO},
	} {
		var c *net.IPConn
		in(t, l.peer, func() {
			var err error
			c, err = net.DialIP(row.network, nil, &net.IPAddr{IP: row.to})
			must(t, err)
		})
		defer c.Close()
		r := l.open(t, Config{})
		_, err := c.Write([]byte{0, 0, 0x65, 0x58, 1, 2, 3, 4, 5, 6})
		must(t, err)
		captured(t, r, 1)
		nobody := l.udp(t, row.to, 4788) // answered behind it
		_, err = nobody.Write([]byte("to a port that nobody has"))
		must(t, err)
		refused(t, nobody)
		must(t, c.SetReadDeadline(time.Now()))
		if _, err := c.Read(make([]byte, 10)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%v: the kernel answered: %v", row.to, err)
		}

		must(t, r.Close())
		must(t, c.SetReadDeadline(time.Now().Add(10*time.Second)))
		_, err = c.Write([]byte{0, 0, 0x65, 0x58, 1, 2, 3, 4, 5, 6})
		must(t, err)
		if _, err := c.Read(make([]byte, 10)); !errors.Is(err, row.answer) {
			t.Errorf("%v, closed: %v, want %v", row.to, err, row.answer)
		}
	}
}

// The ports of all encapsulations are held, and no others where one is asked for.
func TestPortsOfAllEncapsulationsAreHeld(t *testing.T) {
	l := newLab(t, 1500)
	in(t, l.mon, func() { must(t, os.WriteFile("/proc/sys/net/ipv4/icmp_ratelimit", []byte("0"), 0)) })
	held := func(port int) bool {
		c, nobody := l.udp(t, mon4, port), l.udp(t, mon4, 4788)
		_, err := c.Write([]byte("x"))
		must(t, err)
		_, err = nobody.Write([]byte("x"))
		must(t, err)
		refused(t, nobody)
		return pendingError(t, c) == 0
	}
	for _, row := range []struct {
		mirror wire.Mirror
		held   []int
	}{
		{wire.Mirror{}, []int{4789, 4790, 6081, 37008}},
		{wire.Mirror{Encap: wire.EncapGeneve}, []int{6081}},
		{wire.Mirror{Ports: []uint16{5000, 6081}}, []int{5000, 6081}},
		{wire.Mirror{Encap: wire.EncapERSPAN}, nil},
		{wire.Mirror{Encap: wire.EncapNone}, nil},
	} {
		r := l.open(t, Config{Mirror: row.mirror})
		for _, port := range []int{4789, 4790, 5000, 6081, 37008} {
			if got, want := held(port), slices.Contains(row.held, port); got != want {
				t.Errorf("%+v: port %d is held: %t, want %t", row.mirror, port, got, want)
			}
		}
		must(t, r.Close())
	}
}

// Fragments of GRE are joined, as those of UDP are.
func TestFragmentsOfGRE(t *testing.T) {
	l := newLab(t, 1500)
	r, fd := l.open(t, Config{}), l.sender(t)
	whole := packet(t, ether(v4), ip4(ofGRE), &layers.GRE{Protocol: 0x88be}, ether(v4), bytes.Repeat([]byte("mirrored"), 300))
	data := whole[34:]
	part := func(at, end int, more layers.IPv4Flag) []byte {
		return packet(t, ether(v4), ip4(func(h *layers.IPv4) {
			ofGRE(h)
			h.Id, h.FragOffset, h.Flags = 7, uint16(at/8), more
		}), data[at:end])
	}
	send(t, fd, part(1400, len(data), 0), part(0, 1400, layers.IPv4MoreFragments))
	captured(t, r, 2)
	r.Stop()
	got := drainAll(t, r)
	if len(got) != 1 || !bytes.Equal(got[0][34:], data) {
		t.Fatalf("%d frames", len(got))
	}
	settled(t, r)
}

// Without an encapsulation the mirrored frames come as they are, fragments too, and
// those of other services do not.
func TestBareCapture(t *testing.T) {
	l := newLab(t, minIPv6-1) // without what a host's IPv6 says at the start, which is captured too
	r, fd := l.open(t, Config{Mirror: wire.Mirror{Encap: wire.EncapNone}, InnerPorts: service.PortsOf(ourPort)}), l.sender(t)
	tcpOf := func(h *layers.IPv4) { h.Protocol = layers.IPProtocolTCP }
	ours := packet(t, ether(v4), ip4(tcpOf), tcp(50000, ourPort), []byte("GET / HTTP/1.1\r\n\r\n"))
	tunnel := packet(t, ether(layers.EthernetTypeMPLSUnicast), &layers.MPLS{Label: 16, StackBottom: true}, ip4(tcpOf), tcp(50000, ourPort))
	first := packet(t, ether(v4), ip4(func(h *layers.IPv4) { tcpOf(h); h.Flags = layers.IPv4MoreFragments }), tcp(50000, ourPort), []byte("1234"))
	last := packet(t, ether(v4), ip4(func(h *layers.IPv4) { tcpOf(h); h.FragOffset = 3 }), []byte("56"))
	send(t, fd, packet(t, ether(v4), ip4(tcpOf), tcp(50000, 443)), ours, mirrored(t, []byte("no VXLAN")), tunnel, first, last)
	want := [][]byte{ours, mirrored(t, []byte("no VXLAN")), tunnel, first, last} // a port of an overlay
	captured(t, r, uint64(len(want)))
	r.Stop()
	equalFrames(t, drainAll(t, r), want)
	settled(t, r)
}

// Bare frames are shared out by the same hash.
func TestBareFanout(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for range 20 {
		f := randomFlow(rng)
		for _, fromServer := range []bool{false, true} {
			frame := packet(t, f.inner(fromServer)...)
			prog := filter.Fanout(wire.Mirror{Encap: wire.EncapNone})
			prog[0] = bpf.LoadConstant{Dst: bpf.RegA, Val: uint32(wire.EtherType(frame))} // which the kernel knows of a packet
			n, err := newVM(t, prog).Run(frame[wire.EthernetHeader:])
			must(t, err)
			if uint32(n) != f.hash(false) {
				t.Errorf("%v: %#x, want %#x", f, n, f.hash(false))
			}
		}
	}
}

// A datagram of GENEVE with options that mirrors a large packet is not several.
func TestGeneveIsNotSplit(t *testing.T) {
	in := packet(t, ether(v4), ip4(func(h *layers.IPv4) { h.Protocol = layers.IPProtocolTCP }), tcp(50000, ourPort), make([]byte, 5000))
	frame := packet(t, ether(v4), ip4(nil), udpTo(6081), wiretest.Geneve(ourVNI, 0x6558, wiretest.AWSOptions...), in)
	var s splitter
	s.begin()
	if got := s.split(nil, slices.Clone(frame), offloadOf(offloadUDP, 0, 1448, 0)); len(got) != 1 || !bytes.Equal(got[0], frame) {
		t.Errorf("it became %d", len(got))
	}
}
