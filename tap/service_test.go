package tap

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"golang.org/x/net/bpf"

	"netmirror/filter"
	"netmirror/service"
	"netmirror/wire"
)

const (
	ourVNI  = 0x123456
	ourPort = 8080
)

// accepts says whether the filter takes a frame in.
func accepts(t testing.TB, vm *bpf.VM, frame []byte) bool {
	t.Helper()
	n, err := vm.Run(frame)
	must(t, err)
	return n > 0
}

func newVM(t testing.TB, prog []bpf.Instruction) *bpf.VM {
	t.Helper()
	vm, err := bpf.NewVM(prog)
	must(t, err)
	return vm
}

func TestServiceFilter(t *testing.T) {
	c := Config{Mirror: vxlanAt(4789), VNIs: []uint32{0, ourVNI, wire.MaxVNI}, InnerPorts: service.PortsOf(ourPort)}
	vm := newVM(t, c.filter().Frames())
	for _, o := range outerLayouts() {
		unseen := o.name == "IPv6 with options thrice"
		for _, ports := range [][2]int{{50000, ourPort}, {ourPort, 50000}, {50000, 443}} {
			for _, in := range innerLayouts(t, ports[0], ports[1]) {
				for _, vni := range []int{0, ourVNI, wire.MaxVNI, ourVNI + 1, ourVNI >> 8, 1} {
					want := unseen || in.accept && slices.Contains(c.VNIs, uint32(vni))
					if got := accepts(t, vm, o.wrap(t, vni, in.frame...)); got != want {
						t.Errorf("%s in %s, VNI %#x, ports %v: accepted %t", in.name, o.name, vni, ports, got)
					}
				}
			}
		}
	}
}

func TestServiceFilterParts(t *testing.T) {
	other := outerLayouts()[0].wrap(t, 7, innerLayouts(t, 1, 2)[0].frame...)
	ours := outerLayouts()[0].wrap(t, ourVNI, innerLayouts(t, 50000, ourPort)[0].frame...)
	noFlag := slices.Clone(other)
	noFlag[42] = 0xf7
	first := packet(t, ether(v4), ip4(func(h *layers.IPv4) { h.Flags = layers.IPv4MoreFragments }),
		udpTo(4789), vxlan(7), gopacket.Payload(make([]byte, 60)))
	long := make([]uint32, filter.MaxVNIs+1)
	for _, tc := range []struct {
		name   string
		cfg    Config
		frame  []byte
		accept bool
	}{
		{"nothing asked", Config{}, other, true},
		{"VNI only, other", Config{VNIs: []uint32{ourVNI}}, other, false},
		{"VNI only, ours", Config{VNIs: []uint32{6, 7, 8}}, other, true},
		{"port only, other", Config{InnerPorts: service.PortsOf(ourPort)}, other, false},
		{"port only, ours", Config{InnerPorts: service.PortsOf(ourPort)}, ours, true},
		{"a range with ours", Config{InnerPorts: service.Ports{{First: 1, Last: 2}, {First: ourPort - 1, Last: ourPort}}}, ours, true},
		{"ranges around ours", Config{InnerPorts: service.Ports{{First: 1, Last: ourPort - 1}, {First: ourPort + 1, Last: ourPort + 9}}}, ours, false},
		{"port only, of either direction", Config{InnerPorts: service.PortsOf(1)}, other, true},
		{"list too long, port ours", Config{VNIs: long, InnerPorts: service.PortsOf(ourPort)}, ours, true},
		{"list too long, port other", Config{VNIs: long, InnerPorts: service.PortsOf(ourPort)}, other, false},
		{"list too long, nothing else asked", Config{VNIs: long}, other, true},
		{"longest list", Config{VNIs: long[1:], InnerPorts: service.PortsOf(ourPort)}, ours, false},
		{"I flag clear", Config{VNIs: []uint32{ourVNI}, InnerPorts: service.PortsOf(ourPort)}, noFlag, true},
		{"outer first fragment", Config{VNIs: []uint32{ourVNI}, InnerPorts: service.PortsOf(ourPort)}, first, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.cfg.Mirror = vxlanAt(4789)
			if got := accepts(t, newVM(t, tc.cfg.filter().Frames()), tc.frame); got != tc.accept {
				t.Errorf("accepted %t", got)
			}
		})
	}
}

