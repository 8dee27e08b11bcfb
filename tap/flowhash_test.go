package tap

import (
	"encoding/binary"
	"math/rand/v2"
	"net"
	"slices"
	"testing"

	"github.com/google/gopacket/layers"
	"golang.org/x/net/bpf"

	"netmirror/filter"
	"netmirror/wire"
)

// flow is a mirrored connection.
type flow struct {
	client, server net.IP
	port           int // the client's; the server's is ourPort
}

func (f flow) isIPv4() bool { return f.client.To4() != nil }

// inner is a mirrored frame of the flow, from the client or from the server.
func (f flow) inner(fromServer bool, tags ...layers.EthernetType) []any {
	src, dst, seg := f.client, f.server, tcp(f.port, ourPort)
	if fromServer {
		src, dst, seg = dst, src, tcp(ourPort, f.port)
	}
	if f.isIPv4() {
		return []any{ether(v4, tags...), ip4(func(h *layers.IPv4) {
			h.Protocol, h.SrcIP, h.DstIP = layers.IPProtocolTCP, src, dst
		}), seg, []byte("some data")}
	}
	h := ip6(layers.IPProtocolTCP)
	h.SrcIP, h.DstIP = src, dst
	return []any{ether(v6, tags...), h, seg, []byte("some data")}
}

// hash is FlowHash of a packet of the flow.
func (f flow) hash(fromServer bool) uint32 {
	src, dst := f.client, f.server
	if f.isIPv4() {
		src, dst = src.To4(), dst.To4()
	}
	if fromServer {
		return filter.FlowHash(dst, src, ourPort, uint16(f.port))
	}
	return filter.FlowHash(src, dst, uint16(f.port), ourPort)
}

// randomFlow is of IPv4 or IPv6.
func randomFlow(rng *rand.Rand) flow {
	ip := func(n int) net.IP {
		b := make(net.IP, n)
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		return b
	}
	n := []int{4, 16}[rng.IntN(2)]
	return flow{ip(n), ip(n), 1 + rng.IntN(65535)}
}

// runFanout runs the program on a frame as the kernel does, whose packet begins
// behind the Ethernet header.
func runFanout(t testing.TB, frame []byte) uint32 {
	t.Helper()
	if len(frame) < wire.EthernetHeader {
		return 0
	}
	etherType := bpf.LoadConstant{Dst: bpf.RegA, Val: uint32(binary.BigEndian.Uint16(frame[12:]))}
	prog := filter.Fanout(vxlanAt(4789))
	prog[0] = etherType // which the kernel knows of a packet
	n, err := newVM(t, prog).Run(frame[wire.EthernetHeader:])
	must(t, err)
	return uint32(n)
}

func TestFanoutProgramIsFlowHash(t *testing.T) {
	const (
		ctag = layers.EthernetTypeDot1Q
		stag = layers.EthernetTypeQinQ
	)
	rng := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		f := randomFlow(rng)
		if f.hash(true) != f.hash(false) {
			t.Fatalf("%v: the directions have hashes %#x and %#x", f, f.hash(false), f.hash(true))
		}
		for _, o := range outerLayouts() {
			for _, tags := range [][]layers.EthernetType{nil, {ctag}, {stag, ctag}, {ctag, ctag, ctag}} {
				for _, fromServer := range []bool{false, true} {
					want := f.hash(false)
					if o.name == "IPv6 with options thrice" || len(tags) > 2 {
						want = 0
					}
					if got := runFanout(t, o.wrap(t, rng.IntN(wire.MaxVNI), f.inner(fromServer, tags...)...)); got != want {
						t.Errorf("%v in %s, tags %v, from server %t: %#x, want %#x", f, o.name, tags, fromServer, got, want)
					}
				}
			}
		}
	}
}

// Addresses 1 and 2, ports 3 and 4, by hand.
func TestFlowHashValue(t *testing.T) {
	// (1+2)*0x9e3779b1 + 7 = 0xdaa66d1a; times 0x85ebca6b = 0x5e841dde;
	// xor 0x5e84.
	const want = 0x5e84435a
	if got := filter.FlowHash([]byte{0, 0, 0, 1}, []byte{0, 0, 0, 2}, 3, 4); got != want {
		t.Errorf("%#x, want %#x", got, want)
	}
}

