package tap

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"golang.org/x/net/bpf"

	"netmirror/decap"
	"netmirror/filter"
	"netmirror/service"
	"netmirror/service/servicetest"
	"netmirror/wire"
	"netmirror/wire/wiretest"
)

const (
	ourVNI  = 0x123456
	ourPort = 8080
)

// vxlan is a VXLAN header by hand (RFC 7348, section 5).
func vxlan(vni int) []byte {
	return []byte{0x08, 0, 0, 0, byte(vni >> 16), byte(vni >> 8), byte(vni), 0}
}

// tcp is a TCP header.
func tcp(src, dst int) *layers.TCP {
	return &layers.TCP{SrcPort: layers.TCPPort(src), DstPort: layers.TCPPort(dst), Seq: 1, ACK: true, Window: 100}
}

// outerLayout is a way to the UDP payload.
type outerLayout struct {
	name    string
	headers []any
}

// wrap puts a mirrored frame into a mirror packet.
func (o outerLayout) wrap(t testing.TB, vni int, inner ...any) []byte {
	t.Helper()
	return packet(t, slices.Concat(o.headers, []any{vxlan(vni)}, inner)...)
}

// outerLayouts are all that the filter looks into, and some that it does not.
func outerLayouts() []outerLayout {
	const (
		hop  = layers.IPProtocolIPv6HopByHop
		frag = layers.IPProtocolIPv6Fragment
		ctag = layers.EthernetTypeDot1Q
		stag = layers.EthernetTypeQinQ
	)
	udp := udpTo(4789)
	udp6 := layers.IPProtocolUDP
	return []outerLayout{
		{"IPv4", []any{ether(v4), ip4(nil), udp}},
		{"IPv4 with options", []any{ether(v4), ip4(fourOptions), udp}},
		{"one tag, IPv4", []any{ether(v4, ctag), ip4(nil), udp}},
		{"two tags, IPv4", []any{ether(v4, stag, ctag), ip4(fourOptions), udp}},
		{"IPv6", []any{ether(v6), ip6(udp6), udp}},
		{"two tags, IPv6", []any{ether(v6, stag, ctag), ip6(udp6), udp}},
		{"IPv6 with options", []any{ether(v6), ip6(hop), longOptions(17), udp}},
		{"IPv6 with options twice", []any{ether(v6), ip6(hop), hopByHop(60), longOptions(17), udp}},
		{"IPv6 with options thrice", []any{ether(v6), ip6(hop), hopByHop(60), longOptions(60), hopByHop(17), udp}},
		{"IPv6 atomic fragment", []any{ether(v6), ip6(frag), fragHeader(17, 0, false), udp}},
		{"IPv6 atomic fragment behind options", []any{ether(v6), ip6(hop), hopByHop(44), fragHeader(17, 0, false), udp}},
	}
}

func fourOptions(h *layers.IPv4) {
	h.Options = []layers.IPv4Option{{OptionType: 1}, {OptionType: 1}, {OptionType: 1}, {OptionType: 0}}
}

// innerLayout is a mirrored frame, of a kind.
type innerLayout struct {
	name   string
	frame  []any
	accept bool
}

