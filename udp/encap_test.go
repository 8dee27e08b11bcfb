package udp

import (
	"errors"
	"net"
	"os"
	"slices"
	"testing"

	"github.com/google/gopacket/layers"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"netmirror/filter"
	"netmirror/link/linktest"
	"netmirror/service"
	"netmirror/source"
	"netmirror/wire"
	"netmirror/wire/wiretest"
)

// inside is what mirrored gives of a client, without VXLAN.
func inside(t testing.TB, client int, fromServer bool) []byte {
	return mirrored(t, ourVNI, client, fromServer, ourPort)[8:]
}

// Every port has its encapsulation, a batch has one, and all is received in order.
func TestEncapsulations(t *testing.T) {
	ns := linktest.NewNamespace(t)
	linktest.In(t, ns, func() {
		lo, err := netlink.LinkByName("lo")
		must(t, err)
		must(t, netlink.LinkSetUp(lo))
	})
	r := openIn(t, ns, Config{})
	senders := map[source.Start]*net.UDPConn{}
	for start, port := range map[source.Start]int{source.VXLAN: 4789, source.VXLANGPE: 4790, source.Geneve: 6081, source.TZSP: 37008} {
		linktest.In(t, ns, func() {
			c, err := net.DialUDP("udp", nil, &net.UDPAddr{IP: to4, Port: port})
			must(t, err)
			t.Cleanup(func() { c.Close() })
			senders[start] = c
		})
	}
	want, got := map[source.Start][][]byte{}, map[source.Start][][]byte{}
	for n := range 200 { // more than a batch of each
		for start, c := range senders {
			d := payload(50+n, byte(start))
			send(t, c, d)
			want[start] = append(want[start], d)
		}
	}
	for left := 4 * 200; left > 0; {
		frames, err := r.Next()
		must(t, err)
		for _, f := range frames {
			got[r.Start()] = append(got[r.Start()], slices.Clone(f))
		}
		left -= len(frames)
	}
	for start := range senders {
		equal(t, got[start], want[start])
	}
	if s := r.Stats(); s.Drops != 0 {
		t.Errorf("%+v", s)
	}
}

// A port that never falls silent holds up no other.
func TestBusyPortHoldsUpNone(t *testing.T) {
	r := open(t, Config{Mirror: wire.Mirror{Ports: []uint16{freePort(t), freePort(t)}}}, 1)[0]
	var c [2]*net.UDPConn
	for i, port := range r.cfg.Mirror.Ports {
		var err error
		c[i], err = net.DialUDP("udp", nil, &net.UDPAddr{IP: to4, Port: int(port)})
		must(t, err)
		defer c[i].Close()
	}
	for busy := range c {
		for range 2 * batchSize {
			send(t, c[busy], []byte{0})
		}
		send(t, c[1-busy], []byte{1})
		for batches := 1; ; batches++ {
			frames, err := r.Next()
			must(t, err)
			for range frames { // the busy one stays so
				send(t, c[busy], []byte{0})
			}
			if slices.ContainsFunc(frames, func(f []byte) bool { return f[0] == 1 }) {
				break
			}
			if batches == 4 {
				t.Fatalf("port %d has not had its turn in %d batches", 1-busy, batches)
			}
		}
		for r.Stats().Waiting > 0 {
			_, err := r.Next()
			must(t, err)
		}
	}
}

// Connections in GENEVE, in VXLAN in GENEVE and in VXLAN-GPE are shared by their hash.
func TestShareOfOtherEncapsulations(t *testing.T) {
	for _, row := range []struct {
		name  string
		encap wire.Encap
		wrap  func(frame []byte) []byte
	}{
		{"GENEVE", wire.EncapGeneve, func(frame []byte) []byte {
			return append(wiretest.Geneve(ourVNI, 0x6558, wiretest.AWSOptions...), frame...)
		}},
		{"IPv4 in GENEVE", wire.EncapGeneve, func(frame []byte) []byte { return append(wiretest.Geneve(ourVNI, 0x0800), frame[14:]...) }},
		{"VXLAN in GENEVE", wire.EncapGeneve, func(frame []byte) []byte {
			return append(wiretest.Geneve(0, 0x0800, wiretest.AWSOptions...), wiretest.Packet(t, wiretest.IP4(nil), wiretest.UDPTo(4789), []byte{8, 0, 0, 0, 0, 0, ourVNI, 0}, frame)...)
		}},
		{"VXLAN-GPE", wire.EncapVXLANGPE, func(frame []byte) []byte { return append(wiretest.GPE(ourVNI, 3), frame...) }},
		{"VXLAN to the port of VXLAN-GPE", wire.EncapVXLANGPE, func(frame []byte) []byte { return append([]byte{8, 0, 0, 0, 0, 0, ourVNI, 0}, frame...) }},
	} {
		t.Run(row.name, func(t *testing.T) {
			const n = 3
			all := open(t, Config{Mirror: wire.Mirror{Encap: row.encap, Ports: []uint16{freePort(t)}}, VNIs: []uint32{ourVNI}, InnerPorts: service.PortsOf(ourPort)}, n)
			c := sender(t, all[0], to4)
			want := make([]int, n)
			for client := range 200 {
				for _, fromServer := range []bool{false, true} {
					frame := inside(t, client, fromServer)
					send(t, c, row.wrap(frame))
					want[hash(append(make([]byte, 8), frame...))%n]++
				}
			}
			for i, r := range all {
				if got := len(rest(t, r)); got != want[i] || got < 50 {
					t.Errorf("receiver %d has %d, want %d", i, got, want[i])
				}
			}
		})
	}
}

