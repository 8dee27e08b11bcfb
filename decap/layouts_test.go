package decap_test

import (
	"slices"
	"testing"

	"github.com/google/gopacket/layers"

	"netmirror/wire/wiretest"
)

// label is an MPLS label stack entry (RFC 3032, section 2.1).
func label(value uint32, bottom bool) *layers.MPLS {
	return &layers.MPLS{Label: value, StackBottom: bottom, TTL: 64}
}

// gre is a header with these fields present.
func gre(carries layers.EthernetType, key uint32, sum, seq bool) *layers.GRE {
	return &layers.GRE{Protocol: carries, Key: key, KeyPresent: key > 0, ChecksumPresent: sum, SeqPresent: seq}
}

// overUDP is a captured datagram to a port.
func overUDP(tb testing.TB, port layers.UDPPort, parts ...any) []byte {
	ip := ip4(layers.IPProtocolUDP)
	return serialize(tb, slices.Concat([]any{eth(layers.EthernetTypeIPv4), ip, udp(ip, port)}, parts)...)
}

// overGRE is a captured packet of GRE.
func overGRE(tb testing.TB, parts ...any) []byte {
	return serialize(tb, slices.Concat([]any{eth(layers.EthernetTypeIPv4), ip4(layers.IPProtocolGRE)}, parts)...)
}

// inner4 is the headers of an IPv4 packet in the mirrored frame.
func inner4(p layers.IPProtocol) *layers.IPv4 {
	ip := ip4(p)
	ip.SrcIP, ip.DstIP = []byte{172, 16, 0, 1}, []byte{172, 16, 0, 2}
	return ip
}

// datagram is a UDP packet over IPv4 of the mirrored hosts' network.
func datagram(tb testing.TB, port layers.UDPPort, parts ...any) []byte {
	ip := inner4(layers.IPProtocolUDP)
	return serialize(tb, slices.Concat([]any{ip, udp(ip, port)}, parts)...)
}

// ether is an Ethernet frame of any type.
func ether(tb testing.TB, carries uint16, parts ...any) []byte {
	return serialize(tb, slices.Concat([]any{eth(layers.EthernetType(carries))}, parts)...)
}

// The headers that gopacket does not write.
var (
	geneve, awsOptions, gpe, nsh = wiretest.Geneve, wiretest.AWSOptions, wiretest.GPE, wiretest.NSH
	erspan3, tzsp, snap, pppoe   = wiretest.ERSPAN3, wiretest.TZSP, wiretest.SNAP, wiretest.PPPoE
)

const (
	typeIPv4, typeIPv6, typeTEB  = 0x0800, 0x86dd, 0x6558
	typeMPLS, typePPPoE, typeNSH = 0x8847, 0x8864, 0x894f
)

// layout is a captured frame around a packet of the service, with how its headers
// are arranged.
type layout struct {
	name   string
	frame  []byte
	vni    uint32
	ip     []byte
	layers string // as a probe names them
}

