package defrag

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"netmirror/wire"
)

// clock is a time that only the test moves.
type clock struct{ t time.Time }

func newClock() *clock                { return &clock{time.Unix(1000, 0)} }
func (c *clock) now() time.Time       { return c.t }
func (c *clock) pass(d time.Duration) { c.t = c.t.Add(d) }
func newTest(c *clock) *Reassembler {
	return New(Config{Protocol: wire.ProtoUDP, Bytes: 64 << 10, Timeout: time.Second, Now: c.now})
}
func total(n [Drops]uint64) int { return int(sum(n)) }

func sum(n [Drops]uint64) (all uint64) {
	for _, v := range n {
		all += v
	}
	return all
}

// feed adds copies of frames, as one batch, and returns copies of what came out.
func feed(r *Reassembler, frames ...[]byte) (out [][]byte) {
	r.Begin()
	for _, f := range frames {
		if got := r.Frame(bytes.Clone(f)); got != nil {
			out = append(out, got)
		}
	}
	for i := range out {
		out[i] = bytes.Clone(out[i])
	}
	return out
}

// check compares what came out, and that every fragment is accounted for.
func check(t *testing.T, r *Reassembler, got [][]byte, want ...[]byte) {
	t.Helper()
	if !slices.EqualFunc(got, want, bytes.Equal) {
		t.Errorf("out came %d frames\n% x\nwant %d\n% x", len(got), got, len(want), want)
	}
	s := r.stats
	if s.FragmentsReceived != s.FragmentsReassembled+sum(s.FragmentsDropped)+s.FragmentsHeld {
		t.Errorf("fragments do not add up: %+v", s)
	}
	if s.FragmentBytesReceived != s.FragmentBytesReassembled+sum(s.FragmentBytesDropped)+s.FragmentBytesHeld {
		t.Errorf("bytes do not add up: %+v", s)
	}
	if s.FragmentsHeld == 0 && r.chunks.left != r.chunks.count {
		t.Errorf("%d of %d chunks free with nothing held", r.chunks.left, r.chunks.count)
	}
}

// dropped fails unless exactly n fragments were dropped, all for one reason.
func dropped(t *testing.T, r *Reassembler, why Drop, n int) {
	t.Helper()
	if got := r.stats.FragmentsDropped; int(got[why]) != n || total(got) != n {
		t.Errorf("dropped %v, want %d by %v only", got, n, why)
	}
}

func TestReassembly(t *testing.T) {
	orders := [][]int{{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}}
	for _, fam := range families {
		t.Run(fam.Name, func(t *testing.T) {
			data := datagramOf(t, 3001)
			parts := [][]byte{
				fam.Part(t, 7, 0, true, data[:1480]),
				fam.Part(t, 7, 1480, true, data[1480:2960]),
				fam.Part(t, 7, 2960, false, data[2960:]),
			}
			want := fam.Whole(t, 7, data)
			for _, o := range orders {
				r := newTest(newClock())
				var got [][]byte
				for i, n := range o {
					got = append(got, feed(r, parts[n])...)
					if i < 2 && len(got) != 0 {
						t.Errorf("order %v: came out after %d fragments", o, i+1)
					}
				}
				check(t, r, got, want)
				dropped(t, r, 0, 0)
				if r.stats.Reassembled != 1 || r.stats.FragmentsReassembled != 3 {
					t.Errorf("order %v: %+v", o, r.stats)
				}
			}
		})
	}
}

func TestBatchPosition(t *testing.T) {
	fam, r := families[0], newTest(newClock())
	data := datagramOf(t, 2000)
	one, two := mirrored(t, []byte("one")), mirrored(t, []byte("two"))
	got := feed(r, fam.Part(t, 1, 0, true, data[:1480]), one, fam.Part(t, 1, 1480, false, data[1480:]), two)
	check(t, r, got, one, fam.Whole(t, 1, data), two)
}

// All datagrams of a batch are valid at its end, though out has grown meanwhile.
func TestManyInABatch(t *testing.T) {
	fam, r := families[2], newTest(newClock())
	var frames, want [][]byte
	for id := range 40 {
		data := datagramOf(t, 1600+id*1300)
		frames = append(frames, fam.Part(t, id, 0, true, data[:1600]))
		frames = append(frames, fam.Part(t, id, 1600, false, data[1600:]))
		if id == 0 { // 1600 bytes and no rest is no datagram
			frames = frames[:0]
			continue
		}
		want = append(want, fam.Whole(t, id, data))
	}
	check(t, r, feed(r, frames...), want...)
	dropped(t, r, 0, 0)
}

func TestLargest(t *testing.T) {
	for _, tc := range []struct {
		name string
		fam  family
		size int // of the IP payload
		why  Drop
		out  bool
	}{
		{"IPv4, 65535 bytes with the header", families[0], 65515, 0, true},
		{"IPv4, one byte more", families[0], 65516, DropTooLong, false},
		{"IPv6, 65535 bytes without the header", families[2], 65535, 0, true},
		{"IPv6, one byte more by its extension", families[3], 65528, DropTooLong, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, data := New(Config{Protocol: wire.ProtoUDP, Bytes: 256 << 10, Timeout: time.Second, Now: newClock().now}), make([]byte, tc.size)
			var parts [][]byte
			for at := 0; at < len(data); at += 8000 {
				end := min(at+8000, len(data))
				parts = append(parts, tc.fam.Part(t, 1, at, end < len(data), data[at:end]))
			}
			got := feed(r, parts...)
			if !tc.out {
				check(t, r, got)
				dropped(t, r, tc.why, len(parts))
				return
			}
			check(t, r, got, tc.fam.Whole(t, 1, data))
		})
	}
}