func innerLayouts(t testing.TB, src, dst int) []innerLayout {
	t.Helper()
	of := func(p layers.IPProtocol) func(*layers.IPv4) { return func(h *layers.IPv4) { h.Protocol = p } }
	const (
		hop  = layers.IPProtocolIPv6HopByHop
		frag = layers.IPProtocolIPv6Fragment
		ctag = layers.EthernetTypeDot1Q
		stag = layers.EthernetTypeQinQ
		qinq = layers.EthernetType(0x9100)
		tcp6 = layers.IPProtocolTCP
	)
	isTCP := func(h *layers.IPv4) { h.Protocol = layers.IPProtocolTCP }
	ours := src == ourPort || dst == ourPort
	seg, data := tcp(src, dst), []byte("GET / HTTP/1.1\r\n\r\n")
	return []innerLayout{
		{"IPv4", []any{ether(v4), ip4(isTCP), seg, data}, ours},
		{"IPv4 without data", []any{ether(v4), ip4(isTCP), seg}, ours},
		{"IPv4 with options", []any{ether(v4), ip4(func(h *layers.IPv4) { isTCP(h); fourOptions(h) }), seg, data}, ours},
		{"IPv6", []any{ether(v6), ip6(tcp6), seg, data}, ours},
		{"tag, IPv4", []any{ether(v4, ctag), ip4(isTCP), seg, data}, true},
		{"two tags, IPv6", []any{ether(v6, stag, ctag), ip6(tcp6), seg, data}, true},
		{"old tag, IPv4", []any{ether(v4, qinq), ip4(isTCP), seg, data}, true},
		{"IPv6 with options", []any{ether(v6), ip6(hop), hopByHop(6), seg, data}, true},
		{"IPv6 atomic fragment", []any{ether(v6), ip6(frag), fragHeader(6, 0, false), seg, data}, true},
		{"IPv6 with an unknown header", []any{ether(v6), ip6(253), seg, data}, true},
		{"IPv4 first fragment", []any{ether(v4), ip4(func(h *layers.IPv4) { isTCP(h); h.Flags = layers.IPv4MoreFragments }), seg, data}, true},
		{"IPv4 later fragment", []any{ether(v4), ip4(func(h *layers.IPv4) { isTCP(h); h.FragOffset = 5 }), seg, data}, true},
		{"IPv4 with DF", []any{ether(v4), ip4(func(h *layers.IPv4) { isTCP(h); h.Flags = layers.IPv4DontFragment }), seg, data}, ours},
		{"IPv4 header of 4 words", []any{ether(v4), []byte{0x44, 0, 0, 40, 0, 0, 0, 0, 64, 6}, make([]byte, 60)}, true},
		{"IPv6 in an IPv4 frame", []any{ether(v4), ip6(tcp6), seg, data}, true},
		{"IPv4 in an IPv6 frame", []any{ether(v6), ip4(isTCP), seg, data}, true},
		{"IPv4 UDP", []any{ether(v4), ip4(nil), udpTo(ourPort), data}, false},
		{"IPv4 UDP fragment", []any{ether(v4), ip4(func(h *layers.IPv4) { h.FragOffset = 5 }), data}, true}, // an overlay's maybe
		{"IPv6 UDP", []any{ether(v6), ip6(layers.IPProtocolUDP), udpTo(ourPort), data}, false},
		{"ICMPv6", []any{ether(v6), ip6(layers.IPProtocolICMPv6), data, data}, false},
		{"ARP", []any{ether(layers.EthernetTypeARP), make([]byte, 46)}, false},
		{"tag of type 0x9200, IPv4", []any{ether(v4, 0x9200), ip4(isTCP), seg, data}, true},
		{"MPLS", []any{ether(layers.EthernetTypeMPLSUnicast), &layers.MPLS{Label: 16, StackBottom: true, TTL: 64}, ip4(isTCP), seg, data}, true},
		{"PPPoE", []any{ether(layers.EthernetTypePPPoESession), wiretest.PPPoE(0x21, packet(t, ip4(isTCP), seg, data))}, true},
		{"LLC and SNAP", []any{wiretest.SNAP(0x0800, packet(t, ip4(isTCP), seg, data))}, true},
		{"NSH", []any{ether(0x894f), []byte{0x0f, 0xc2, 2, 1, 0, 0, 1, 255}, ip4(isTCP), seg}, true},
		{"IP in IP", []any{ether(v4), ip4(of(4)), ip4(isTCP), seg, data}, true},
		{"IPv6 in IPv4", []any{ether(v4), ip4(of(41)), ip6(tcp6), seg, data}, true},
		{"IPv4 in IPv6", []any{ether(v6), ip6(4), ip4(isTCP), seg, data}, true},
		{"GRE", []any{ether(v4), ip4(of(47)), &layers.GRE{Protocol: v6}, ip6(tcp6), seg, data}, true},
		{"VXLAN of an overlay", []any{ether(v4), ip4(fourOptions), udpTo(8472), vxlan(1), ether(v4), ip4(isTCP), seg, data}, true},
		{"GENEVE of an overlay", []any{ether(v6), ip6(layers.IPProtocolUDP), udpTo(6081), wiretest.Geneve(1, 0x6558), ether(v4), ip4(isTCP), seg, data}, true},
	}
}

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