// What the program cannot read goes to the first receiver: nothing is lost.
func TestShareOfWhatIsNotRead(t *testing.T) {
	for _, encap := range []wire.Encap{wire.EncapVXLANGPE, wire.EncapGeneve, wire.EncapTZSP} {
		all := open(t, Config{Mirror: wire.Mirror{Encap: encap, Ports: []uint16{freePort(t)}}, VNIs: []uint32{ourVNI}, InnerPorts: service.PortsOf(ourPort)}, 2)
		c := sender(t, all[0], to4)
		want := [][]byte{
			payload(3, 1), payload(300, 2), wiretest.Geneve(1, 0x6558), wiretest.Geneve(1, 0x0800, make([]byte, 252)...),
			append(wiretest.GPE(1, 4), payload(100, 1)...), append(wiretest.TZSP(), inside(t, 5, false)...),
			append(wiretest.Geneve(0, 0x0800), wiretest.Packet(t, wiretest.IP4(func(h *layers.IPv4) { h.FragOffset = 5 }), payload(100, 4))...),
		}
		send(t, c, want...)
		equal(t, rest(t, all[0]), want)
		if got := rest(t, all[1]); len(got) != 0 {
			t.Errorf("%v: the second receiver has %d", encap, len(got))
		}
	}
}

// A datagram of GENEVE that mirrors a packet larger than the sender's segments is one.
func TestAggregatesOfGeneve(t *testing.T) {
	r := open(t, Config{Mirror: wire.Mirror{Encap: wire.EncapGeneve, Ports: []uint16{freePort(t)}}}, 1)[0]
	c := sender(t, r, to4)
	packet := func(n int) []byte {
		ip := wiretest.IP4(func(h *layers.IPv4) { h.Protocol = layers.IPProtocolTCP })
		return append(wiretest.Geneve(ourVNI, 0x6558, wiretest.AWSOptions...), wiretest.Packet(t, wiretest.Ether(layers.EthernetTypeIPv4), ip, &layers.TCP{DstPort: ourPort}, make([]byte, n))...)
	}
	set(t, c, unix.SOL_UDP, unix.UDP_SEGMENT, len(packet(1000)))
	send(t, c, slices.Concat(packet(1000), packet(1000), packet(400)), packet(5000))
	equal(t, rest(t, r), [][]byte{packet(1000), packet(1000), packet(400), packet(5000)})
}

// What comes over IP itself is none of a UDP socket's, and is said to be so.
func TestNotOverUDP(t *testing.T) {
	for _, encap := range []wire.Encap{wire.EncapGRE, wire.EncapERSPAN, wire.EncapNone} {
		if _, err := Open(Config{Mirror: wire.Mirror{Encap: encap}}); !errors.Is(err, ErrNotUDP) {
			t.Errorf("%v: %v", encap, err)
		}
	}
}

// A program of the longest configuration is one that the kernel takes.
func TestLongestProgram(t *testing.T) {
	interfaces := make([]int, maxInterfaces)
	for _, encap := range []wire.Encap{wire.EncapVXLAN, wire.EncapVXLANGPE, wire.EncapGeneve, wire.EncapTZSP} {
		c := filter.Config{VNIs: make([]uint32, filter.MaxVNIs), InnerPorts: service.PortsOf(1)}
		if prog, err := filter.Assemble(c.Datagrams(encap, maxReceivers*MaxSpread, interfaces)); err != nil || prog.Len > 4096 {
			t.Errorf("%v: %v", encap, err)
		}
	}
}

// The port that the mirror sends to has the memory, until another has traffic too.
func TestMemoryGoesWhereTrafficIs(t *testing.T) {
	const bytes = 8 << 20
	r := open(t, Config{Bytes: bytes, Mirror: wire.Mirror{Ports: []uint16{freePort(t), freePort(t), freePort(t), freePort(t)}}}, 1)[0]
	if len(r.sockets) != 4 && os.Getenv("CI") == "" {
		t.Skip("the kernel grants too little memory")
	}
	for i, want := range [][]int{{bytes, bytes / 16, bytes / 16, bytes / 16}, {bytes / 2, bytes / 2, bytes / 16, bytes / 16}} {
		c, err := net.DialUDP("udp", nil, &net.UDPAddr{IP: to4, Port: int(r.cfg.Mirror.Ports[i])})
		must(t, err)
		defer c.Close()
		send(t, c, payload(100, 1))
		_, err = r.Next()
		must(t, err)
		room := 0
		for n, s := range r.sockets {
			now, err := s.memory()
			must(t, err)
			if now.size != want[n] {
				t.Errorf("port %d used: port %d has %d bytes, want %d", i, n, now.size, want[n])
			}
			room += want[n]
		}
		if got := r.Stats().Room; got != room {
			t.Errorf("room for %d bytes, want %d", got, room)
		}
	}
}
