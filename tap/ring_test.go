package tap

import (
	"bytes"
	"errors"
	"io"
	"os"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/google/gopacket/layers"

	"netmirror/defrag"
)

// settled fails unless every captured packet is accounted for. The capture is
// at its end.
func settled(t *testing.T, r *Ring) Stats {
	t.Helper()
	s := r.Stats()
	if s.Packets-s.Drops-s.Malformed != s.Frames-s.Datagrams+s.Aggregates-s.Reassembled+s.FragmentsReceived || s.Malformed != 0 {
		t.Errorf("packets do not add up: %+v", s)
	}
	if s.FragmentsReceived != s.FragmentsReassembled+sum(s.FragmentsDropped) {
		t.Errorf("fragments do not add up: %+v", s)
	}
	return s
}

func equalFrames(t *testing.T, got, want [][]byte) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d frames, want %d", len(got), len(want))
	}
	for i := range got {
		if !bytes.Equal(got[i], want[i]) {
			t.Fatalf("frame %d of %d bytes differs from what was sent, %d bytes", i, len(got[i]), len(want[i]))
		}
	}
}

func TestFramesArriveWhole(t *testing.T) {
	for _, cfg := range []Config{{}, {BlockBytes: 17 * 4096, RingBytes: 1 << 20}, {BusyPoll: 100 * time.Millisecond}} {
		l := newLab(t, 65535)
		r, fd := l.open(t, cfg), l.sender(t)
		var sent [][]byte
		for _, size := range []int{0, 18, 1472, 8972, 32000, 65507} {
			sent = append(sent, mirrored(t, bytes.Repeat([]byte{byte(size)}, size)))
		}
		send(t, fd, sent...)
		captured(t, r, uint64(len(sent)))
		r.Stop()
		equalFrames(t, drainAll(t, r), sent)
		if s := settled(t, r); s.Cut != 0 || s.Frames != uint64(len(sent)) || s.Bytes != uint64(len(slices.Concat(sent...))) {
			t.Errorf("%+v", s)
		}
	}
}

// The block with the packets is still open when Stop is called, as its timeout
// is long; what is sent after Stop stays out.
func TestStopDrains(t *testing.T) {
	for _, n := range []int{0, 1, 3000} {
		l := newLab(t, 1500)
		r, fd := l.open(t, Config{BlockTimeout: 300 * time.Millisecond}), l.sender(t)
		var sent [][]byte
		for _, p := range numbered(n, 1000) {
			sent = append(sent, mirrored(t, p))
		}
		send(t, fd, sent...)
		captured(t, r, uint64(n))
		r.Stop()
		send(t, fd, mirrored(t, []byte("late")), mirrored(t, []byte("late")))
		equalFrames(t, drainAll(t, r), sent)
		if s := settled(t, r); s.Packets != uint64(n) || s.Drops != 0 {
			t.Errorf("%+v", s)
		}
		if _, err := r.Next(); err != io.EOF {
			t.Errorf("Next after the end: %v", err)
		}
	}
}

func backlog(r *Ring) (waiting, blocks int) {
	s := r.Stats()
	return s.Waiting, s.Room
}

// The ring tells when a batch was captured, and what is still in it.
func TestBacklogAndBatchTime(t *testing.T) {
	l := newLab(t, 1500)
	r, fd := l.open(t, Config{BlockBytes: 17 * 4096, RingBytes: 4 * 17 * 4096}), l.sender(t)
	if waiting, blocks := backlog(r); waiting != 0 || blocks != 4 {
		t.Errorf("empty: %d of %d blocks", waiting, blocks)
	}
	if s := r.Stats(); s.Mapped != 4*17*4096 {
		t.Errorf("%d bytes are mapped", s.Mapped)
	}
	before := time.Now()
	send(t, fd, mirrored(t, []byte("first")), mirrored(t, []byte("second")))
	if _, err := r.Next(); err != nil {
		t.Fatal(err)
	}
	after := time.Now()
	// An idle ring has had its block open for long.
	if at := r.BatchTime(); at.Before(before.Add(-time.Millisecond)) || at.After(after) {
		t.Errorf("captured at %v, want between %v and %v", at, before, after)
	}
	if waiting, _ := backlog(r); waiting != 1 || r.More() {
		t.Errorf("%d blocks wait while the only one is being read", waiting)
	}
	for waiting := 0; waiting < 4; waiting, _ = backlog(r) {
		send(t, fd, mirrored(t, make([]byte, 1000)))
	}
	if !r.More() {
		t.Error("a full ring has no more")
	}
	r.Stop()
	drainAll(t, r)
	if waiting, _ := backlog(r); waiting != 0 {
		t.Errorf("%d blocks wait when all is read", waiting)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if waiting, blocks := backlog(r); waiting != 0 || blocks != 0 {
		t.Errorf("closed: %d of %d blocks", waiting, blocks)
	}
	if s := r.Stats(); s.Mapped != 0 {
		t.Errorf("closed: %d bytes are mapped", s.Mapped)
	}
}

func TestStopWakesNext(t *testing.T) {
	l := newLab(t, 1500)
	r := l.open(t, Config{})
	done := make(chan error)
	go func() {
		_, err := r.Next()
		done <- err
	}()
	go r.Stats()
	go r.Stop()
	r.Stop()
	if err := within(t, done); err != io.EOF {
		t.Fatalf("Next: %v", err)
	}
}

// within gives what is sent, which is expected soon.
func within[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(10 * time.Second):
		t.Fatal("nothing happened in 10 s")
	}
	panic("not reached")
}

