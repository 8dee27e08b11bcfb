package tap

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"
	"unsafe"

	"netmirror/defrag"
	"netmirror/wire"
)

// The layout by hand, from struct tpacket_block_desc and struct tpacket3_hdr:
//
//	block:  0 version, 4 offset_to_priv, 8 block_status, 12 num_pkts,
//	        16 offset_to_first_pkt, 20 blk_len, 24 seq_num, 32 and 40 times
//	packet: 0 tp_next_offset, 4 tp_sec, 8 tp_nsec, 12 tp_snaplen, 16 tp_len,
//	        20 tp_status, 24 tp_mac, 26 tp_net
type blockBuilder struct {
	b    []byte
	last int // the last packet's header, or 0
	n    uint32

	offloads bool // frames have an offload header, this one
	offload  offload
}

func put32(b []byte, v uint32) { binary.NativeEndian.PutUint32(b, v) }
func put16(b []byte, v uint16) { binary.NativeEndian.PutUint16(b, v) }

func newBlock() *blockBuilder {
	b := make([]byte, 48)
	put32(b[8:], 1)
	put32(b[16:], 48)
	return &blockBuilder{b: b}
}

// add appends a frame as the kernel does: 82 bytes behind its header, the next
// header at a multiple of 8.
func (k *blockBuilder) add(frame []byte, wire int) {
	for len(k.b)%8 != 0 {
		k.b = append(k.b, 0)
	}
	if k.last != 0 {
		put32(k.b[k.last:], uint32(len(k.b)-k.last))
	}
	k.last = len(k.b)
	h := make([]byte, 82)
	if k.offloads {
		h = append(h, k.offload[:]...)
	}
	put32(h[12:], uint32(len(frame)))
	put32(h[16:], uint32(wire))
	put16(h[24:], uint16(len(h)))
	k.b = append(append(k.b, h...), frame...)
	k.n++
	put32(k.b[12:], k.n)
}

func blockOf(frames ...[]byte) []byte {
	k := newBlock()
	for _, f := range frames {
		k.add(f, len(f))
	}
	return k.b
}

func TestWalk(t *testing.T) {
	a, b, c := []byte("first"), bytes.Repeat([]byte("2"), 65549), []byte("the third frame")
	const first = 48
	second := first + 88 // 82 and 5 bytes, to the next multiple of 8
	for _, tc := range []struct {
		name           string
		block          func() []byte
		want           [][]byte
		cut, malformed uint64
	}{
		{"three frames, one of 64 KiB", func() []byte { return blockOf(a, b, c) }, [][]byte{a, b, c}, 0, 0},
		{"no frames", func() []byte { return newBlock().b }, nil, 0, 0},
		{"an empty frame", func() []byte { return blockOf([]byte{}, c) }, [][]byte{{}, c}, 0, 0},
		{"a frame cut by snaplen", func() []byte {
			k := newBlock()
			k.add(a, 1500)
			k.add(c, len(c))
			return k.b
		}, [][]byte{a, c}, 1, 0},
		{"more packets counted than there are", func() []byte {
			k := blockOf(a, c)
			put32(k[12:], 0xffffffff)
			return k
		}, [][]byte{a, c}, 0, 0xffffffff - 2},
		{"next offset back to itself", func() []byte {
			k := blockOf(a, c)
			put32(k[first:], 0)
			return k
		}, [][]byte{a}, 0, 1},
		{"next offset into the header", func() []byte {
			k := blockOf(a, c)
			put32(k[first:], 47)
			return k
		}, [][]byte{a}, 0, 1},
		{"next offset beyond the block", func() []byte {
			k := blockOf(a, b, c)
			put32(k[first:], 0xfffffff8)
			return k
		}, [][]byte{a}, 0, 2},
		{"frame into the next packet", func() []byte {
			k := blockOf(a, c)
			put32(k[first+12:], 7)
			return k
		}, [][]byte{c}, 0, 1},
		{"frame beyond the block", func() []byte {
			k := blockOf(a, c)
			put32(k[second+12:], 0xffffffff)
			return k
		}, [][]byte{a}, 0, 1},
		{"frame in its own header", func() []byte {
			k := blockOf(a, c)
			put16(k[second+24:], 40)
			return k
		}, [][]byte{a}, 0, 1},
		{"first offset into the descriptor", func() []byte {
			k := blockOf(a, c)
			put32(k[16:], 8)
			return k
		}, nil, 0, 2},
		{"first offset beyond the block", func() []byte {
			k := blockOf(a, c)
			put32(k[16:], 0xffffffff)
			return k
		}, nil, 0, 2},
		{"shorter than its descriptor", func() []byte { return make([]byte, 47) }, nil, 0, 0},
		{"nil", func() []byte { return nil }, nil, 0, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := walk(tc.block(), false)
			var got [][]byte
			for f, ok := w.next(); ok; f, ok = w.next() {
				got = append(got, f)
			}
			if len(got) != len(tc.want) {
				t.Fatalf("%d frames, want %d", len(got), len(tc.want))
			}
			for i := range got {
				if !bytes.Equal(got[i], tc.want[i]) {
					t.Errorf("frame %d is %.40q, want %.40q", i, got[i], tc.want[i])
				}
			}
			if w.cut != tc.cut || w.malformed != tc.malformed {
				t.Errorf("cut %d, malformed %d; want %d, %d", w.cut, w.malformed, tc.cut, tc.malformed)
			}
		})
	}
}

