package tap

import (
	"slices"
	"testing"

	"github.com/google/gopacket/layers"

	"netmirror/wire/wiretest"
)

// vxlan is a VXLAN header by hand (RFC 7348, section 5).
func vxlan(vni int) []byte {
	return []byte{0x08, 0, 0, 0, byte(vni >> 16), byte(vni >> 8), byte(vni), 0}
}

// tcp is a TCP header.
func tcp(src, dst int) *layers.TCP {
	return &layers.TCP{SrcPort: layers.TCPPort(src), DstPort: layers.TCPPort(dst), Seq: 1, ACK: true, Window: 100}
}

// outerLayout is a way to the UDP payload.
type outerLayout struct {
	name    string
	headers []any
}

// wrap puts a mirrored frame into a mirror packet.
func (o outerLayout) wrap(t testing.TB, vni int, inner ...any) []byte {
	t.Helper()
	return packet(t, slices.Concat(o.headers, []any{vxlan(vni)}, inner)...)
}

// outerLayouts are all that the filter looks into, and some that it does not.
func outerLayouts() []outerLayout {
	const (
		hop  = layers.IPProtocolIPv6HopByHop
		frag = layers.IPProtocolIPv6Fragment
		ctag = layers.EthernetTypeDot1Q
		stag = layers.EthernetTypeQinQ
	)
	udp := udpTo(4789)
	udp6 := layers.IPProtocolUDP
	return []outerLayout{
		{"IPv4", []any{ether(v4), ip4(nil), udp}},
		{"IPv4 with options", []any{ether(v4), ip4(fourOptions), udp}},
		{"one tag, IPv4", []any{ether(v4, ctag), ip4(nil), udp}},
		{"two tags, IPv4", []any{ether(v4, stag, ctag), ip4(fourOptions), udp}},
		{"IPv6", []any{ether(v6), ip6(udp6), udp}},
		{"two tags, IPv6", []any{ether(v6, stag, ctag), ip6(udp6), udp}},
		{"IPv6 with options", []any{ether(v6), ip6(hop), longOptions(17), udp}},
		{"IPv6 with options twice", []any{ether(v6), ip6(hop), hopByHop(60), longOptions(17), udp}},
		{"IPv6 with options thrice", []any{ether(v6), ip6(hop), hopByHop(60), longOptions(60), hopByHop(17), udp}},
		{"IPv6 atomic fragment", []any{ether(v6), ip6(frag), fragHeader(17, 0, false), udp}},
		{"IPv6 atomic fragment behind options", []any{ether(v6), ip6(hop), hopByHop(44), fragHeader(17, 0, false), udp}},
	}
}

func fourOptions(h *layers.IPv4) {
	h.Options = []layers.IPv4Option{{OptionType: 1}, {OptionType: 1}, {OptionType: 1}, {OptionType: 0}}
}

// innerLayout is a mirrored frame, of a kind.
type innerLayout struct {
	name   string
	frame  []any
	accept bool
}