// Stop in the middle of traffic: what the kernel took in is handed out.
func TestStopUnderLoad(t *testing.T) {
	l := newLab(t, 1500)
	r, fd := l.open(t, Config{}), l.sender(t)
	frame := mirrored(t, make([]byte, 500))
	stopped, over := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(over)
		for {
			select {
			case <-stopped:
				return
			default:
				send(t, fd, frame)
			}
		}
	}()
	go func() {
		captured(t, r, 5000)
		r.Stop()
	}()
	got := drainAll(t, r)
	close(stopped)
	<-over
	if s := settled(t, r); s.Frames != uint64(len(got)) || len(got) == 0 {
		t.Errorf("%d frames, %+v", len(got), s)
	}
}

// While packets keep coming, Next wakes up for two blocks at a time, and loses none.
func TestNextWakesForTwo(t *testing.T) {
	l := newLab(t, 1500)
	const open = 10 * time.Millisecond
	r, fd := l.open(t, Config{BlockTimeout: open}), l.sender(t)
	stop := sending(t, fd, mirrored(t, make([]byte, 100)), open/8)
	const batches = 30
	pairs, frames := 0, uint64(0)
	for range batches {
		got, err := r.Next()
		must(t, err)
		frames += uint64(len(got))
		if r.More() {
			pairs++
		}
	}
	if pairs < batches/3 {
		t.Errorf("of %d batches, %d had another behind them", batches, pairs)
	}
	sent := stop()
	r.Stop() // in a pause, for all that it knows
	if frames += uint64(len(drainAll(t, r))); frames != sent {
		t.Errorf("%d frames of %d", frames, sent)
	}
}

func TestDropsAreCounted(t *testing.T) {
	l := newLab(t, 1500)
	r, fd := l.open(t, Config{RingBytes: 1, BlockBytes: 17 * 4096}), l.sender(t)
	const n = 1000
	for _, p := range numbered(n, 1000) {
		send(t, fd, mirrored(t, p))
	}
	captured(t, r, n)
	r.Stop()
	got := drainAll(t, r)
	s := settled(t, r)
	if s.Packets != n || s.Drops == 0 || s.Freezes == 0 || s.Packets != s.Drops+uint64(len(got)) {
		t.Errorf("sent %d, delivered %d, %+v", n, len(got), s)
	}
}

func TestNothingElseComesIn(t *testing.T) {
	l := newLab(t, 1500)
	r, fd := l.open(t, Config{}), l.sender(t)
	want := mirrored(t, []byte("mirror"))
	send(t, fd,
		packet(t, ether(v4), ip4(nil), udpTo(4791), []byte("other port")),
		packet(t, ether(v4), ip4(nil), &layers.UDP{SrcPort: 4789, DstPort: 53}, []byte("reversed")),
		packet(t, ether(v4), ip4(func(h *layers.IPv4) { h.Protocol = 6 }), udpTo(4789), []byte("TCP")),
		packet(t, ether(layers.EthernetTypeARP), make([]byte, 46)),
		want)
	in(t, l.mon, func() { // what the host itself sends is not the mirror's
		must(t, sendFrom(mon4, peer4, 4789))
	})
	captured(t, r, 1)
	r.Stop()
	equalFrames(t, drainAll(t, r), [][]byte{want})
	if s := settled(t, r); s.Packets != 1 {
		t.Errorf("%+v", s)
	}
}

// The kernel takes the outermost tag off.
func TestTaggedFrames(t *testing.T) {
	const ctag, stag = layers.EthernetTypeDot1Q, layers.EthernetTypeQinQ
	l := newLab(t, 1500)
	r, fd := l.open(t, Config{}), l.sender(t)
	tagged := func(tags ...layers.EthernetType) []byte {
		return packet(t, ether(v4, tags...), ip4(nil), udpTo(4789), make([]byte, 100))
	}
	three := tagged(stag, ctag, ctag)
	send(t, fd, tagged(ctag), tagged(stag, ctag), three)
	captured(t, r, 3)
	r.Stop()
	without := func(frame []byte) []byte { return slices.Concat(frame[:12], frame[16:]) }
	equalFrames(t, drainAll(t, r), [][]byte{tagged(), without(tagged(stag, ctag)), without(three)})
	settled(t, r)
}

