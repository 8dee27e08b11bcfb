package tap

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"netmirror/gso"
)

// offloadOf is an offload header as the kernel writes it.
func offloadOf(kind, flags byte, size, csumStart int) *offload {
	var h offload
	h[0], h[1] = flags, kind
	binary.NativeEndian.PutUint16(h[4:], uint16(size))
	binary.NativeEndian.PutUint16(h[6:], uint16(csumStart))
	return &h
}

// splitAll splits a copy of a frame and gives copies of what comes out.
func splitAll(s *splitter, frame []byte, h *offload) (all [][]byte) {
	s.begin()
	for _, f := range s.split(nil, bytes.Clone(frame), h) {
		all = append(all, bytes.Clone(f))
	}
	return all
}

// numbersFrom sets the IPv4 identification.
func numbersFrom(id int) func(*layers.IPv4) {
	return func(h *layers.IPv4) { h.Id, h.Flags = uint16(id), layers.IPv4DontFragment }
}

func TestSplit(t *testing.T) {
	const ctag, hop = layers.EthernetTypeDot1Q, layers.IPProtocolIPv6HopByHop
	data := make([]byte, 3000)
	for i := range data {
		data[i] = byte(i * 7)
	}
	withOptions := func(id int) *layers.IPv4 {
		return ip4(func(h *layers.IPv4) { numbersFrom(id)(h); fourOptions(h) })
	}
	for _, o := range []struct {
		name string
		wrap func(n int, part []byte) []byte // the datagram that is the nth
		udp  int                             // where its header is
	}{
		{"IPv4", func(n int, p []byte) []byte { return packet(t, ether(v4), ip4(numbersFrom(65535+n)), udpTo(4789), p) }, 34},
		{"IPv4 with options, two tags", func(n int, p []byte) []byte {
			return packet(t, ether(v4, ctag, ctag), withOptions(n), udpTo(4789), p)
		}, 46},
		{"IPv6", func(_ int, p []byte) []byte { return packet(t, ether(v6), ip6(layers.IPProtocolUDP), udpTo(4789), p) }, 54},
		{"IPv6 with options, a tag", func(_ int, p []byte) []byte {
			return packet(t, ether(v6, ctag), ip6(hop), hopByHop(17), udpTo(4789), p)
		}, 66},
	} {
		for _, size := range []int{24, 999, 1000, 1400, 2999} {
			t.Run(fmt.Sprintf("%s by %d", o.name, size), func(t *testing.T) {
				var want [][]byte
				for part := range slices.Chunk(data, size) {
					// gopacket pads to 60 bytes, what splits does not.
					want = append(want, o.wrap(len(want), part)[:o.udp+8+len(part)])
				}
				var s splitter
				for _, h := range []*offload{offloadOf(5, 1, size, o.udp), offloadOf(5, 2, size, 0), offloadOf(0x85, 0, size, 0)} {
					equalFrames(t, splitAll(&s, o.wrap(0, data), h), want)
				}
				if got := (SplitStats{Aggregates: 3, Datagrams: 3 * uint64(len(want))}); s.stats != got {
					t.Errorf("%+v, want %+v", s.stats, got)
				}
			})
		}
	}
}

// The datagrams of a batch are valid together, though the memory grows meanwhile.
func TestSplitManyInABatch(t *testing.T) {
	var s splitter
	s.begin()
	var got, want [][]byte
	for n := range 30 {
		parts := numbered(n+2, 100)
		got = s.split(got, mirrored(t, bytes.Join(parts, nil)), offloadOf(5, 0, 100, 0))
		for i, p := range parts {
			want = append(want, packet(t, ether(v4), ip4(func(h *layers.IPv4) { h.Id = uint16(i) }), udpTo(4789), p))
		}
	}
	equalFrames(t, got, want)
}

// What is one packet, or no aggregate of the mirror's, stays as it is.
func TestSplitLeavesAlone(t *testing.T) {
	data := make([]byte, 3000)
	one := mirrored(t, data)
	fragment := packet(t, ether(v4), ip4(func(h *layers.IPv4) { h.FragOffset = 8 }), data)
	inner := mirrored(t, make([]byte, 2000)) // a UDP packet that the mirror carries, aggregated itself
	carried := mirrored(t, slices.Concat(vxlan(ourVNI), inner))
	inner6 := packet(t, ether(v6, layers.EthernetTypeDot1Q), ip6(layers.IPProtocolUDP), udpTo(53), data)
	carried6 := mirrored(t, slices.Concat(vxlan(ourVNI), inner6))
	for _, tc := range []struct {
		name    string
		frame   []byte
		h       *offload
		unsplit uint64
	}{
		{"one datagram of the size", one, offloadOf(5, 0, 3000, 0), 0},
		{"a size beyond the packet", one, offloadOf(5, 0, 65535, 0), 0},
		{"a checksum that is another header's", one, offloadOf(5, 1, 1000, 84), 0},
		{"a mirrored aggregate", carried, offloadOf(5, 0, 500, 0), 0},
		{"a mirrored aggregate of IPv6, tagged", carried6, offloadOf(5, 0, 500, 0), 0},
		{"size 0", one, offloadOf(5, 0, 0, 0), 1},
		{"more datagrams than can be", one, offloadOf(5, 0, 23, 0), 1},
		{"a fragment", fragment, offloadOf(5, 0, 1000, 0), 1},
		{"TCP", packet(t, ether(v4), ip4(func(h *layers.IPv4) { h.Protocol = 6 }), data), offloadOf(5, 0, 1000, 0), 1},
		{"IPv6 fragment", packet(t, ether(v6), ip6(44), fragHeader(17, 8, true), data), offloadOf(5, 0, 1000, 0), 1},
		{"three tags", packet(t, ether(v4, 0x8100, 0x8100, 0x8100), ip4(nil), udpTo(4789), data), offloadOf(5, 0, 1000, 0), 1},
		{"ARP", packet(t, ether(layers.EthernetTypeARP), data), offloadOf(5, 0, 1000, 0), 1},
		{"cut in the UDP header", one[:41], offloadOf(5, 0, 1, 0), 1},
		{"empty", nil, offloadOf(5, 0, 1, 0), 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var s splitter
			equalFrames(t, splitAll(&s, tc.frame, tc.h), [][]byte{tc.frame})
			if want := (SplitStats{Unsplit: tc.unsplit}); s.stats != want {
				t.Errorf("%+v, want %+v", s.stats, want)
			}
		})
	}
}

