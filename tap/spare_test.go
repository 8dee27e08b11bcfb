package tap

import (
	"encoding/binary"
	"io"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/bpf"

	"netmirror/filter"
	"netmirror/wire"
)

// sparing is a ring of few blocks that are soon closed, with a spare one.
var sparing = Config{RingBytes: 16 * 17 * 4096, SpareBytes: 8 * 17 * 4096, BlockBytes: 17 * 4096, BlockTimeout: 2 * time.Millisecond}

// overflow sends frames one by one, each as soon as the one before has used up a block, until
// so many are in the spare ring. It returns how many were sent.
func overflow(t *testing.T, r *Ring, fd int, frame func(i int) []byte, spared uint64) (sent int) {
	t.Helper()
	g := r.group
	for end := time.Now().Add(20 * time.Second); g.spareHolds() < spared; sent++ {
		if time.Now().After(end) {
			t.Fatalf("%d packets are in the spare ring after %d", g.spareHolds(), sent)
		}
		send(t, fd, frame(sent))
		time.Sleep(3 * time.Millisecond) // longer than a block is open
	}
	return sent
}

// spareHolds is how many packets the spare ring has.
func (g *group) spareHolds() (n uint64) {
	for i := range g.spare.blocks {
		n += uint64(atomic.LoadUint32(g.spare.packets(i)))
	}
	return n
}

// More packets than a ring has blocks, in as many milliseconds, while nobody reads: none is
// lost, and they come in order, also those that come meanwhile.
func TestSpareTakesOver(t *testing.T) {
	for _, n := range []int{1, 2} {
		l := newLab(t, 1500)
		cfg := sparing
		cfg.RingBytes = (n + 1) * cfg.SpareBytes
		rings, fd := l.openGroup(t, cfg, n), l.sender(t)
		payloads := numbered(500, 100)
		frame := func(i int) []byte { return mirrored(t, payloads[i]) }
		sent := overflow(t, rings[0], fd, frame, 5)

		var got [][]byte
		for len(got) < sent {
			frames, err := rings[0].Next()
			must(t, err)
			for _, f := range frames {
				got = append(got, slices.Clone(f))
			}
			if len(got) <= 10 { // which come to the ring again
				send(t, fd, frame(sent))
				sent++
			}
		}
		// Packets go to the ring again, for good.
		for i := range 3 {
			next := make(chan [][]byte)
			go func() {
				frames, err := rings[0].Next()
				must(t, err)
				next <- frames
			}()
			if i == 0 && n == 1 {
				until(t, "the kernel is led back", func() bool { return rings[0].group.spare.marked.Load() != 0 })
			}
			send(t, fd, frame(sent))
			sent++
			for _, f := range within(t, next) {
				got = append(got, slices.Clone(f))
			}
		}
		if rings[0].from != &rings[0].queue || rings[0].group.overflowing() || rings[0].group.spare.marked.Load() != 0 {
			t.Errorf("%d rings: packets go to the spare one though there is room", n)
		}
		rings[0].Stop()
		for _, batch := range drainGroup(t, rings) {
			got = append(got, batch...)
		}
		var want [][]byte
		for i := range sent {
			want = append(want, frame(i))
		}
		equalFrames(t, got, want)
		s := rings[0].Stats()
		if s.Packets != uint64(sent) || s.Frames != uint64(sent) || s.Drops != 0 || s.Mapped != 2*cfg.SpareBytes {
			t.Errorf("%d sent, %+v", sent, s)
		}
	}
}

// What is in the spare ring when the capture is stopped is read as well, by the ring that it
// is of, which has nothing of its own.
func TestSpareIsDrained(t *testing.T) {
	l := newLab(t, 1500)
	cfg := sparing
	cfg.RingBytes = 3 * cfg.SpareBytes
	rings, fd := l.openGroup(t, cfg, 2), l.sender(t)
	f := flow{peer4, mon4, 50000}
	for f.hash(false)%2 == 0 {
		f.port++
	}
	frame := mirroredFlow(t, f)
	sent := overflow(t, rings[1], fd, func(int) []byte { return frame }, 3)
	rings[1].Stop()
	all := drainGroup(t, rings)
	if len(all[0]) < 3 || len(all[0])+len(all[1]) != sent {
		t.Errorf("%d packets by the spare ring, %d by the other, of %d", len(all[0]), len(all[1]), sent)
	}
	if _, err := rings[0].Next(); err != io.EOF {
		t.Errorf("Next after the end: %v", err)
	}
}

// mirroredFlow is a packet of a flow.
func mirroredFlow(t testing.TB, f flow) []byte {
	return outerLayouts()[0].wrap(t, ourVNI, f.inner(false)...)
}

// A ring that sleeps is woken for the packets that another had no room for.
func TestSpareWakesItsReader(t *testing.T) {
	l := newLab(t, 1500)
	cfg := sparing
	cfg.RingBytes = 3 * cfg.SpareBytes
	rings, fd := l.openGroup(t, cfg, 2), l.sender(t)
	f := flow{peer4, mon4, 50000}
	for f.hash(false)%2 == 0 {
		f.port++
	}
	frame := mirroredFlow(t, f)
	sleeping := reading(rings[0])
	sent := overflow(t, rings[1], fd, func(int) []byte { return frame }, 3)
	if at := rings[0].CaughtUp(time.Now().Add(time.Hour)); at.After(time.Now()) {
		t.Error("what is in the spare ring is taken for read")
	}
	for read := 0; read < sent-3; {
		frames, err := rings[1].Next()
		must(t, err)
		read += len(frames)
	}
	other := reading(rings[1])
	// Nothing comes any more that would have the reader of the other one look.
	send(t, fd, frame)
	within(t, sleeping)
	rings[0].Stop()
	within(t, other)
}

// The kernel's program never gives the spare ring what the filter takes in.
func TestFanoutBehind(t *testing.T) {
	plain := newVM(t, Config{Mirror: vxlanAt(4789)}.filter().Frames())
	const n = 3
	for _, whole := range serviceFrames(t) {
		etherType := bpf.LoadConstant{Dst: bpf.RegA, Val: uint32(binary.BigEndian.Uint16(whole[12:]))} // which the kernel knows
		all, behind := filter.Fanout(vxlanAt(4789)), filter.FanoutBehind(vxlanAt(4789), n)
		all[0], behind[0] = etherType, etherType
		hash, socket := newVM(t, all), newVM(t, behind)
		for end := wire.EthernetHeader; end <= len(whole); end++ {
			if !accepts(t, plain, whole[:end]) {
				continue
			}
			h, err := hash.Run(whole[wire.EthernetHeader:end])
			must(t, err)
			got, err := socket.Run(whole[wire.EthernetHeader:end])
			must(t, err)
			if want := 1 + int(uint32(h)%n); got != want {
				t.Fatalf("socket %d, want %d: % x", got, want, whole[:end])
			}
		}
	}
}