// outsides are the ways in which a mirror wraps a frame.
func outsides(tb testing.TB) []layout {
	four, six := packet4(tb, clientPort, testPort, request), packet6(tb, clientPort, testPort, request)
	frame, frame6 := frame4(tb, four), frame6(tb, six)
	ip := ip6(layers.IPProtocolUDP)
	udp6 := udp(ip, 6081)
	aws := datagram(tb, 4789, vxlan(testVNI), frame)
	rows := []layout{
		{"GENEVE", overUDP(tb, 6081, geneve(testVNI, typeTEB), frame), testVNI, four, ""},
		{"GENEVE with options", overUDP(tb, 6081, geneve(testVNI, typeTEB, awsOptions...), frame), testVNI, four, ""},
		{"GENEVE with the most options", overUDP(tb, 6081, geneve(testVNI, typeTEB, make([]byte, 252)...), frame), testVNI, four, ""},
		{"GENEVE with a critical option", set(overUDP(tb, 6081, geneve(testVNI, typeTEB, awsOptions...), frame), atVXLAN+1, 0x40), testVNI, four, ""},
		{"IPv4 in GENEVE", overUDP(tb, 6081, geneve(testVNI, typeIPv4), four), testVNI, four, ""},
		{"IPv6 in GENEVE", overUDP(tb, 6081, geneve(testVNI, typeIPv6), six), testVNI, six, ""},
		{"GENEVE over IPv6", serialize(tb, eth(layers.EthernetTypeIPv6), ip, udp6, geneve(testVNI, typeTEB), frame6), testVNI, six, ""},
		{"VXLAN in GENEVE, as of AWS", overUDP(tb, 6081, geneve(0, typeIPv4, awsOptions...), aws), testVNI, four, ""},
		{"VXLAN in GENEVE of another VNI", overUDP(tb, 6081, geneve(7, typeIPv4), aws), testVNI, four, ""},
		{"VXLAN-GPE, Ethernet", overUDP(tb, 4790, gpe(testVNI, 3), frame), testVNI, four, ""},
		{"VXLAN-GPE, IPv4", overUDP(tb, 4790, gpe(testVNI, 1), four), testVNI, four, ""},
		{"VXLAN-GPE, IPv6", overUDP(tb, 4790, gpe(testVNI, 2), six), testVNI, six, ""},
		{"VXLAN-GPE, NSH, IPv4", overUDP(tb, 4790, gpe(testVNI, 4), nsh(1), four), testVNI, four, "NSH"},
		{"VXLAN-GPE, NSH, Ethernet", overUDP(tb, 4790, gpe(testVNI, 4), nsh(3), frame6), testVNI, six, "NSH"},
		{"VXLAN to the port of VXLAN-GPE", overUDP(tb, 4790, vxlan(testVNI), frame), testVNI, four, ""},
		{"Ethernet in GRE with a key", overGRE(tb, gre(typeTEB, testVNI, false, false), frame), testVNI, four, ""},
		{"Ethernet in GRE with all fields", overGRE(tb, gre(typeTEB, testVNI, true, true), frame6), testVNI, six, ""},
		{"Ethernet in GRE without a key", overGRE(tb, gre(typeTEB, 0, false, false), frame), 0, four, ""},
		{"IPv4 in GRE", overGRE(tb, gre(layers.EthernetTypeIPv4, testVNI, false, false), four), testVNI, four, ""},
		{"GRE over IPv6", serialize(tb, eth(layers.EthernetTypeIPv6), ip6(layers.IPProtocolGRE), gre(typeTEB, testVNI, false, false), frame), testVNI, four, ""},
		{"ERSPAN type I", overGRE(tb, gre(layers.EthernetTypeERSPAN, 0, false, false), frame), 0, four, ""},
		{"ERSPAN type II", overGRE(tb, gre(layers.EthernetTypeERSPAN, 0, false, true), &layers.ERSPANII{Version: 1, SessionID: testVNI, VLANIdentifier: 99, TrunkEncap: 3}, frame), testVNI, four, ""},
		{"ERSPAN type III", overGRE(tb, gre(0x22eb, 0, false, true), erspan3(testVNI, 0), frame), testVNI, four, ""},
		{"ERSPAN type III with a subheader", overGRE(tb, gre(0x22eb, 0, false, true), erspan3(testVNI, 0, make([]byte, 8)...), frame6), testVNI, six, ""},
		{"ERSPAN type III, IP", overGRE(tb, gre(0x22eb, 0, false, true), erspan3(testVNI, 2), six), testVNI, six, ""},
		{"TZSP", overUDP(tb, 37008, tzsp(), frame), 0, four, ""},
		{"a tag in front of ERSPAN", tagged(overGRE(tb, gre(layers.EthernetTypeERSPAN, 0, false, false), frame), 0x8100), 0, four, ""},
	}
	return rows
}