// serviceCheck is the property that the filter stands for.
type serviceCheck struct {
	decoder *decap.Decoder
	filters []*bpf.VM
	plain   *bpf.VM // without the look at the service
}

func newServiceCheck(t testing.TB, m wire.Mirror) serviceCheck {
	t.Helper()
	vnis := []uint32{ourVNI, 0, wire.MaxVNI}
	if m.Bare() {
		vnis = []uint32{0}
	}
	d, err := decap.New(decap.Config{Mirror: m, Services: servicetest.Only(ourPort, vnis...)})
	must(t, err)
	s := serviceCheck{decoder: d, plain: newVM(t, Config{Mirror: m}.filter().Frames())}
	for _, c := range []Config{{VNIs: vnis, InnerPorts: service.PortsOf(ourPort)}, {VNIs: vnis}, {InnerPorts: service.PortsOf(ourPort)}} {
		c.Mirror = m
		s.filters = append(s.filters, newVM(t, c.filter().Frames()))
	}
	return s
}

// check fails if decap takes a frame, or a fragment that may be ours, that a filter
// drops, other than for a third VLAN tag, or if a filter takes one that is not even the mirror's. It says
// whether decap took the frame.
func (s serviceCheck) check(t testing.TB, frame []byte) bool {
	t.Helper()
	var p decap.Packet
	r := s.decoder.Decode(frame, &p)
	ours, mirrors := r == decap.OK || r == decap.InnerFragment, accepts(t, s.plain, frame)
	if ours && !mirrors && !taggedThrice(frame) {
		t.Fatalf("decap takes a frame that the filter drops for its outer headers: % x", frame)
	}
	for i, vm := range s.filters {
		took := accepts(t, vm, frame)
		if took && !mirrors {
			t.Fatalf("filter %d takes what is not the mirror's: % x", i, frame)
		}
		if ours && mirrors && !took {
			t.Fatalf("decap takes a frame that filter %d drops: % x", i, frame)
		}
	}
	return ours
}

// tagTypes are the EtherTypes that announce a VLAN tag.
var tagTypes = []uint32{wire.EtherTypeCTag, wire.EtherTypeSTag, wire.EtherTypeQinQ}

func taggedThrice(frame []byte) bool {
	for _, at := range []int{12, 16, 20} {
		if len(frame) < at+2 || !slices.Contains(tagTypes, uint32(frame[at])<<8|uint32(frame[at+1])) {
			return false
		}
	}
	return true
}

// serviceFrames are one frame for each layout outside and inside.
func serviceFrames(t testing.TB) (all [][]byte) {
	t.Helper()
	for _, o := range outerLayouts() {
		for _, in := range slices.Concat(innerLayouts(t, 50000, ourPort), innerLayouts(t, ourPort, 443)) {
			all = append(all, o.wrap(t, ourVNI, in.frame...))
		}
	}
	return all
}

// mutate changes a frame in one of the ways in which headers differ.
func mutate(rng *rand.Rand, frame []byte) []byte {
	interesting := []byte{0, 1, 4, 6, 8, 17, 43, 44, 45, 51, 58, 60, 0x44, 0x46, 0x4f, 0x60, 0x81, 0x86, 0x88, 0x91, 0xdd, 0xff}
	at := rng.IntN(len(frame))
	switch rng.IntN(6) {
	case 0:
		frame[at] = byte(rng.Uint32())
	case 1:
		frame[at] = interesting[rng.IntN(len(interesting))]
	case 2:
		frame[at] ^= 1 << rng.IntN(8)
	case 3: // cut
		return frame[:max(at, 1)]
	case 4: // headers put in, or padding
		put := make([]byte, []int{1, 4, 8}[rng.IntN(3)])
		for i := range put {
			put[i] = interesting[rng.IntN(len(interesting))]
		}
		return slices.Concat(frame[:at], put, frame[at:])
	default: // headers left out
		return slices.Delete(frame, at, min(at+[]int{1, 4, 8}[rng.IntN(3)], len(frame)-1))
	}
	return frame
}

