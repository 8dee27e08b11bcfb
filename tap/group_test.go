package tap

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"net"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/gopacket/layers"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"netmirror/link"
	"netmirror/service"
)

// openGroup starts a capture with n rings in the namespace mon. Its blocks stay
// open for long, so that few are used while nobody reads.
func (l *lab) openGroup(t testing.TB, cfg Config, n int) []*Ring {
	t.Helper()
	cfg.Interface = cmp.Or(cfg.Interface, monIface)
	cfg.BlockTimeout = cmp.Or(cfg.BlockTimeout, 100*time.Millisecond)
	var rings []*Ring
	in(t, l.mon, func() {
		var err error
		rings, err = OpenGroup(cfg, n)
		must(t, err)
	})
	if len(rings) != n {
		t.Fatalf("%d rings, want %d", len(rings), n)
	}
	t.Cleanup(func() {
		for _, r := range rings {
			must(t, r.Close())
		}
	})
	return rings
}

// capturedByAll waits until the kernel has counted n packets in all rings.
func capturedByAll(t testing.TB, rings []*Ring, n uint64) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); ; runtime.Gosched() {
		var sum uint64
		for _, r := range rings {
			sum += r.Stats().Packets
		}
		if sum >= n {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("the kernel counts %d packets, want %d", sum, n)
		}
	}
}

// allRead waits until n frames have been read in all.
func allRead(t testing.TB, rings []*Ring, n uint64) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); ; runtime.Gosched() {
		var read uint64
		for _, r := range rings {
			read += r.Stats().Frames
		}
		if read == n {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d of %d frames were read", read, n)
		}
	}
}

// drainGroup reads what each ring has to its end, all at the same time.
func drainGroup(t testing.TB, rings []*Ring) [][][]byte {
	t.Helper()
	all := make([][][]byte, len(rings))
	var wg sync.WaitGroup
	for i, r := range rings {
		wg.Go(func() { all[i] = drainAll(t, r) })
	}
	wg.Wait()
	return all
}

// sharing are frames to send and, for each ring, what it is to have of them.
type sharing struct {
	send [][]byte
	want [][][]byte
}

func newSharing(n int) *sharing { return &sharing{want: make([][][]byte, n)} }

// add sends frame, of which the ring that hash tells is to have shown.
func (s *sharing) add(hash uint32, frame, shown []byte) {
	s.send = append(s.send, frame)
	i := hash % uint32(len(s.want))
	s.want[i] = append(s.want[i], shown)
}

// flows adds packets of flows, both ways, in every layout.
func (s *sharing) flows(t testing.TB, n int) {
	t.Helper()
	rng := rand.New(rand.NewPCG(5, 6))
	outer := outerLayouts()
	for i := range n {
		f := randomFlow(rng)
		for _, fromServer := range []bool{false, true, false} {
			o := outer[rng.IntN(len(outer))]
			var tags []layers.EthernetType
			for range rng.IntN(4) {
				tags = append(tags, layers.EthernetTypeDot1Q)
			}
			hash := f.hash(fromServer)
			if len(tags) > 2 || o.name == "IPv6 with options thrice" {
				hash = 0
			}
			frame := o.wrap(t, i, f.inner(fromServer, tags...)...)
			s.add(hash, frame, readable(asShown(slices.Clone(frame))))
		}
	}
}

func TestGroupSharesPackets(t *testing.T) {
	for _, n := range []int{1, 2, 3, 5} {
		l := newLab(t, 1500)
		rings, fd := l.openGroup(t, Config{}, n), l.sender(t)
		s := newSharing(n)
		s.flows(t, 300)
		s.add(0, mirrored(t, []byte("no VXLAN")), mirrored(t, []byte("no VXLAN")))
		send(t, fd, s.send...)
		capturedByAll(t, rings, uint64(len(s.send)))
		rings[n-1].Stop()
		for i, got := range drainGroup(t, rings) {
			t.Logf("ring %d of %d has %d of %d packets", i, n, len(got), len(s.send))
			if len(got) < len(s.send)/n/2 {
				t.Errorf("too few in ring %d", i)
			}
			equalFrames(t, got, s.want[i])
			settled(t, rings[i])
		}
	}
}

// All fragments are in ring 0, whatever flow is in them, and its packet joined
// there.
func TestGroupReassembles(t *testing.T) {
	l := newLab(t, 1500)
	rings, fd := l.openGroup(t, Config{VNIs: []uint32{ourVNI}, InnerPorts: service.PortsOf(ourPort)}, 4), l.sender(t)
	var want [][]byte
	var fragments uint64
	for i := range 20 {
		f := flow{peer4, mon4, 50000 + i}
		data := slices.Concat(packet(t, udpTo(4789), vxlan(ourVNI)), packet(t, f.inner(false)...), make([]byte, 1000))
		fam := families[i%len(families)]
		binary.BigEndian.PutUint16(data[4:], uint16(len(data)))
		send(t, fd, fam.Part(t, i, 0, true, data[:800]), fam.Part(t, i, 800, false, data[800:]))
		fragments += 2
		want = append(want, asShown(fam.Whole(t, i, data)))
	}
	capturedByAll(t, rings, fragments)
	rings[0].Stop()
	got := drainGroup(t, rings)
	equalFrames(t, got[0], want)
	if n := len(slices.Concat(got[1:]...)); n != 0 {
		t.Errorf("%d frames in other rings", n)
	}
	if s := settled(t, rings[0]); s.FragmentsReassembled != fragments {
		t.Errorf("%+v", s)
	}
}