// insides are frames that a mirror saw, in VXLAN.
func insides(tb testing.TB) (rows []layout) {
	four, six := packet4(tb, clientPort, testPort, request), packet6(tb, clientPort, testPort, request)
	frame, frame6 := frame4(tb, four), frame6(tb, six)
	row := func(name, layers string, ip, inside []byte) {
		rows = append(rows, layout{name, encap(tb, inside), testVNI, ip, layers})
	}
	row("a tag of type 0x9200", "VLAN", four, tagged(frame, 0x9200))
	row("a tag of type 0x9300", "VLAN", four, tagged(frame, 0x9300))
	row("QinQ of all types", "VLAN, VLAN, VLAN, VLAN", six, tagged(frame6, 0x88a8, 0x9100, 0x9200, 0x8100))
	row("a label", "MPLS", four, ether(tb, typeMPLS, label(16, true), four))
	row("three labels, IPv6", "MPLS", six, ether(tb, typeMPLS, label(16, false), label(17, false), label(2, true), six))
	row("the other EtherType of MPLS", "MPLS", four, ether(tb, 0x8848, label(16, true), four))
	row("QinQ and MPLS", "VLAN, VLAN, MPLS", four, tagged(ether(tb, typeMPLS, label(16, true), four), 0x88a8, 0x8100))
	row("pseudowire", "MPLS", four, ether(tb, typeMPLS, label(16, true), []byte{0, 0, 0, 1}, frame))
	row("pseudowire with a tag", "MPLS, VLAN", six, ether(tb, typeMPLS, label(16, true), make([]byte, 4), tagged(frame6, 0x8100)))
	row("PPPoE", "PPPoE", four, ether(tb, typePPPoE, pppoe(0x0021, four)))
	row("PPPoE, IPv6", "PPPoE", six, ether(tb, typePPPoE, pppoe(0x0057, six)))
	row("PPPoE behind a tag", "VLAN, PPPoE", four, tagged(ether(tb, typePPPoE, pppoe(0x0021, four)), 0x8100))
	row("LLC and SNAP", "LLC/SNAP", four, snap(typeIPv4, four))
	row("LLC and SNAP of 802.1H", "LLC/SNAP", four, set(snap(typeIPv4, four), 19, 0xf8))
	row("LLC and SNAP and a tag", "LLC/SNAP, VLAN", six, snap(0x8100, slices.Concat([]byte{0, 1, 0x86, 0xdd}, six)))
	row("a tag, LLC and SNAP", "VLAN, LLC/SNAP", four, tagged(snap(typeIPv4, four), 0x8100))
	row("NSH", "NSH", four, ether(tb, typeNSH, nsh(1), four))
	row("NSH, MPLS", "NSH, MPLS", four, ether(tb, typeNSH, nsh(5), label(16, true), four))
	row("IP in IP", "IP in IP", four, ether(tb, typeIPv4, inner4(4), four))
	row("IPv6 in IPv4", "IP in IP", six, ether(tb, typeIPv4, inner4(41), six))
	row("IPv4 in IPv6", "IP in IP", four, ether(tb, typeIPv6, ip6(4), four))
	row("IPv6 in IPv6 behind options", "IPv6 extension headers, IP in IP", six, ether(tb, typeIPv6, behindIPv6(serialize(tb, ip6(41), six), 60, 41, 0, 1, 4, 0, 0, 0, 0)))
	row("GRE", "GRE", four, ether(tb, typeIPv4, inner4(47), gre(layers.EthernetTypeIPv4, 5, true, true), four))
	row("GRE, Ethernet, a tag", "GRE, VLAN", six, ether(tb, typeIPv6, ip6(47), gre(typeTEB, 0, false, false), tagged(frame6, 0x8100)))
	row("GRE, MPLS", "GRE, MPLS", four, ether(tb, typeIPv4, inner4(47), gre(typeMPLS, 0, false, false), label(16, true), four))
	row("Calico's VXLAN", "VXLAN", four, ether(tb, typeIPv4, datagram(tb, 4789, vxlan(4096), frame)))
	row("Flannel's VXLAN", "VXLAN", six, ether(tb, typeIPv4, datagram(tb, 8472, vxlan(1), frame6)))
	row("Cilium's GENEVE", "GENEVE", four, ether(tb, typeIPv4, datagram(tb, 6081, geneve(2, typeTEB, awsOptions...), frame)))
	row("VXLAN-GPE", "VXLAN", four, ether(tb, typeIPv4, datagram(tb, 4790, gpe(2, 1), four)))
	row("four layers", "MPLS, IP in IP, GRE, VXLAN", four, ether(tb, typeMPLS, label(16, true), inner4(4), inner4(47), gre(layers.EthernetTypeIPv4, 0, false, false), datagram(tb, 4789, vxlan(1), frame)))
	return rows
}
