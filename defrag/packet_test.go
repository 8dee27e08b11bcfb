package defrag

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/gopacket/layers"

	"netmirror/wire"
)

// mirroredFamilies make IP packets that carry TCP, without an Ethernet header.
var mirroredFamilies = []family{
	{Name: "IPv4", Part: func(t testing.TB, id, offset int, more bool, data []byte) []byte {
		return packet(t, ip4(func(h *layers.IPv4) {
			h.Protocol, h.Id, h.FragOffset, h.Options = wire.ProtoTCP, uint16(id), uint16(offset/8), routerAlert
			if more {
				h.Flags = layers.IPv4MoreFragments
			}
		}), data)
	}, Whole: func(t testing.TB, id int, data []byte) []byte {
		return packet(t, ip4(func(h *layers.IPv4) { h.Protocol, h.Id, h.Options = wire.ProtoTCP, uint16(id), routerAlert }), data)
	}},
	{Name: "IPv6", Part: func(t testing.TB, id, offset int, more bool, data []byte) []byte {
		return packet(t, ip6(layers.IPProtocolIPv6HopByHop), hopByHop(44), withID(fragHeader(wire.ProtoTCP, offset, more), id), data)
	}, Whole: func(t testing.TB, _ int, data []byte) []byte {
		return packet(t, ip6(layers.IPProtocolIPv6HopByHop), hopByHop(wire.ProtoTCP), data)
	}},
}

func newInner(c *clock) *Reassembler {
	return New(Config{Protocol: wire.ProtoTCP, Bytes: 64 << 10, Timeout: time.Second, Now: c.now})
}

func TestPacket(t *testing.T) {
	for _, fam := range mirroredFamilies {
		t.Run(fam.Name, func(t *testing.T) {
			r, data := newInner(newClock()), datagramOf(t, 2000)
			var out [][]byte
			for _, part := range [][]byte{
				fam.Part(t, 1, 1480, false, data[1480:]), fam.Part(t, 1, 496, true, data[496:1480]), fam.Part(t, 1, 0, true, data[:496]),
			} {
				if got := r.Packet(7, part); got != nil {
					out = append(out, bytes.Clone(got))
				}
			}
			check(t, r, out, fam.Whole(t, 1, data))
			dropped(t, r, 0, 0)
		})
	}
}

// Networks may have the same addresses, and the same identifications.
func TestPacketsOfDifferentNetworks(t *testing.T) {
	for _, fam := range mirroredFamilies {
		t.Run(fam.Name, func(t *testing.T) {
			c := newClock()
			r, a, b := newInner(c), datagramOf(t, 2000), bytes.Repeat([]byte("b"), 2000)
			r.Packet(1, fam.Part(t, 5, 0, true, a[:1480]))
			if r.Packet(2, fam.Part(t, 5, 1480, false, b[1480:])) != nil {
				t.Fatal("joined across networks")
			}
			one := bytes.Clone(r.Packet(1, fam.Part(t, 5, 1480, false, a[1480:])))
			two := bytes.Clone(r.Packet(2, fam.Part(t, 5, 0, true, b[:1480])))
			check(t, r, [][]byte{one, two}, fam.Whole(t, 5, a), fam.Whole(t, 5, b))
			dropped(t, r, 0, 0)
		})
	}
}

func TestPacketDrops(t *testing.T) {
	for _, fam := range mirroredFamilies {
		t.Run(fam.Name, func(t *testing.T) {
			data, other := datagramOf(t, 3200), bytes.Repeat([]byte{0xee}, 3200)
			for _, tc := range []struct {
				name string
				in   [][]byte
				why  Drop
			}{
				{"overlap", [][]byte{fam.Part(t, 1, 0, true, data[:800]), fam.Part(t, 1, 792, false, other[792:900])}, DropOverlap},
				{"cut by the mirror", [][]byte{fam.Part(t, 1, 0, true, data[:800])[:700]}, DropMalformed},
				{"no multiple of 8", [][]byte{fam.Part(t, 1, 0, true, data[:801])}, DropMalformed},
				{"empty", [][]byte{fam.Part(t, 1, 8, false, nil)}, DropMalformed},
				{"too long", [][]byte{fam.Part(t, 1, 65528, false, data[:800])}, DropTooLong},
			} {
				r := newInner(newClock())
				for _, in := range tc.in {
					if got := r.Packet(1, bytes.Clone(in)); got != nil {
						t.Errorf("%s: out came %d bytes", tc.name, len(got))
					}
				}
				check(t, r, nil)
				dropped(t, r, tc.why, len(tc.in))
			}
		})
	}
}