func innerLayouts(t testing.TB, src, dst int) []innerLayout {
	t.Helper()
	of := func(p layers.IPProtocol) func(*layers.IPv4) { return func(h *layers.IPv4) { h.Protocol = p } }
	const (
		hop  = layers.IPProtocolIPv6HopByHop
		frag = layers.IPProtocolIPv6Fragment
		ctag = layers.EthernetTypeDot1Q
		stag = layers.EthernetTypeQinQ
		qinq = layers.EthernetType(0x9100)
		tcp6 = layers.IPProtocolTCP
	)
	isTCP := func(h *layers.IPv4) { h.Protocol = layers.IPProtocolTCP }
	ours := src == ourPort || dst == ourPort
	seg, data := tcp(src, dst), []byte("GET / HTTP/1.1\r\n\r\n")
	return []innerLayout{
		{"IPv4", []any{ether(v4), ip4(isTCP), seg, data}, ours},
		{"IPv4 without data", []any{ether(v4), ip4(isTCP), seg}, ours},
		{"IPv4 with options", []any{ether(v4), ip4(func(h *layers.IPv4) { isTCP(h); fourOptions(h) }), seg, data}, ours},
		{"IPv6", []any{ether(v6), ip6(tcp6), seg, data}, ours},
		{"tag, IPv4", []any{ether(v4, ctag), ip4(isTCP), seg, data}, true},
		{"two tags, IPv6", []any{ether(v6, stag, ctag), ip6(tcp6), seg, data}, true},
		{"old tag, IPv4", []any{ether(v4, qinq), ip4(isTCP), seg, data}, true},
		{"IPv6 with options", []any{ether(v6), ip6(hop), hopByHop(6), seg, data}, true},
		{"IPv6 atomic fragment", []any{ether(v6), ip6(frag), fragHeader(6, 0, false), seg, data}, true},
		{"IPv6 with an unknown header", []any{ether(v6), ip6(253), seg, data}, true},
		{"IPv4 first fragment", []any{ether(v4), ip4(func(h *layers.IPv4) { isTCP(h); h.Flags = layers.IPv4MoreFragments }), seg, data}, true},
		{"IPv4 later fragment", []any{ether(v4), ip4(func(h *layers.IPv4) { isTCP(h); h.FragOffset = 5 }), seg, data}, true},
		{"IPv4 with DF", []any{ether(v4), ip4(func(h *layers.IPv4) { isTCP(h); h.Flags = layers.IPv4DontFragment }), seg, data}, ours},
		{"IPv4 header of 4 words", []any{ether(v4), []byte{0x44, 0, 0, 40, 0, 0, 0, 0, 64, 6}, make([]byte, 60)}, true},
		{"IPv6 in an IPv4 frame", []any{ether(v4), ip6(tcp6), seg, data}, true},
		{"IPv4 in an IPv6 frame", []any{ether(v6), ip4(isTCP), seg, data}, true},
		{"IPv4 UDP", []any{ether(v4), ip4(nil), udpTo(ourPort), data}, false},
		{"IPv4 UDP fragment", []any{ether(v4), ip4(func(h *layers.IPv4) { h.FragOffset = 5 }), data}, true}, // an overlay's maybe
		{"IPv6 UDP", []any{ether(v6), ip6(layers.IPProtocolUDP), udpTo(ourPort), data}, false},
		{"ICMPv6", []any{ether(v6), ip6(layers.IPProtocolICMPv6), data, data}, false},
		{"ARP", []any{ether(layers.EthernetTypeARP), make([]byte, 46)}, false},
		{"tag of type 0x9200, IPv4", []any{ether(v4, 0x9200), ip4(isTCP), seg, data}, true},
		{"tag of type 0x9300, IPv4", []any{ether(v4, 0x9300), ip4(isTCP), seg, data}, true},
		{"MPLS", []any{ether(layers.EthernetTypeMPLSUnicast), &layers.MPLS{Label: 16, StackBottom: true, TTL: 64}, ip4(isTCP), seg, data}, true},
		{"PPPoE", []any{ether(layers.EthernetTypePPPoESession), wiretest.PPPoE(0x21, packet(t, ip4(isTCP), seg, data))}, true},
		{"LLC and SNAP", []any{wiretest.SNAP(0x0800, packet(t, ip4(isTCP), seg, data))}, true},
		{"NSH", []any{ether(0x894f), []byte{0x0f, 0xc2, 2, 1, 0, 0, 1, 255}, ip4(isTCP), seg}, true},
		{"IP in IP", []any{ether(v4), ip4(of(4)), ip4(isTCP), seg, data}, true},
		{"IPv6 in IPv4", []any{ether(v4), ip4(of(41)), ip6(tcp6), seg, data}, true},
		{"IPv4 in IPv6", []any{ether(v6), ip6(4), ip4(isTCP), seg, data}, true},
		{"GRE", []any{ether(v4), ip4(of(47)), &layers.GRE{Protocol: v6}, ip6(tcp6), seg, data}, true},
		{"VXLAN of an overlay", []any{ether(v4), ip4(fourOptions), udpTo(8472), vxlan(1), ether(v4), ip4(isTCP), seg, data}, true},
		{"GENEVE of an overlay", []any{ether(v6), ip6(layers.IPProtocolUDP), udpTo(6081), wiretest.Geneve(1, 0x6558), ether(v4), ip4(isTCP), seg, data}, true},
	}
}

// serviceFrames are one frame for each layout outside and inside.
func serviceFrames(t testing.TB) (all [][]byte) {
	t.Helper()
	for _, o := range outerLayouts() {
		for _, in := range slices.Concat(innerLayouts(t, 50000, ourPort), innerLayouts(t, ourPort, 443)) {
			all = append(all, o.wrap(t, ourVNI, in.frame...))
		}
	}
	return all
}

// otherFrames are mirror packets of all encapsulations but the plainest.
func otherFrames(t testing.TB) (all [][]byte) {
	t.Helper()
	gre := func(h *layers.IPv4) { h.Protocol = layers.IPProtocolGRE }
	for _, in := range slices.Concat(innerLayouts(t, 50000, ourPort), innerLayouts(t, ourPort, 443)[:4]) {
		over := func(headers ...any) { all = append(all, packet(t, slices.Concat(headers, in.frame)...)) }
		over(ether(v4), ip4(nil), udpTo(6081), wiretest.Geneve(ourVNI, 0x6558, wiretest.AWSOptions...))
		over(ether(v6), ip6(layers.IPProtocolUDP), udpTo(6081), wiretest.Geneve(ourVNI, 0x6558))
		over(ether(v4), ip4(nil), udpTo(6081), wiretest.Geneve(7, 0x0800), ip4(nil), udpTo(4789), vxlan(ourVNI))
		over(ether(v4), ip4(nil), udpTo(4790), wiretest.GPE(ourVNI, 3))
		over(ether(v4), ip4(nil), udpTo(5000), vxlan(ourVNI))
		over(ether(v4), ip4(nil), udpTo(37008), wiretest.TZSP())
		over(ether(v4), ip4(gre), &layers.GRE{Protocol: 0x6558, KeyPresent: true, Key: ourVNI})
		over(ether(v6), ip6(layers.IPProtocolGRE), &layers.GRE{Protocol: 0x88be})
		over(ether(v6), ip6(layers.IPProtocolIPv6HopByHop), hopByHop(47), &layers.GRE{Protocol: 0x88be})
		over(ether(v4), ip4(gre), &layers.GRE{Protocol: 0x22eb, SeqPresent: true}, wiretest.ERSPAN3(0, 0))
	}
	return all
}

// bareFrames are mirrored frames that nothing is around.
func bareFrames(t testing.TB) (all [][]byte) {
	t.Helper()
	for _, in := range slices.Concat(innerLayouts(t, 50000, ourPort), innerLayouts(t, ourPort, 443)) {
		all = append(all, packet(t, in.frame...))
	}
	return all
}
