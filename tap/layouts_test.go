package tap

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/gopacket/layers"
	"golang.org/x/net/bpf"

	"netmirror/decap"
	"netmirror/filter"
	"netmirror/service"
	"netmirror/wire"
	"netmirror/wire/wiretest"
)

// Identifiers and ports that random services and packets have. An ERSPAN session has no more
// than 10 bits, and TZSP has the identifier 0.
var (
	someVNIs  = []uint32{0, 7, 42, 1000}
	somePorts = []int{80, 443, ourPort, 9005, 50000}
)

// wrapped is a mirrored frame in each encapsulation that an identifier can be of.
func wrapped(t testing.TB, vni uint32, in innerLayout) (all [][]byte) {
	t.Helper()
	gre := func(h *layers.IPv4) { h.Protocol = layers.IPProtocolGRE }
	over := func(headers ...any) { all = append(all, packet(t, slices.Concat(headers, in.frame)...)) }
	udp4 := func(port int, headers ...any) {
		over(slices.Concat([]any{ether(v4), ip4(nil), udpTo(port)}, headers)...)
	}
	udp4(4789, vxlan(int(vni)))
	udp4(5000, vxlan(int(vni)))
	over(ether(v6), ip6(layers.IPProtocolUDP), udpTo(4789), vxlan(int(vni)))
	udp4(4790, wiretest.GPE(vni, 3))
	udp4(4790, wiretest.GPE(vni, 4), wiretest.NSH(3))
	udp4(6081, wiretest.Geneve(vni, 0x6558, wiretest.AWSOptions...))
	udp4(6081, wiretest.Geneve(9, 0x0800, wiretest.AWSOptions...), ip4(nil), udpTo(4789), vxlan(int(vni)))
	udp4(6081, wiretest.Geneve(vni, 0x0800), ip4(nil), udpTo(8472), vxlan(3))
	over(ether(v6), ip6(layers.IPProtocolUDP), udpTo(6081), wiretest.Geneve(vni, 0x6558))
	over(ether(v4), ip4(gre), &layers.GRE{Protocol: 0x6558, KeyPresent: true, Key: vni})
	over(ether(v4), ip4(gre), &layers.GRE{Protocol: 0x22eb, SeqPresent: true}, wiretest.ERSPAN3(uint16(vni), 0))
	over(ether(v4), ip4(gre), &layers.GRE{Protocol: 0x88be, SeqPresent: true}, &layers.ERSPANII{Version: 1, SessionID: uint16(vni)})
	if vni == 0 {
		udp4(37008, wiretest.TZSP())
		over(ether(v6), ip6(layers.IPProtocolGRE), &layers.GRE{Protocol: 0x88be})
		all = append(all, packet(t, in.frame...)) // bare
	}
	return all
}

// layoutsOf are frames of all identifiers, ports and layouts.
func layoutsOf(t testing.TB) (all [][]byte) {
	t.Helper()
	for _, vni := range someVNIs {
		for i, src := range somePorts {
			for _, in := range innerLayouts(t, src, somePorts[(i+1+int(vni))%len(somePorts)]) {
				all = append(all, wrapped(t, vni, in)...)
			}
		}
	}
	return all
}

// randomServices are one to six services, each of any network or of some.
func randomServices(rng *rand.Rand) (all []service.Selection) {
	for range 1 + rng.IntN(6) {
		first := uint16(somePorts[rng.IntN(len(somePorts))])
		s := service.Selection{Ports: service.Ports{{First: first, Last: first + uint16(rng.IntN(2)*10)}}}
		for range rng.IntN(3) {
			s.VNIs = append(s.VNIs, someVNIs[rng.IntN(len(someVNIs))])
		}
		s.VNIs = service.VNIsOf(s.VNIs...)
		all = append(all, s)
	}
	return all
}

// selection is what the kernel is told of services: the networks and the ports of all.
func selection(services []service.Selection) (vnis service.VNIs, ports service.Ports) {
	anyVNI := false
	for _, s := range services {
		anyVNI = anyVNI || s.VNIs.Any()
		vnis, ports = append(vnis, s.VNIs...), append(ports, s.Ports...)
	}
	if anyVNI {
		return nil, ports
	}
	return service.VNIsOf(vnis...), ports
}

// layoutCheck is the property for some services and a mirror: what user space takes, no
// program of the kernel's leaves out.
type layoutCheck struct {
	decoder   *decap.Decoder
	frames    *bpf.VM
	datagrams map[wire.Encap]*bpf.VM
	mirror    wire.Mirror
}

// receivers is how many sockets the datagrams are shared among.
const receivers = 5

func newLayoutCheck(t testing.TB, m wire.Mirror, services []service.Selection) layoutCheck {
	t.Helper()
	if m.Bare() {
		services = append(services, service.Selection{VNIs: service.VNIsOf(0), Ports: service.PortsOf(1)})
	}
	all, err := service.NewSelector(services)
	must(t, err)
	d, err := decap.New(decap.Config{Mirror: m, Services: all})
	must(t, err)
	c := filter.Config{Mirror: m}
	c.VNIs, c.InnerPorts = selection(services)
	check := layoutCheck{decoder: d, frames: newVM(t, c.Frames()), datagrams: map[wire.Encap]*bpf.VM{}, mirror: m}
	for _, u := range m.UDP() {
		check.datagrams[u.Encap] = newVM(t, c.Datagrams(u.Encap, receivers, nil))
	}
	return check
}