// Stop in the middle of traffic: what the kernel has taken in, every ring hands
// out.
func TestGroupStopUnderLoad(t *testing.T) {
	l := newLab(t, 1500)
	rings, fd := l.openGroup(t, Config{BlockTimeout: time.Millisecond}, 3), l.sender(t)
	s := newSharing(3)
	s.flows(t, 100)
	stopped, over := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(over)
		for {
			select {
			case <-stopped:
				return
			default:
				send(t, fd, s.send...)
			}
		}
	}()
	go func() {
		capturedByAll(t, rings, 5000)
		rings[1].Stop()
	}()
	got := drainGroup(t, rings)
	close(stopped)
	<-over
	for i, r := range rings {
		if st := settled(t, r); st.Frames != uint64(len(got[i])) || len(got[i]) == 0 {
			t.Errorf("%d frames, %+v", len(got[i]), st)
		}
	}
}

// What the host itself sends is not the mirror's; without fanout's own flag it is
// the filter that says so (Linux before 6.2).
// Rings that look away together leave nothing unread when the traffic ceases, in
// whichever of them it was.
func TestGroupReadsAllBeforeSilence(t *testing.T) {
	const n = 4
	l := newLab(t, 1500)
	rings, fd := l.openGroup(t, Config{BlockTimeout: time.Millisecond}, n), l.sender(t)
	var readers sync.WaitGroup
	for _, r := range rings {
		readers.Go(func() { drainAll(t, r) })
	}
	tick := time.NewTicker(500 * time.Microsecond)
	defer tick.Stop()
	rng := rand.New(rand.NewPCG(7, 8))
	for round, sent := 0, uint64(0); round < 30; round++ {
		s := newSharing(n)
		s.flows(t, 1+round)
		for _, frame := range s.send {
			<-tick.C
			send(t, fd, frame)
		}
		sent += uint64(len(s.send))
		allRead(t, rings, sent)
		for rings[0].group.pacer.Pausing() { // until they wait for packets again
			runtime.Gosched()
		}
		lone := outerLayouts()[0].wrap(t, round, randomFlow(rng).inner(false)...)
		send(t, fd, lone) // for one of them, and nothing for the others
		sent++
		allRead(t, rings, sent)
	}
	rings[0].Stop()
	readers.Wait()
}

// A ring without traffic notices what becomes of the interface, though its reader
// was away because of another ring's when it happened.
func TestQuietRingNoticesLink(t *testing.T) {
	l := newLab(t, 1500)
	rings, fd := l.openGroup(t, Config{BlockTimeout: 2 * time.Millisecond}, 2), l.sender(t)
	sending(t, fd, mirrored(t, []byte("no VXLAN")), 500*time.Microsecond) // ring 0's
	ends := []<-chan error{theEnd(t, rings[0]), theEnd(t, rings[1])}
	for n := range uint64(8) {
		l.setLink(t, netlink.LinkSetDown)
		for _, r := range rings {
			wentDown(t, r, n+1)
		}
		l.setLink(t, netlink.LinkSetUp)
		before := rings[0].Stats().Frames
		for end := time.Now().Add(10 * time.Second); rings[1].linkDown.Load() || rings[0].Stats().Frames < before+20; runtime.Gosched() {
			if time.Now().After(end) {
				t.Fatalf("after 10 s down: %v, %d frames", rings[1].linkDown.Load(), rings[0].Stats().Frames-before)
			}
		}
	}
	l.setLink(t, netlink.LinkDel)
	for i, end := range ends {
		if err := within(t, end); !errors.Is(err, link.ErrGone) {
			t.Errorf("ring %d: %v", i, err)
		}
	}
}

func TestGroupLeavesOutSent(t *testing.T) {
	l := newLab(t, 1500)
	rings, fd := l.openGroup(t, Config{}, 2), l.sender(t)
	in(t, l.mon, func() { must(t, sendFrom(mon4, peer4, 4789)) })
	want := mirrored(t, []byte("mirror"))
	send(t, fd, want)
	capturedByAll(t, rings, 1)
	rings[0].Stop()
	got := drainGroup(t, rings)
	equalFrames(t, got[0], [][]byte{want})
	if len(got[1]) != 0 {
		t.Errorf("%d frames more", len(got[1]))
	}
}

// On the loopback interface every packet passes twice, sent and received.
func TestGroupLoopbackOnce(t *testing.T) {
	l := newLab(t, 1500)
	in(t, l.mon, func() { bringLoopbackUp(t) })
	rings := l.openGroup(t, Config{Interface: "lo"}, 2)
	in(t, l.mon, func() { must(t, sendFrom(loopback, loopback, 4789)) })
	capturedByAll(t, rings, 1)
	rings[0].Stop()
	if got := drainGroup(t, rings); len(got[0]) != 1 || len(got[1]) != 0 {
		t.Errorf("%d and %d frames", len(got[0]), len(got[1]))
	}
}