// An IP length that is not the whole packet's: 0, of the first datagram alone, or
// one that leaves a trailer out.
func TestSplitByTheFramesLength(t *testing.T) {
	parts := numbered(3, 1000)
	whole := mirrored(t, bytes.Join(parts, nil))
	var want [][]byte
	for i, p := range parts {
		want = append(want, packet(t, ether(v4), ip4(func(h *layers.IPv4) { h.Id = uint16(i) }), udpTo(4789), p))
	}
	for name, frame := range map[string][]byte{
		"length 0":          overwrite(whole, 16, 0, 0),
		"that of the first": overwrite(whole, 16, 1028>>8, 1028&0xff),
		"a trailer":         append(bytes.Clone(whole), 1, 2, 3, 4),
	} {
		t.Run(name, func(t *testing.T) {
			var s splitter
			equalFrames(t, splitAll(&s, frame, offloadOf(5, 0, 1000, 0)), want)
		})
	}
}

// overwrite gives a copy of b with the bytes from at on overwritten.
func overwrite(b []byte, at int, with ...byte) []byte {
	b = bytes.Clone(b)
	copy(b[at:], with)
	return b
}

func TestSplitDoesNotAllocate(t *testing.T) {
	frame := mirrored(t, make([]byte, 60000))
	var s splitter
	frames := make([][]byte, 0, 100)
	original := bytes.Clone(frame)
	if n := testing.AllocsPerRun(100, func() {
		copy(frame, original)
		s.begin()
		if frames = s.split(frames[:0], frame, offloadOf(5, 0, 1000, 0)); len(frames) != 60 {
			t.Fatalf("%d frames", len(frames))
		}
	}); n != 0 {
		t.Fatalf("%v allocations a packet", n)
	}
}

// FuzzSplit: every datagram is a whole UDP packet by its lengths, and together
// they hold each byte of the payload once.
func FuzzSplit(f *testing.F) {
	f.Add(mirrored(f, make([]byte, 3000)), uint16(1000), uint16(34), true)
	f.Add(packet(f, ether(v6), ip6(0), hopByHop(17), udpTo(4789), make([]byte, 3000)), uint16(999), uint16(0), false)
	f.Fuzz(func(t *testing.T, frame []byte, size, start uint16, unfilled bool) {
		h := offloadOf(5, 0, int(size), int(start))
		if unfilled {
			h[0] = 1
		}
		var s splitter
		got := splitAll(&s, frame, h)
		if s.stats.Aggregates == 0 {
			equalFrames(t, got, [][]byte{frame})
			return
		}
		if len(got) < 2 || len(got) > gso.Max || s.stats.Datagrams != uint64(len(got)) {
			t.Fatalf("%d frames, %+v", len(got), s.stats)
		}
		_, udp, _ := udpOf(frame)
		var payload []byte
		for _, d := range got {
			if n := int(binary.BigEndian.Uint16(d[udp+4:])); n != len(d)-udp {
				t.Fatalf("the header says %d bytes, there are %d", n, len(d)-udp)
			}
			payload = append(payload, d[udp+8:]...)
		}
		if !bytes.HasPrefix(frame[udp+8:], payload) {
			t.Fatal("the payload differs")
		}
	})
}

// Packets without offload headers, with them, and aggregated ones.
func TestReadWithOffloadHeaders(t *testing.T) {
	parts := numbered(3, 1000)
	k := newBlock()
	k.offloads = true
	k.add(mirrored(t, []byte("before")), 0)
	k.offload = *offloadOf(5, 0, 1000, 0)
	k.add(mirrored(t, bytes.Join(parts, nil)), 0)
	k.offload = *offloadOf(1, 1, 1000, 0) // TCP inside
	k.add(mirrored(t, []byte("behind")), 0)
	r := readerOf(t)
	r.offloads = true
	var got [][]byte
	for _, f := range r.read(k.b) {
		got = append(got, gopacket.NewPacket(f, layers.LayerTypeEthernet, gopacket.Default).TransportLayer().LayerPayload())
	}
	equalFrames(t, got, [][]byte{[]byte("before"), parts[0], parts[1], parts[2], []byte("behind")})
	if r.stats.Aggregates != 1 || r.stats.Datagrams != 3 || r.stats.Frames != 5 {
		t.Errorf("%+v", r.stats)
	}
}

func TestKernelsThatDescribeAggregates(t *testing.T) {
	for release, want := range map[string]bool{
		"6.18.44-fc-v657": true, "6.2.0-39-generic": true, "6.2": true, "7.0-rc1": true, "10.1.2": true,
		"6.1.0-18-amd64": false, "5.15.0": false, "6.2x": true, "6": false, "": false, "x.y": false,
	} {
		if got := describesUDP(release); got != want {
			t.Errorf("%q: %t", release, got)
		}
	}
}