// What is no fragment comes back as it is, in the same memory.
func TestPacketWhole(t *testing.T) {
	for name, in := range map[string][]byte{
		"IPv4":              packet(t, ip4(func(h *layers.IPv4) { h.Protocol = wire.ProtoTCP }), []byte("data")),
		"IPv4 UDP fragment": packet(t, ip4(func(h *layers.IPv4) { h.FragOffset = 5 }), []byte("data")),
		"IPv6":              packet(t, ip6(wire.ProtoTCP), []byte("data")),
		"IPv6 behind AH":    packet(t, ip6(51), []byte{44, 4}, make([]byte, 22), fragHeader(wire.ProtoTCP, 8, true), []byte("data")),
		"version 5":         {0x50, 0, 0, 0},
		"empty":             {},
	} {
		r := newInner(newClock())
		got := r.Packet(1, in)
		if got == nil || !bytes.Equal(got, in) || len(in) > 0 && &got[0] != &in[0] || r.stats != (Stats{}) {
			t.Errorf("%s: out came % x, %+v", name, got, r.stats)
		}
	}
}

// udpFamilies make IP packets that carry UDP, without an Ethernet header.
var udpFamilies = []family{
	{Name: "IPv4", Part: func(t testing.TB, id, offset int, more bool, data []byte) []byte {
		return packet(t, ip4(func(h *layers.IPv4) {
			h.Id, h.FragOffset = uint16(id), uint16(offset/8)
			if more {
				h.Flags = layers.IPv4MoreFragments
			}
		}), data)
	}, Whole: func(t testing.TB, id int, data []byte) []byte {
		return packet(t, ip4(func(h *layers.IPv4) { h.Id = uint16(id) }), data)
	}},
	{Name: "IPv6", Part: func(t testing.TB, id, offset int, more bool, data []byte) []byte {
		return packet(t, ip6(layers.IPProtocolIPv6Fragment), withID(fragHeader(wire.ProtoUDP, offset, more), id), data)
	}, Whole: func(t testing.TB, _ int, data []byte) []byte {
		return packet(t, ip6(layers.IPProtocolUDP), data)
	}},
}

// Of a protocol that is asked for in order the later fragments matter only behind the
// first; those of others wait for it.
func TestInOrder(t *testing.T) {
	for i, fam := range udpFamilies {
		t.Run(fam.Name, func(t *testing.T) {
			r := New(Config{InOrder: wire.ProtoUDP, Bytes: 64 << 10, Timeout: time.Second, Now: newClock().now})
			data := datagramOf(t, 2000)
			first, last := fam.Part(t, 1, 0, true, data[:1480]), fam.Part(t, 1, 1480, false, data[1480:])
			if got := r.Packet(1, bytes.Clone(last)); !bytes.Equal(got, last) || r.stats != (Stats{}) {
				t.Fatalf("a later fragment before the first: % x, %+v", got, r.stats)
			}
			if r.Packet(1, bytes.Clone(first)) != nil {
				t.Fatal("the first was not kept")
			}
			check(t, r, [][]byte{bytes.Clone(r.Packet(1, bytes.Clone(last)))}, fam.Whole(t, 1, data))
			dropped(t, r, 0, 0)

			tcp := mirroredFamilies[i]
			if r.Packet(1, tcp.Part(t, 2, 1480, false, data[1480:])) != nil {
				t.Fatal("a later fragment of TCP was not kept")
			}
			check(t, r, [][]byte{bytes.Clone(r.Packet(1, tcp.Part(t, 2, 0, true, data[:1480])))}, tcp.Whole(t, 2, data))
		})
	}
}