// check says what user space takes of a frame, as a ring and as a socket have it.
func (c layoutCheck) check(t testing.TB, frame []byte) (ring, socket bool) {
	t.Helper()
	takes := func(r decap.Reason) bool { return r == decap.OK || r == decap.InnerFragment }
	var p decap.Packet
	if ring = takes(c.decoder.Decode(frame, &p)); ring && !accepts(t, c.frames, frame) && !taggedThrice(frame) {
		t.Fatalf("%+v: user space takes a frame that the kernel leaves out: % x", c.mirror, frame)
	}
	_, udp, ok := udpOf(frame)
	if !ok {
		return ring, false
	}
	port, payload := wire.DstPort(frame[udp:]), frame[udp+wire.UDPHeader:]
	for _, u := range c.mirror.UDP() {
		if u.Port != port {
			continue
		}
		got, err := c.datagrams[u.Encap].Run(payload)
		must(t, err)
		if got < 0 || got > receivers {
			t.Fatalf("socket %d", got)
		}
		if socket = takes(c.decoder.DecodePayload(u.Encap, payload, &p)); !socket {
			continue
		}
		if got == receivers {
			t.Fatalf("%+v: user space takes a datagram that the kernel leaves out: % x", c.mirror, payload)
		}
		c.shared(t, u.Encap, got, &p)
	}
	return ring, socket
}

// shared checks that a packet is where its connection belongs, or with what has no hash.
func (c layoutCheck) shared(t testing.TB, encap wire.Encap, got int, p *decap.Packet) {
	t.Helper()
	if got == 0 || p.To == nil && p.From == nil {
		return
	}
	src, dst := p.IP[12:16], p.IP[16:20]
	if p.IP[0]>>4 == 6 {
		src, dst = p.IP[8:24], p.IP[24:40]
	}
	tcp := p.IP[p.TCP:]
	if want := int(filter.FlowHash(src, dst, binary.BigEndian.Uint16(tcp), binary.BigEndian.Uint16(tcp[2:])) % receivers); got != want {
		t.Fatalf("%v: socket %d, want %d: % x", encap, got, want, p.IP)
	}
}

// The mirrors that random layouts are looked at as.
var layoutMirrors = []wire.Mirror{
	{}, {Ports: []uint16{6081, 5000, 4789, 37008}}, {Encap: wire.EncapVXLAN}, {Encap: wire.EncapVXLANGPE}, {Encap: wire.EncapGeneve},
	{Encap: wire.EncapGRE}, {Encap: wire.EncapERSPAN}, {Encap: wire.EncapTZSP}, {Encap: wire.EncapNone},
}

// Whatever the services, the mirror, the encapsulation and what is inside: the kernel's
// programs never leave out what user space would take.
func TestKernelLeavesOutNothingOfServices(t *testing.T) {
	frames := layoutsOf(t)
	seed := rand.Uint64()
	t.Logf("seed %d, %d layouts", seed, len(frames))
	rng := rand.New(rand.NewPCG(seed, 2))
	rings, sockets := map[wire.Encap]int{}, map[wire.Encap]int{}
	const times = 4000
	for range 5 {
		for _, m := range layoutMirrors {
			c := newLayoutCheck(t, m, randomServices(rng))
			for i := range times {
				frame := slices.Clone(frames[rng.IntN(len(frames))])
				for range (i % 2) * (1 + rng.IntN(3)) {
					if len(frame) > 1 {
						frame = mutate(rng, frame)
					}
				}
				ring, socket := c.check(t, frame)
				if ring {
					rings[m.Encap]++
				}
				if socket {
					sockets[m.Encap]++
				}
			}
		}
	}
	for _, m := range layoutMirrors {
		if n := rings[m.Encap]; n < 40 {
			t.Errorf("%v: only %d frames were taken: the test shows little", m.Encap, n)
		}
		if n := sockets[m.Encap]; len(m.UDP()) > 0 && n < 40 {
			t.Errorf("%v: only %d datagrams were taken: the test shows little", m.Encap, n)
		}
	}
	t.Log(rings, sockets)
}

// FuzzKernelLeavesOutNothing is the property for any bytes.
func FuzzKernelLeavesOutNothing(f *testing.F) {
	all := layoutsOf(f)
	for i := 0; i < len(all); i += 37 {
		f.Add(all[i])
	}
	services := []service.Selection{
		{VNIs: service.VNIsOf(42, 7), Ports: service.PortsOf(80, ourPort)},
		{VNIs: service.VNIsOf(0, 1000), Ports: service.Ports{{First: 9000, Last: 9010}}},
	}
	var checks []layoutCheck
	for _, m := range layoutMirrors {
		checks = append(checks, newLayoutCheck(f, m, services))
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		for _, c := range checks {
			c.check(t, frame)
		}
	})
}