func TestKernelFragments(t *testing.T) {
	l := newLab(t, 1500)
	r := l.open(t, Config{})
	var want [][]byte
	packets := uint64(0)
	for i, p := range numbered(4, 60000) {
		to, perFragment := mon4, 1480
		if i%2 == 1 {
			to, perFragment = mon6, 1448 // 1500 less both headers
		}
		_, err := l.udp(t, to, 4789).Write(p)
		must(t, err)
		packets += uint64((60008 + perFragment - 1) / perFragment)
		captured(t, r, packets)
		want = append(want, p)
	}
	r.Stop()
	got := drainAll(t, r)
	for i := range got {
		got[i] = payloadOf(t, got[i])
	}
	equalFrames(t, got, want)
	if s := settled(t, r); s.Reassembled != 4 || s.FragmentsReassembled != packets {
		t.Errorf("%+v, want %d fragments", s, packets)
	}
}

// A datagram whose fragments come in different blocks, and one that is never
// whole.
func TestFragmentsAcrossBatches(t *testing.T) {
	l := newLab(t, 1500)
	r, fd := l.open(t, Config{}), l.sender(t)
	fam, data := families[0], datagramOf(t, 2000)
	one := mirrored(t, []byte("one"))
	send(t, fd, fam.Part(t, 1, 1480, false, data[1480:]), fam.Part(t, 2, 0, true, data[:1480]), one)
	first, err := r.Next()
	must(t, err)
	equalFrames(t, first, [][]byte{one})
	send(t, fd, fam.Part(t, 1, 0, true, data[:1480]))
	captured(t, r, 4)
	r.Stop()
	equalFrames(t, drainAll(t, r), [][]byte{fam.Whole(t, 1, data)})
	if s := settled(t, r); s.FragmentsDropped[defrag.DropTimeout] != 1 {
		t.Errorf("%+v", s)
	}
}

// On the loopback interface every packet passes twice, sent and received.
func TestLoopbackOnce(t *testing.T) {
	l := newLab(t, 1500)
	in(t, l.mon, func() { bringLoopbackUp(t) })
	r := l.open(t, Config{Interface: "lo", Mirror: vxlanAt(6081)})
	in(t, l.mon, func() { must(t, sendFrom(loopback, loopback, 6081)) })
	captured(t, r, 1)
	r.Stop()
	if got := drainAll(t, r); len(got) != 1 || string(payloadOf(t, got[0])) != "from here" {
		t.Errorf("%d frames", len(got))
	}
	settled(t, r)
}

func TestAfterClose(t *testing.T) {
	l := newLab(t, 1500)
	r, fd := l.open(t, Config{}), l.sender(t)
	send(t, fd, mirrored(t, nil))
	captured(t, r, 1)
	must(t, r.Close())
	must(t, r.Close())
	r.Stop()
	if _, err := r.Next(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Next: %v", err)
	}
	if s := r.Stats(); s.Packets != 1 {
		t.Errorf("%+v", s)
	}
}

// CaughtUp follows the reader, and stops where it does.
func TestCaughtUp(t *testing.T) {
	l := newLab(t, 1500)
	r, fd := l.open(t, Config{}), l.sender(t)
	const margin = 2*time.Millisecond + handover
	got := reading(r)
	send(t, fd, mirrored(t, []byte("one")))
	within(t, got)
	from := time.Now()
	if at := r.CaughtUp(from); at.After(from.Add(-margin)) {
		t.Errorf("what may be in the kernel's hands is taken for read: %v before", from.Sub(at))
	}
	for end := from.Add(10 * time.Second); r.CaughtUp(time.Now()).Before(from); runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatal("an empty ring is not caught up with")
		}
	}
	r.Stop()
	within(t, got)

	// One whose reader has a batch in hand, and others wait.
	l = newLab(t, 1500)
	s, fd := l.open(t, Config{}), l.sender(t)
	frame := mirrored(t, []byte("one"))
	for range 2 {
		n := s.Stats().Packets
		send(t, fd, frame)
		captured(t, s, n+1)
		if _, err := s.Next(); err != nil {
			t.Fatal(err)
		}
		from = time.Now()
	}
	for waiting := 0; waiting < 2; waiting, _ = backlog(s) {
		send(t, fd, frame)
	}
	if at := s.CaughtUp(time.Now().Add(time.Hour)); at.After(from) {
		t.Errorf("what waits is taken for read, up to %v after", at.Sub(from))
	}
}