// A mirror that cuts packets: those of the service are accepted wherever the cut
// is behind the outer UDP ports, others where it is before what tells them.
func TestServiceFilterTruncated(t *testing.T) {
	vm := newVM(t, Config{Mirror: vxlanAt(4789), VNIs: []uint32{ourVNI}, InnerPorts: service.PortsOf(ourPort)}.filter().Frames())
	o := outerLayouts()[0]
	const udpEnd = 14 + 20 + 8
	for _, in := range innerLayouts(t, 50000, ourPort) {
		if !in.accept {
			continue
		}
		frame := o.wrap(t, ourVNI, in.frame...)
		for n := udpEnd; n <= len(frame); n++ {
			if !accepts(t, vm, frame[:n]) {
				t.Errorf("%s: %d of %d bytes were not accepted", in.name, n, len(frame))
			}
		}
	}
	for _, tc := range []struct {
		inner innerLayout
		vni   int
		tells int // the frame's length from which on it is dropped
	}{
		{innerLayouts(t, 1, 2)[0], 7, udpEnd + 8},
		{innerLayouts(t, 1, 2)[0], ourVNI, udpEnd + 8 + 14 + 20 + 4},
		{innerLayouts(t, 1, 2)[2], ourVNI, udpEnd + 8 + 14 + 24 + 4},
		{innerLayouts(t, 1, 2)[3], ourVNI, udpEnd + 8 + 14 + 40 + 4},
	} {
		frame := o.wrap(t, tc.vni, tc.inner.frame...)
		for n := udpEnd; n <= len(frame); n++ {
			if got := accepts(t, vm, frame[:n]); got != (n < tc.tells) {
				t.Errorf("%s of another service: %d of %d bytes, accepted %t", tc.inner.name, n, len(frame), got)
			}
		}
	}
}

// The classic machine takes at most 4096 instructions.
func TestServiceFilterLength(t *testing.T) {
	raw, err := bpf.Assemble(Config{VNIs: make([]uint32, filter.MaxVNIs), InnerPorts: service.PortsOf(1)}.filter().Frames())
	must(t, err)
	if len(raw) > 400 {
		t.Errorf("%d instructions", len(raw))
	}
	t.Log(len(raw), "instructions")
}

// BenchmarkServiceFilter has the interpreter of x/net/bpf run the filter: its
// times compare programs, not with the kernel's compiled ones.
func BenchmarkServiceFilter(b *testing.B) {
	frame := outerLayouts()[0].wrap(b, ourVNI, innerLayouts(b, 50000, ourPort)[0].frame...)
	for _, c := range []Config{{}, {VNIs: []uint32{ourVNI}, InnerPorts: service.PortsOf(ourPort)}} {
		b.Run(fmt.Sprintf("port=%v", c.InnerPorts), func(b *testing.B) {
			c.Mirror = vxlanAt(4789)
			vm := newVM(b, c.filter().Frames())
			for b.Loop() {
				_, _ = vm.Run(frame)
			}
		})
	}
}

// The kernel runs the filter as the test's machine does, on packets cut short as
// well.
func TestServiceFilterInKernel(t *testing.T) {
	l := newLab(t, 1500)
	// Nobody reads while it is sent: blocks stay open for long, so that few are used.
	r := l.open(t, Config{VNIs: []uint32{ourVNI}, InnerPorts: service.PortsOf(ourPort), BlockTimeout: 100 * time.Millisecond})
	fd := l.sender(t)
	vm := newVM(t, r.cfg.filter().Frames())
	var want [][]byte
	for _, o := range outerLayouts() {
		for _, in := range slices.Concat(innerLayouts(t, 50000, ourPort), innerLayouts(t, 50000, 443)) {
			frame, other := o.wrap(t, ourVNI, in.frame...), o.wrap(t, ourVNI+1, in.frame...)
			for _, f := range [][]byte{frame, frame[:len(frame)/2], frame[:len(frame)-16], other} {
				send(t, fd, f)
				if f = asShown(f); accepts(t, vm, f) {
					want = append(want, f)
				}
			}
		}
	}
	captured(t, r, uint64(len(want)))
	r.Stop()
	got := drainAll(t, r)
	for i := range want { // reassembly takes the header of an atomic fragment off
		want[i] = readable(slices.Clone(want[i]))
	}
	equalFrames(t, got, want)
	settled(t, r)
}

