package check

import (
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"netmirror/source"
	"netmirror/wire/wiretest"

	asked "netmirror/service"
)

// packet is a mirrored TCP packet to be.
type packet struct {
	vni      uint32
	src, dst string // address:port
	flags    string // S, A, F, R
	seq      uint32
	id       uint16 // IPv4's identification
	payload  string
	cut      int // bytes that the mirror has cut off
}

// frame is what a capture would give for it.
func (p packet) frame(tb testing.TB) []byte {
	tb.Helper()
	src, dst := netip.MustParseAddrPort(p.src), netip.MustParseAddrPort(p.dst)
	tcp := &layers.TCP{
		SrcPort: layers.TCPPort(src.Port()), DstPort: layers.TCPPort(dst.Port()), Seq: p.seq, Window: 512,
		SYN: strings.Contains(p.flags, "S"), ACK: strings.Contains(p.flags, "A"),
		FIN: strings.Contains(p.flags, "F"), RST: strings.Contains(p.flags, "R"),
	}
	eth := &layers.Ethernet{SrcMAC: net.HardwareAddr{2, 0, 0, 0, 0, 1}, DstMAC: net.HardwareAddr{2, 0, 0, 0, 0, 2}, EthernetType: layers.EthernetTypeIPv4}
	var inner []byte
	if src.Addr().Is4() {
		ip := &layers.IPv4{Version: 4, TTL: 64, Id: p.id, Protocol: layers.IPProtocolTCP, SrcIP: src.Addr().AsSlice(), DstIP: dst.Addr().AsSlice()}
		tcp.SetNetworkLayerForChecksum(ip)
		inner = wiretest.Serialize(tb, eth, ip, tcp, gopacket.Payload(p.payload))
	} else {
		eth.EthernetType = layers.EthernetTypeIPv6
		ip := &layers.IPv6{Version: 6, HopLimit: 64, NextHeader: layers.IPProtocolTCP, SrcIP: src.Addr().AsSlice(), DstIP: dst.Addr().AsSlice()}
		tcp.SetNetworkLayerForChecksum(ip)
		inner = wiretest.Serialize(tb, eth, ip, tcp, gopacket.Payload(p.payload))
	}
	return encap(tb, p.vni, inner[:len(inner)-p.cut])
}

// encap wraps a mirrored frame in VXLAN over UDP over IPv4.
func encap(tb testing.TB, vni uint32, inner []byte) []byte {
	tb.Helper()
	ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolUDP, SrcIP: net.IPv4(192, 0, 2, 1), DstIP: net.IPv4(192, 0, 2, 2)}
	udp := &layers.UDP{SrcPort: 49152, DstPort: 4789}
	udp.SetNetworkLayerForChecksum(ip)
	return wiretest.Serialize(tb,
		&layers.Ethernet{SrcMAC: net.HardwareAddr{2, 0, 0, 0, 0, 3}, DstMAC: net.HardwareAddr{2, 0, 0, 0, 0, 4}, EthernetType: layers.EthernetTypeIPv4},
		ip, udp, &layers.VXLAN{ValidIDFlag: true, VNI: vni}, gopacket.Payload(inner))
}

// testConfig is of a mirror on an interface that no test opens.
func testConfig(vnis []uint32, port uint16) Config {
	c := Config{Interface: "eth0", VNIs: vnis, Program: "netmirror"}.withDefaults()
	if port != 0 {
		c.Ports = asked.PortsOf(port)
	}
	return c
}

// seeing is a look of two seconds that gave the packets, on an MTU of 9001.
func seeing(tb testing.TB, c Config, packets ...packet) *seen {
	tb.Helper()
	s := newSeen(c)
	for _, p := range packets {
		s.add(p.frame(tb), source.Ethernet)
	}
	s.took, s.mtu = 2*time.Second, 9001
	s.flows.now = s.took
	s.flows.fold()
	return s
}

// told is what the report says of a look, and the remedy of the first fault.
func told(tb testing.TB, c Config, s *seen) (text, first string) {
	tb.Helper()
	var out strings.Builder
	r := &report{out: &out}
	if r.arrivals(c, s) {
		r.table(c, s)
		if ch := r.chosen(c, s); ch != nil && r.first == "" {
			r.verdict(c, ch)
		}
	}
	if r.err != nil {
		tb.Fatal(r.err)
	}
	return out.String(), r.first
}