// What is not a fragment passes untouched, in the frame's own memory.
func TestWholePasses(t *testing.T) {
	data := []byte("payload")
	const hop, frag = layers.IPProtocolIPv6HopByHop, layers.IPProtocolIPv6Fragment
	for name, frame := range map[string][]byte{
		"IPv4":                          mirrored(t, data),
		"IPv4 with a tag":               packet(t, ether(v4, layers.EthernetTypeDot1Q), ip4(nil), udpTo(4789), data),
		"IPv6":                          packet(t, ether(v6), ip6(layers.IPProtocolUDP), udpTo(4789), data),
		"IPv6 with options":             packet(t, ether(v6), ip6(hop), hopByHop(17), udpTo(4789), data),
		"ARP":                           packet(t, ether(layers.EthernetTypeARP), make([]byte, 46)),
		"IPv4 TCP fragment":             packet(t, ether(v4), ip4(func(h *layers.IPv4) { h.Protocol, h.FragOffset = 6, 9 }), data),
		"five tags":                     packet(t, ether(v4, 0x8100, 0x8100, 0x8100, 0x8100, 0x8100), ip4(func(h *layers.IPv4) { h.FragOffset = 9 }), data),
		"empty":                         {},
		"shorter than Ethernet":         make([]byte, 13),
		"cut in a tag":                  packet(t, ether(v4, layers.EthernetTypeDot1Q))[:15],
		"cut in the IPv4 header":        mirrored(t, data)[:33],
		"cut in the IPv6 header":        packet(t, ether(v6), ip6(frag), fragHeader(17, 8, true))[:53],
		"cut in the options":            packet(t, ether(v6), ip6(hop), hopByHop(44), fragHeader(17, 8, true))[:57],
		"nine extension headers":        packet(t, ether(v6), ip6(hop), bytes.Repeat(hopByHop(0), 9), fragHeader(17, 8, true), data),
		"version 5 under the type of 4": func() []byte { b := mirrored(t, data); b[14] = 0x55; b[20] = 0x20; return b }(),
	} {
		t.Run(name, func(t *testing.T) {
			r := newTest(newClock())
			in := bytes.Clone(frame)
			out := r.Frame(in)
			if out == nil || !bytes.Equal(out, frame) || len(in) > 0 && &out[0] != &in[0] {
				t.Fatalf("came out as % x", out)
			}
			if r.stats != (Stats{}) {
				t.Fatalf("counted: %+v", r.stats)
			}
		})
	}
}

func TestAtomicFragment(t *testing.T) {
	const hop, frag = layers.IPProtocolIPv6HopByHop, layers.IPProtocolIPv6Fragment
	data := []byte("payload")
	for _, tc := range []struct {
		name     string
		in, want []byte
	}{
		{"alone", packet(t, ether(v6), ip6(frag), fragHeader(17, 0, false), udpTo(4789), data),
			packet(t, ether(v6), ip6(layers.IPProtocolUDP), udpTo(4789), data)},
		{"behind options and a tag", packet(t, ether(v6, 0x8100), ip6(hop), hopByHop(44), fragHeader(17, 0, false), udpTo(4789), data),
			packet(t, ether(v6, 0x8100), ip6(hop), hopByHop(17), udpTo(4789), data)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newTest(newClock())
			check(t, r, feed(r, tc.in), tc.want)
			if r.stats != (Stats{}) {
				t.Fatalf("counted: %+v", r.stats)
			}
		})
	}
}

// Ethernet pads the last fragment to 60 bytes; the padding is not data.
func TestPaddedFragment(t *testing.T) {
	fam, r := families[0], newTest(newClock())
	data := datagramOf(t, 1482)
	last := append(fam.Part(t, 1, 1480, false, data[1480:]), make([]byte, 24)...)
	check(t, r, feed(r, fam.Part(t, 1, 0, true, data[:1480]), last), fam.Whole(t, 1, data))
}

// A file has all tags in band, of which a ring's kernel takes the outermost off.
func TestFragmentsBehindManyTags(t *testing.T) {
	for tags := range maxTags + 1 {
		r, data := newTest(newClock()), datagramOf(t, 2000)
		header := ether(v4, slices.Repeat([]layers.EthernetType{layers.EthernetTypeDot1Q}, tags)...)
		whole := packet(t, header, ip4(nil), data)
		got := feed(r,
			packet(t, header, ip4(func(h *layers.IPv4) { h.Flags = layers.IPv4MoreFragments }), data[:1480]),
			packet(t, header, ip4(func(h *layers.IPv4) { h.FragOffset = 1480 / 8 }), data[1480:]))
		check(t, r, got, whole)
	}
}

// What another decoder reads from a joined frame: its lengths and its payload.
func TestJoinedFrameIsValid(t *testing.T) {
	r, data := newTest(newClock()), datagramOf(t, 2000)
	fam := families[0]
	got := feed(r, fam.Part(t, 9, 1480, false, data[1480:]), fam.Part(t, 9, 0, true, data[:1480]))
	p := gopacket.NewPacket(got[0], layers.LayerTypeEthernet, gopacket.Default)
	if p.Metadata().Truncated {
		t.Fatalf("shorter than its lengths say: %v", p)
	}
	if !bytes.Equal(payloadOf(t, got[0]), data[8:]) {
		t.Fatal("payload differs")
	}
}