// asShown is a frame as the kernel shows it, without its outermost VLAN tag.
func asShown(frame []byte) []byte {
	if slices.Contains(tagTypes[:2], uint32(frame[12])<<8|uint32(frame[13])) {
		return slices.Concat(frame[:12], frame[16:])
	}
	return frame
}

// Of several datagrams in one packet the first may be another service's.
func TestServiceFilterAcceptsSeveral(t *testing.T) {
	vm := newVM(t, Config{Mirror: vxlanAt(4789), VNIs: []uint32{ourVNI}, InnerPorts: service.PortsOf(ourPort)}.filter().Frames())
	next := slices.Concat(vxlan(ourVNI), packet(t, innerLayouts(t, 50000, ourPort)[0].frame...))
	for _, o := range outerLayouts() {
		if o.name == "IPv6 with options thrice" {
			continue
		}
		for _, in := range innerLayouts(t, 50000, 443) {
			switch in.name {
			case "IPv4 header of 4 words", "IPv6 in an IPv4 frame", "IPv4 in an IPv6 frame":
				continue // broken: it says nothing of its length
			}
			for _, vni := range []int{ourVNI, 7} {
				first := o.wrap(t, vni, in.frame...)
				if !accepts(t, vm, slices.Concat(first, next)) {
					t.Errorf("%s in %s, VNI %d: dropped with a second datagram behind it", in.name, o.name, vni)
				}
				if want := accepts(t, vm, first); accepts(t, vm, slices.Concat(first, make([]byte, 18))) != want {
					t.Errorf("%s in %s, VNI %d: with padding not judged as without", in.name, o.name, vni)
				}
			}
		}
	}
}

// A mirror that cuts packets leaves the IP length of the whole ones in them, so the first of
// several datagrams seems to go on in the others.
func TestServiceFilterAcceptsSeveralCut(t *testing.T) {
	vm := newVM(t, Config{Mirror: vxlanAt(4789), VNIs: []uint32{ourVNI}, InnerPorts: service.PortsOf(ourPort)}.filter().Frames())
	data := gopacket.Payload(make([]byte, 1000))
	const size = 128
	ours := slices.Concat(vxlan(ourVNI), packet(t, append(innerLayouts(t, 50000, ourPort)[0].frame, data)...))[:size]
	for i, name := range []string{0: "IPv4", 2: "IPv4 with options", 3: "IPv6"} {
		if name == "" {
			continue
		}
		for _, vni := range []int{ourVNI, 7} {
			first := outerLayouts()[0].wrap(t, vni, append(innerLayouts(t, 50000, 443)[i].frame, data)...)
			if accepts(t, vm, first) {
				t.Errorf("%s, VNI %d: a whole one of another service was accepted", name, vni)
			}
			if !accepts(t, vm, slices.Concat(first[:14+20+8+size], ours)) {
				t.Errorf("%s, VNI %d: dropped with a second datagram behind it", name, vni)
			}
		}
	}
}

// A length of 0, which segmentation offload leaves, is not that of a cut packet.
func TestServiceFilterDropsWithoutLength(t *testing.T) {
	vm := newVM(t, Config{Mirror: vxlanAt(4789), InnerPorts: service.PortsOf(ourPort)}.filter().Frames())
	for i, at := range map[int]int{0: 16, 3: 18} { // IPv4's and IPv6's
		frame := outerLayouts()[0].wrap(t, ourVNI, append(innerLayouts(t, 50000, 443)[i].frame, gopacket.Payload(make([]byte, 1000)))...)
		frame[14+20+8+8+at], frame[14+20+8+8+at+1] = 0, 0
		if accepts(t, vm, frame) {
			t.Errorf("%s: accepted", innerLayouts(t, 1, 2)[i].name)
		}
	}
}
