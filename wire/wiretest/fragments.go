package wiretest

import (
	"testing"

	"github.com/google/gopacket/layers"
)

// Family makes the fragments of one IP version, and the packet they make up.
type Family struct {
	Name  string
	Part  func(t testing.TB, id, offset int, more bool, data []byte) []byte
	Whole func(t testing.TB, id int, data []byte) []byte
}

// Families are the layouts of a datagram in fragments that are common.
var Families = []Family{
	{"IPv4", func(t testing.TB, id, offset int, more bool, data []byte) []byte {
		return Packet(t, Ether(V4), IP4(func(h *layers.IPv4) {
			h.Id, h.FragOffset = uint16(id), uint16(offset/8)
			if more {
				h.Flags = layers.IPv4MoreFragments
			}
		}), data)
	}, func(t testing.TB, id int, data []byte) []byte {
		return Packet(t, Ether(V4), IP4(func(h *layers.IPv4) { h.Id = uint16(id) }), data)
	}},
	{"IPv4 with options behind two tags", func(t testing.TB, id, offset int, more bool, data []byte) []byte {
		return Packet(t, Ether(V4, layers.EthernetTypeQinQ, layers.EthernetTypeDot1Q), IP4(func(h *layers.IPv4) {
			h.Id, h.FragOffset, h.Options = uint16(id), uint16(offset/8), RouterAlert
			if more {
				h.Flags = layers.IPv4MoreFragments
			}
		}), data)
	}, func(t testing.TB, id int, data []byte) []byte {
		return Packet(t, Ether(V4, layers.EthernetTypeQinQ, layers.EthernetTypeDot1Q), IP4(func(h *layers.IPv4) {
			h.Id, h.Options = uint16(id), RouterAlert
		}), data)
	}},
	{"IPv6", func(t testing.TB, id, offset int, more bool, data []byte) []byte {
		return Packet(t, Ether(V6), IP6(layers.IPProtocolIPv6Fragment), WithID(FragHeader(17, offset, more), id), data)
	}, func(t testing.TB, _ int, data []byte) []byte {
		return Packet(t, Ether(V6), IP6(layers.IPProtocolUDP), data)
	}},
	{"IPv6 with hop-by-hop options", func(t testing.TB, id, offset int, more bool, data []byte) []byte {
		return Packet(t, Ether(V6), IP6(layers.IPProtocolIPv6HopByHop), HopByHop(44), WithID(FragHeader(17, offset, more), id), data)
	}, func(t testing.TB, _ int, data []byte) []byte {
		return Packet(t, Ether(V6), IP6(layers.IPProtocolIPv6HopByHop), HopByHop(17), data)
	}},
}

// RouterAlert is an option of 4 bytes (RFC 2113).
var RouterAlert = []layers.IPv4Option{{OptionType: 148, OptionLength: 4, OptionData: []byte{0, 0}}}

// WithID gives a fragment header another identification.
func WithID(h []byte, id int) []byte {
	h[4], h[5], h[6], h[7] = byte(id>>24), byte(id>>16), byte(id>>8), byte(id)
	return h
}

// DatagramOf is a UDP datagram of n bytes with its header.
func DatagramOf(t testing.TB, n int) []byte {
	t.Helper()
	data := make([]byte, n-8)
	for i := range data {
		data[i] = byte(i * 7)
	}
	return Packet(t, UDPTo(4789), data)
}
