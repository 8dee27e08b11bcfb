package tap

import (
	"slices"
	"testing"

	"github.com/google/gopacket/layers"
	"golang.org/x/net/bpf"

	"netmirror/filter"
)

// longOptions is an extension header of 16 bytes.
func longOptions(next byte) []byte { return append([]byte{next, 1, 1, 12}, make([]byte, 12)...) }

func TestFilter(t *testing.T) {
	data := []byte("0123456789abcdef")
	part := func(proto layers.IPProtocol, flags layers.IPv4Flag, units uint16) *layers.IPv4 {
		return ip4(func(h *layers.IPv4) { h.Protocol, h.Flags, h.FragOffset = proto, flags, units })
	}
	options := func(h *layers.IPv4) {
		// Loose source route through two routers, as 12 bytes of options.
		h.Options = []layers.IPv4Option{{OptionType: 131, OptionLength: 11, OptionData: make([]byte, 9)}, {OptionType: 0}}
	}
	const (
		udp  = layers.IPProtocolUDP
		tcp  = layers.IPProtocolTCP
		more = layers.IPv4MoreFragments
		ext  = layers.IPProtocolIPv6HopByHop
		frag = layers.IPProtocolIPv6Fragment
		ctag = layers.EthernetTypeDot1Q
		stag = layers.EthernetTypeQinQ
		qinq = layers.EthernetType(0x9100)
	)
	for _, tc := range []struct {
		name   string
		frame  []byte
		accept bool
	}{
		{"IPv4 to the port", packet(t, ether(v4), ip4(nil), udpTo(4789), data), true},
		{"IPv4 to another port", packet(t, ether(v4), ip4(nil), udpTo(4790), data), false},
		{"IPv4 from the port", packet(t, ether(v4), ip4(nil), &layers.UDP{SrcPort: 4789, DstPort: 53}, data), false},
		{"IPv4 with options to the port", packet(t, ether(v4), ip4(options), udpTo(4789), data), true},
		{"IPv4 with options to another port", packet(t, ether(v4), ip4(options), udpTo(53), data), false},
		{"IPv4 TCP with the port", packet(t, ether(v4), part(tcp, 0, 0), udpTo(4789), data), false},
		{"IPv4 with DF", packet(t, ether(v4), part(udp, layers.IPv4DontFragment, 0), udpTo(4789), data), true},
		{"IPv4 first fragment to the port", packet(t, ether(v4), part(udp, more, 0), udpTo(4789), data), true},
		{"IPv4 first fragment to another port", packet(t, ether(v4), part(udp, more, 0), udpTo(53), data), false},
		{"IPv4 middle fragment", packet(t, ether(v4), part(udp, more, 1), data), true},
		{"IPv4 last fragment", packet(t, ether(v4), part(udp, 0, 0x1fff), data), true},
		{"IPv4 TCP fragment", packet(t, ether(v4), part(tcp, more, 1), data), false},
		{"IPv4 cut before the port", packet(t, ether(v4), ip4(nil), udpTo(4789))[:36], false},

		{"IPv6 to the port", packet(t, ether(v6), ip6(udp), udpTo(4789), data), true},
		{"IPv6 to another port", packet(t, ether(v6), ip6(udp), udpTo(53), data), false},
		{"IPv6 TCP with the port", packet(t, ether(v6), ip6(tcp), udpTo(4789), data), false},
		{"IPv6 with hop-by-hop options", packet(t, ether(v6), ip6(ext), hopByHop(17), udpTo(4789), data), true},
		{"IPv6 with hop-by-hop options to another port", packet(t, ether(v6), ip6(ext), hopByHop(17), udpTo(53), data), false},
		{"IPv6 with 16 bytes of options", packet(t, ether(v6), ip6(ext), longOptions(17), udpTo(4789), data), true},
		{"IPv6 with options twice to the port", packet(t, ether(v6), ip6(ext), longOptions(60), hopByHop(17), udpTo(4789), data), true},
		{"IPv6 with options twice to another port", packet(t, ether(v6), ip6(ext), longOptions(60), hopByHop(17), udpTo(53), data), false},
		{"IPv6 with options thrice, to any port", packet(t, ether(v6), ip6(ext), longOptions(60), hopByHop(43), hopByHop(17), udpTo(53), data), true},
		{"IPv6 with options before a fragment to another port", packet(t, ether(v6), ip6(ext), longOptions(44), fragHeader(17, 0, true), udpTo(53), data), false},
		{"IPv6 with options before a later fragment", packet(t, ether(v6), ip6(ext), longOptions(44), fragHeader(17, 8, true), data), true},
		{"multicast listener report", packet(t, ether(v6), ip6(ext), hopByHop(58), data), false},
		{"IPv6 with AH", packet(t, ether(v6), ip6(51), data), true},
		{"IPv6 atomic fragment to the port", packet(t, ether(v6), ip6(frag), fragHeader(17, 0, false), udpTo(4789), data), true},
		{"IPv6 first fragment to the port", packet(t, ether(v6), ip6(frag), fragHeader(17, 0, true), udpTo(4789), data), true},
		{"IPv6 first fragment to another port", packet(t, ether(v6), ip6(frag), fragHeader(17, 0, true), udpTo(53), data), false},
		{"IPv6 middle fragment", packet(t, ether(v6), ip6(frag), fragHeader(17, 8, true), data), true},
		{"IPv6 last fragment", packet(t, ether(v6), ip6(frag), fragHeader(17, 0xfff8, false), data), true},
		{"IPv6 fragment of destination options", packet(t, ether(v6), ip6(frag), fragHeader(60, 0, true), data), true},
		{"IPv6 atomic fragment in an atomic fragment", packet(t, ether(v6), ip6(frag), fragHeader(44, 0, false), fragHeader(17, 0, false), udpTo(4789), data), true},
		{"IPv6 TCP fragment", packet(t, ether(v6), ip6(frag), fragHeader(6, 8, true), data), false},
		{"ICMPv6", packet(t, ether(v6), ip6(layers.IPProtocolICMPv6), data), false},

		{"one tag, IPv4 to the port", packet(t, ether(v4, ctag), ip4(nil), udpTo(4789), data), true},
		{"one tag, IPv4 to another port", packet(t, ether(v4, ctag), ip4(nil), udpTo(53), data), false},
		{"two tags, IPv4 with options", packet(t, ether(v4, stag, ctag), ip4(options), udpTo(4789), data), true},
		{"two tags of the old type, IPv6", packet(t, ether(v6, qinq, qinq), ip6(udp), udpTo(4789), data), true},
		{"two tags, IPv6 to another port", packet(t, ether(v6, stag, ctag), ip6(udp), udpTo(53), data), false},
		{"two tags, IPv4 last fragment", packet(t, ether(v4, ctag, ctag), part(udp, 0, 3), data), true},
		{"two tags, IPv6 first fragment", packet(t, ether(v6, ctag, ctag), ip6(frag), fragHeader(17, 0, true), udpTo(4789), data), true},
		{"three tags", packet(t, ether(v4, ctag, ctag, ctag), ip4(nil), udpTo(4789), data), false},

		{"ARP", packet(t, ether(layers.EthernetTypeARP), make([]byte, 46)), false},
		{"LLC", packet(t, ether(layers.EthernetTypeLLC), make([]byte, 46)), false},
		{"Ethernet header only", packet(t, ether(v4)), false},
		{"empty", nil, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			vm, err := bpf.NewVM(Config{Mirror: vxlanAt(4789)}.filter().Frames())
			must(t, err)
			n, err := vm.Run(tc.frame)
			must(t, err)
			if accepted := n > 0; accepted != tc.accept {
				t.Fatalf("accepted: %v, want %v; frame % x", accepted, tc.accept, tc.frame)
			}
			if tc.accept && n < len(tc.frame) {
				t.Fatalf("%d of %d bytes accepted", n, len(tc.frame))
			}
		})
	}
}

func TestDropAll(t *testing.T) {
	vm, err := bpf.NewVM(filter.DropAll)
	must(t, err)
	if n, err := vm.Run(mirrored(t, []byte("x"))); err != nil || n != 0 {
		t.Fatalf("%d bytes accepted, err %v", n, err)
	}
}

// The classic machine takes at most 4096 instructions, and skips at most 255.
func TestFilterAssembles(t *testing.T) {
	for _, port := range []uint16{1, 4789, 65535} {
		raw, err := bpf.Assemble(Config{Mirror: vxlanAt(port)}.filter().Frames())
		must(t, err)
		if _, ok := bpf.Disassemble(raw); !ok || !slices.ContainsFunc(raw, func(in bpf.RawInstruction) bool {
			return in.K == uint32(port)
		}) {
			t.Fatalf("port %d is not in the filter", port)
		}
	}
}
