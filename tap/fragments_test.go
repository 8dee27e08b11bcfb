package tap

import (
	"testing"

	"github.com/google/gopacket/layers"

	"netmirror/defrag"
)

func sum(n [defrag.Drops]uint64) (all uint64) {
	for _, v := range n {
		all += v
	}
	return all
}

// readable is a whole frame as the capture hands it out: without the header of an
// IPv6 fragment that is all of its datagram.
func readable(frame []byte) []byte { return defrag.New(defrag.Config{Protocol: protoUDP}).Frame(frame) }

// family makes the fragments of one IP version, and the packet they make up.
type family struct {
	name  string
	part  func(t testing.TB, id, offset int, more bool, data []byte) []byte
	whole func(t testing.TB, id int, data []byte) []byte
}

var families = []family{
	{"IPv4", func(t testing.TB, id, offset int, more bool, data []byte) []byte {
		return packet(t, ether(v4), ip4(func(h *layers.IPv4) {
			h.Id, h.FragOffset = uint16(id), uint16(offset/8)
			if more {
				h.Flags = layers.IPv4MoreFragments
			}
		}), data)
	}, func(t testing.TB, id int, data []byte) []byte {
		return packet(t, ether(v4), ip4(func(h *layers.IPv4) { h.Id = uint16(id) }), data)
	}},
	{"IPv4 with options behind two tags", func(t testing.TB, id, offset int, more bool, data []byte) []byte {
		return packet(t, ether(v4, layers.EthernetTypeQinQ, layers.EthernetTypeDot1Q), ip4(func(h *layers.IPv4) {
			h.Id, h.FragOffset, h.Options = uint16(id), uint16(offset/8), routerAlert
			if more {
				h.Flags = layers.IPv4MoreFragments
			}
		}), data)
	}, func(t testing.TB, id int, data []byte) []byte {
		return packet(t, ether(v4, layers.EthernetTypeQinQ, layers.EthernetTypeDot1Q), ip4(func(h *layers.IPv4) {
			h.Id, h.Options = uint16(id), routerAlert
		}), data)
	}},
	{"IPv6", func(t testing.TB, id, offset int, more bool, data []byte) []byte {
		return packet(t, ether(v6), ip6(layers.IPProtocolIPv6Fragment), withID(fragHeader(17, offset, more), id), data)
	}, func(t testing.TB, _ int, data []byte) []byte {
		return packet(t, ether(v6), ip6(layers.IPProtocolUDP), data)
	}},
	{"IPv6 with hop-by-hop options", func(t testing.TB, id, offset int, more bool, data []byte) []byte {
		return packet(t, ether(v6), ip6(layers.IPProtocolIPv6HopByHop), hopByHop(44), withID(fragHeader(17, offset, more), id), data)
	}, func(t testing.TB, _ int, data []byte) []byte {
		return packet(t, ether(v6), ip6(layers.IPProtocolIPv6HopByHop), hopByHop(17), data)
	}},
}

var routerAlert = []layers.IPv4Option{{OptionType: 148, OptionLength: 4, OptionData: []byte{0, 0}}}

func withID(h []byte, id int) []byte {
	h[4], h[5], h[6], h[7] = byte(id>>24), byte(id>>16), byte(id>>8), byte(id)
	return h
}

// datagramOf is a UDP datagram of n bytes with its header.
func datagramOf(t testing.TB, n int) []byte {
	t.Helper()
	data := make([]byte, n-8)
	for i := range data {
		data[i] = byte(i * 7)
	}
	return packet(t, udpTo(4789), data)
}