func TestFanoutProgramReadsOptions(t *testing.T) {
	o := outerLayouts()[0]
	plain := flow{peer4, mon4, 50000}
	for _, tc := range []struct {
		name string
		want uint32
	}{
		{"IPv4", plain.hash(false)},
		{"IPv4 with options", plain.hash(false)},
		{"IPv4 with DF", plain.hash(false)},
		{"IPv4 first fragment", 0},
		{"IPv4 later fragment", 0},
		{"IPv6 with options", 0},
		{"IPv6 atomic fragment", 0},
		{"IPv4 UDP", 0},
		{"ARP", 0},
	} {
		layouts := innerLayouts(t, 50000, ourPort)
		i := slices.IndexFunc(layouts, func(in innerLayout) bool { return in.name == tc.name })
		if got := runFanout(t, o.wrap(t, ourVNI, layouts[i].frame...)); got != tc.want {
			t.Errorf("%s: %#x, want %#x", tc.name, got, tc.want)
		}
	}
}

// Fragments of one datagram meet, the first of them too.
func TestFanoutProgramOnFragments(t *testing.T) {
	data := slices.Concat(vxlan(ourVNI), packet(t, flow{peer4, mon4, 50000}.inner(false)...), make([]byte, 1000))
	for _, fam := range families {
		whole := packet(t, udpTo(4789), data)
		for _, frame := range [][]byte{fam.Part(t, 1, 0, true, whole[:800]), fam.Part(t, 1, 800, false, whole[800:])} {
			if got := runFanout(t, frame); got != 0 {
				t.Errorf("%v: %#x", fam, got)
			}
		}
	}
}

// Each of n rings has nearly its share of flows, in every pattern that addresses
// and ports come in.
func TestFlowHashSpreads(t *testing.T) {
	ip := func(a, b, c, d byte) net.IP { return net.IP{a, b, c, d} }
	server := ip(10, 0, 0, 9)
	rng := rand.New(rand.NewPCG(3, 4))
	for name, next := range map[string]func(i int) flow{
		"ports in turn":          func(i int) flow { return flow{ip(10, 0, 0, 1), server, 32768 + i} },
		"even ports in turn":     func(i int) flow { return flow{ip(10, 0, 0, 1), server, 32768 + 2*i} },
		"every 64th port":        func(i int) flow { return flow{ip(10, 0, 0, byte(i/1000)), server, 1000 + i%1000*64} },
		"clients in turn":        func(i int) flow { return flow{ip(10, 0, byte(i/250), byte(i)), server, 40000} },
		"clients and ports":      func(i int) flow { return flow{ip(10, 0, 0, byte(i)), server, 40000 + i/50} },
		"clients against ports":  func(i int) flow { return flow{ip(10, 0, byte(i>>8), byte(i)), server, 60000 - i} },
		"networks in turn":       func(i int) flow { return flow{ip(10, byte(i>>8), byte(i), 1), server, 40000} },
		"random ones":            func(int) flow { return randomFlow(rng) },
		"IPv6 privacy addresses": func(i int) flow { f := randomFlow(rng); copy(f.client, net.ParseIP("2001:db8::")[:8]); return f },
		"IPv6 interface in turn": func(i int) flow {
			c := slices.Clone(peer6)
			c[15], c[14] = byte(i), byte(i>>8)
			return flow{c, mon6, 40000}
		},
		"three load balancers": func(i int) flow { return flow{ip(10, 0, byte(i%3), 7), server, 1024 + i/3} },
	} {
		const flows = 4000
		for _, n := range []int{2, 3, 4, 6, 8, 16} {
			count := make([]int, n)
			for i := range flows {
				count[next(i).hash(i%2 == 0)%uint32(n)]++
			}
			for ring, got := range count {
				if fair := flows / n; got < fair*3/4 || got > fair*5/4 {
					t.Errorf("%s: ring %d of %d has %d of %d flows", name, ring, n, got, flows)
				}
			}
		}
	}
}

func TestFlowHashDoesNotAllocate(t *testing.T) {
	src, dst := net.IP(peer6), net.IP(mon6)
	if n := testing.AllocsPerRun(100, func() { filter.FlowHash(src, dst, 1, 2) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// The program has a hash only for what the filter takes in.
func FuzzFanoutProgram(f *testing.F) {
	for _, frame := range serviceFrames(f) {
		f.Add(frame)
	}
	plain := newVM(f, Config{Mirror: vxlanAt(4789)}.filter().Frames())
	f.Fuzz(func(t *testing.T, frame []byte) {
		if h := runFanout(t, frame); h != 0 && !accepts(t, plain, frame) {
			t.Errorf("hash %#x of what is not the mirror's: % x", h, frame)
		}
	})
}

func BenchmarkFlowHash(b *testing.B) {
	src, dst := net.IP(peer6), net.IP(mon6)
	for b.Loop() {
		filter.FlowHash(src, dst, 1, 2)
	}
}