// Groups of one interface and rings without one have all packets each.
func TestGroupsAreIndependent(t *testing.T) {
	l := newLab(t, 1500)
	a, b, c := l.openGroup(t, Config{}, 2), l.openGroup(t, Config{}, 3), l.openGroup(t, Config{}, 1)
	fd := l.sender(t)
	s := newSharing(1)
	s.flows(t, 50)
	send(t, fd, s.send...)
	for _, rings := range [][]*Ring{a, b, c} {
		capturedByAll(t, rings, uint64(len(s.send)))
		rings[0].Stop()
		if n := len(slices.Concat(drainGroup(t, rings)...)); n != len(s.send) {
			t.Errorf("%d rings have %d packets, want %d", len(rings), n, len(s.send))
		}
	}
}

// The rings have their numbers still when the interface was down.
func TestGroupAfterLinkDown(t *testing.T) {
	for _, tc := range []struct {
		name     string
		n, spare int
	}{
		{"three rings", 3, 0},
		{"three with a spare one", 3, 16 << 20},
		{"one with a spare one", 1, 16 << 20},
	} {
		t.Run(tc.name, func(t *testing.T) { groupAfterLinkDown(t, Config{SpareBytes: tc.spare}, tc.n) })
	}
}

func groupAfterLinkDown(t *testing.T, cfg Config, n int) {
	l := newLab(t, 1500)
	rings, fd := l.openGroup(t, cfg, n), l.sender(t)
	l.setLink(t, netlink.LinkSetDown)
	l.setLink(t, netlink.LinkSetUp)
	// The peer's queue opens some time after the carrier is back.
	probe := mirrored(t, []byte("in ring 0"))
	for end := time.Now().Add(10 * time.Second); rings[0].Stats().Packets == 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("no packet since the interface is up again")
		}
		send(t, fd, probe)
	}
	s := newSharing(n)
	s.flows(t, 100)
	send(t, fd, s.send...)
	capturedByAll(t, rings, uint64(len(s.send))+1)
	rings[0].Stop()
	for i, got := range drainGroup(t, rings) {
		got = slices.DeleteFunc(got, func(f []byte) bool { return bytes.Equal(f, probe) })
		equalFrames(t, got, s.want[i])
		settled(t, rings[i])
	}
}

// Each ring is closed by itself; one that closes stops the others, and the port
// is held until the last is.
func TestGroupClose(t *testing.T) {
	l := newLab(t, 1500)
	rings, fd := l.openGroup(t, Config{BlockTimeout: 300 * time.Millisecond}, 2), l.sender(t)
	s := newSharing(2)
	s.flows(t, 50)
	send(t, fd, s.send...)
	capturedByAll(t, rings, uint64(len(s.send)))
	must(t, rings[0].Close())
	must(t, rings[0].Close())
	equalFrames(t, drainAll(t, rings[1]), s.want[1])

	mirror, nobody := l.udp(t, mon4, 4789), l.udp(t, mon4, 4788)
	_, err := mirror.Write([]byte("to the mirror's port"))
	must(t, err)
	_, err = nobody.Write([]byte("to a port that nobody has"))
	must(t, err)
	refused(t, nobody)
	if errno := pendingError(t, mirror); errno != 0 {
		t.Errorf("the kernel answered: %v", unix.Errno(errno))
	}
	must(t, rings[1].Close())
	_, err = mirror.Write([]byte("to the mirror's port"))
	must(t, err)
	refused(t, mirror)
}

func TestGroupMemory(t *testing.T) {
	const mib = 1 << 20
	for _, tc := range []struct {
		name      string
		ring      int
		n         int
		wantBytes int
	}{
		{"one ring", 8 * mib, 1, 8 * mib},
		{"four rings", 8 * mib, 4, 2 * mib},
		{"not even", 10 * mib, 3, 4 * mib},
		{"two blocks each at least", 4 * mib, 4, 2 * mib},
	} {
		cfg, err := Config{RingBytes: tc.ring}.resolve()
		must(t, err)
		if got := cfg.share(tc.n).RingBytes; got != tc.wantBytes {
			t.Errorf("%s: %d bytes, want %d", tc.name, got, tc.wantBytes)
		}
	}
}

func TestOpenGroupErrors(t *testing.T) {
	l := newLab(t, 1500)
	in(t, l.mon, func() {
		for _, n := range []int{-1, 0, maxRings + 1} {
			if _, err := OpenGroup(Config{Interface: monIface}, n); err == nil {
				t.Errorf("%d rings were opened", n)
			}
		}
		// A failure half way gives everything back: the port, for one.
		if _, err := OpenGroup(Config{Interface: monIface, RingBytes: 1 << 62}, 2); err == nil {
			t.Error("a ring of 2^62 bytes was opened")
		}
		c, err := net.ListenUDP("udp", &net.UDPAddr{Port: 4789})
		must(t, err)
		must(t, c.Close())
	})
}