// Frames lie in the block, behind one another, and are as many as were counted.
func FuzzWalk(f *testing.F) {
	f.Add(blockOf([]byte("one"), []byte("two")))
	f.Add(blockOf(bytes.Repeat([]byte{1}, 3000)))
	f.Fuzz(func(t *testing.T, block []byte) {
		w := walk(block, false)
		counted := uint64(w.left) + w.malformed
		var frames, end uint64
		for frame, ok := w.next(); ok; frame, ok = w.next() {
			frames++
			if cap(frame) == 0 {
				continue
			}
			at := uint64(uintptr(unsafe.Pointer(unsafe.SliceData(frame))) - uintptr(unsafe.Pointer(&block[0])))
			if at < end || at+uint64(cap(frame)) > uint64(len(block)) {
				t.Fatalf("frame at %d to %d after %d in a block of %d", at, at+uint64(cap(frame)), end, len(block))
			}
			end = at + uint64(len(frame))
		}
		if frames+w.malformed != counted {
			t.Fatalf("%d frames and %d malformed of %d", frames, w.malformed, counted)
		}
	})
}

// readerOf is a Ring without a kernel, for its read of a block.
func readerOf(b testing.TB) *Ring {
	cfg, err := Config{}.resolve()
	must(b, err)
	r := &Ring{group: new(group), cfg: cfg, closed: true}
	r.from, r.group.rings = &r.queue, []*Ring{r}
	r.fragments = defrag.New(defrag.Config{Protocol: wire.ProtoUDP})
	return r
}

func TestReadDoesNotAllocate(t *testing.T) {
	block := blockOf(mirrored(t, make([]byte, 100)), mirrored(t, make([]byte, 1400)))
	r := readerOf(t)
	r.read(block)
	if n := testing.AllocsPerRun(100, func() {
		if len(r.read(block)) != 2 {
			t.Fatal("not two frames")
		}
	}); n != 0 {
		t.Fatalf("%v allocations a block", n)
	}
}

func BenchmarkRead(b *testing.B) {
	for _, size := range []int{64, 1400} {
		for _, offloads := range []bool{false, true} {
			b.Run(fmt.Sprintf("payload=%d/offload=%t", size, offloads), func(b *testing.B) {
				k := newBlock()
				k.offloads = offloads
				frame := mirrored(b, make([]byte, size))
				n := 0
				for len(k.b)+200+len(frame) < defaultBlockBytes {
					k.add(frame, len(frame))
					n++
				}
				r := readerOf(b)
				r.offloads = offloads
				b.ReportAllocs()
				for b.Loop() {
					r.read(k.b)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/frame")
			})
		}
	}
}