func TestServiceFilterDropsNothingOfOurs(t *testing.T) {
	for _, row := range []struct {
		name   string
		mirror wire.Mirror
		frames [][]byte
		times  int
		ours   int // at least
	}{
		{"VXLAN", vxlanAt(4789), serviceFrames(t), 300_000, 30_000},
		{"any encapsulation", wire.Mirror{}, slices.Concat(serviceFrames(t), otherFrames(t)), 60_000, 6_000},
		{"some ports", wire.Mirror{Ports: []uint16{6081, 5000, 4789}}, slices.Concat(serviceFrames(t), otherFrames(t)), 60_000, 6_000},
		{"GENEVE", wire.Mirror{Encap: wire.EncapGeneve}, otherFrames(t), 60_000, 2_000},
		{"ERSPAN", wire.Mirror{Encap: wire.EncapERSPAN}, otherFrames(t), 60_000, 2_000},
		{"bare", wire.Mirror{Encap: wire.EncapNone}, bareFrames(t), 60_000, 6_000},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := newServiceCheck(t, row.mirror)
			if ours := s.random(t, row.frames, row.times); ours < row.ours {
				t.Errorf("only %d frames were ours: the test shows little", ours)
			}
		})
	}
}

// random checks variants of frames, and says how many decap took.
func (s serviceCheck) random(t *testing.T, frames [][]byte, times int) (ours int) {
	t.Helper()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	for range times {
		frame := slices.Clone(frames[rng.IntN(len(frames))])
		for range rng.IntN(4) {
			if len(frame) > 1 {
				frame = mutate(rng, frame)
			}
		}
		if s.check(t, frame) {
			ours++
		}
	}
	return ours
}

// otherFrames are mirror packets of all encapsulations but the plainest.
func otherFrames(t testing.TB) (all [][]byte) {
	t.Helper()
	gre := func(h *layers.IPv4) { h.Protocol = layers.IPProtocolGRE }
	for _, in := range slices.Concat(innerLayouts(t, 50000, ourPort), innerLayouts(t, ourPort, 443)[:4]) {
		over := func(headers ...any) { all = append(all, packet(t, slices.Concat(headers, in.frame)...)) }
		over(ether(v4), ip4(nil), udpTo(6081), wiretest.Geneve(ourVNI, 0x6558, wiretest.AWSOptions...))
		over(ether(v6), ip6(layers.IPProtocolUDP), udpTo(6081), wiretest.Geneve(ourVNI, 0x6558))
		over(ether(v4), ip4(nil), udpTo(6081), wiretest.Geneve(7, 0x0800), ip4(nil), udpTo(4789), vxlan(ourVNI))
		over(ether(v4), ip4(nil), udpTo(4790), wiretest.GPE(ourVNI, 3))
		over(ether(v4), ip4(nil), udpTo(5000), vxlan(ourVNI))
		over(ether(v4), ip4(nil), udpTo(37008), wiretest.TZSP())
		over(ether(v4), ip4(gre), &layers.GRE{Protocol: 0x6558, KeyPresent: true, Key: ourVNI})
		over(ether(v6), ip6(layers.IPProtocolGRE), &layers.GRE{Protocol: 0x88be})
		over(ether(v6), ip6(layers.IPProtocolIPv6HopByHop), hopByHop(47), &layers.GRE{Protocol: 0x88be})
		over(ether(v4), ip4(gre), &layers.GRE{Protocol: 0x22eb, SeqPresent: true}, wiretest.ERSPAN3(0, 0))
	}
	return all
}

// bareFrames are mirrored frames that nothing is around.
func bareFrames(t testing.TB) (all [][]byte) {
	t.Helper()
	for _, in := range slices.Concat(innerLayouts(t, 50000, ourPort), innerLayouts(t, ourPort, 443)) {
		all = append(all, packet(t, in.frame...))
	}
	return all
}

func FuzzServiceFilter(f *testing.F) {
	for _, frame := range serviceFrames(f) {
		f.Add(frame)
	}
	for _, frame := range otherFrames(f) {
		f.Add(frame)
	}
	var checks []serviceCheck
	for _, m := range []wire.Mirror{vxlanAt(4789), {}, {Encap: wire.EncapNone}} {
		checks = append(checks, newServiceCheck(f, m))
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		for _, s := range checks {
			s.check(t, frame)
		}
	})
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
