package e2e

import (
	"encoding/binary"
	"fmt"
	"net"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"netmirror/e2e/lab"
	"netmirror/wire/wiretest"
)

// behind gives frames behind a header.
func behind(header []byte) func([]byte) []byte {
	return func(frame []byte) []byte { return slices.Concat(header, frame) }
}

// greOf is a GRE header: flags, the EtherType and the fields (RFC 2784, RFC 2890).
func greOf(flags, etherType uint16, fields ...byte) []byte {
	return append(binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, flags), etherType), fields...)
}

// wrappings are what a mirror may send, and what check is to say of it.
var wrappings = []struct {
	name string
	span *lab.Span // nil: the kernel's VXLAN
	udp  bool      // UDP sockets receive it
	args []string  // that check needs to see it
	says string
	runs string // is in the command to run
}{
	{"VXLAN of the kernel", nil, true, nil, "ok    mirror: ", "--vni 42 --port 8080"},
	{"VXLAN to another port", &lab.Span{Port: 5000, Wrap: behind([]byte{8, 0, 0, 0, 0, 0, 42, 0})}, true, []string{"--mirror-port", "5000"}, "ok    mirror: ", "--vxlan-port 5000 --vni 42"},
	{"VXLAN-GPE", &lab.Span{Port: 4790, Wrap: behind(wiretest.GPE(42, 3))}, true, nil, " in VXLAN-GPE, VNI 42\n", "--vni 42"},
	{"GENEVE", &lab.Span{Port: 6081, Wrap: behind(wiretest.Geneve(42, 0x6558, wiretest.AWSOptions...))}, true, nil, " in GENEVE, VNI 42\n", "--vni 42"},
	{"VXLAN in GENEVE", &lab.Span{Port: 6081, Wrap: vxlanInGeneve}, true, nil, " in VXLAN in GENEVE, VNI 42\n", "--vni 42"},
	{"IP in GENEVE, as Google Cloud's", &lab.Span{Port: 6081, Wrap: ipInGeneve}, true, nil, " in GENEVE, VNI 0\n", "--vni 0"},
	{"TZSP", &lab.Span{Port: 37008, Wrap: behind(wiretest.TZSP())}, true, nil, " in TZSP (--vni 0)\n", "--vni 0"},
	{"Ethernet in GRE", &lab.Span{GRE: true, Wrap: behind(greOf(0x2000, 0x6558, 0, 0, 0, 42))}, false, nil, " in Ethernet in GRE, key 42 (--vni 42)\n", "--vni 42"},
	{"ERSPAN type I", &lab.Span{GRE: true, Wrap: behind(greOf(0, 0x88be))}, false, nil, " in ERSPAN type I, session 0 (--vni 0)\n", "--vni 0"},
	{"ERSPAN type II", &lab.Span{GRE: true, Wrap: behind(greOf(0x1000, 0x88be, 0, 0, 0, 1, 0x10, 0, 0, 42, 0, 0, 0, 0))}, false, nil, " in ERSPAN type II, session 42 (--vni 42)\n", "--vni 42"},
	{"ERSPAN type III", &lab.Span{GRE: true, Wrap: behind(greOf(0x1000, 0x22eb, append([]byte{0, 0, 0, 1}, wiretest.ERSPAN3(42, 0)...)...))}, false, nil, " in ERSPAN type III, session 42 (--vni 42)\n", "--vni 42"},
	{"no encapsulation", &lab.Span{}, false, []string{"--encap", "none"}, "ok    mirror: ", "--encap none --port 8080"},
}

// vxlanInGeneve is what a Gateway Load Balancer endpoint makes of a mirror's packet.
func vxlanInGeneve(frame []byte) []byte {
	ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolUDP, SrcIP: net.IPv4(10, 9, 9, 1), DstIP: net.IPv4(10, 9, 9, 2)}
	buf := gopacket.NewSerializeBuffer()
	err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true},
		ip, &layers.UDP{SrcPort: 50000, DstPort: 4789}, &layers.VXLAN{ValidIDFlag: true, VNI: 42}, gopacket.Payload(frame))
	if err != nil {
		panic(err) // no frame of the lab is too long
	}
	return append(wiretest.Geneve(0, 0x0800, wiretest.AWSOptions...), buf.Bytes()...)
}

// ipInGeneve takes the Ethernet header off.
func ipInGeneve(frame []byte) []byte {
	const header = 14
	return append(wiretest.Geneve(0, binary.BigEndian.Uint16(frame[header-2:]), 0x01, 0x55, 1, 1, 0, 0, 0, 9), frame[header:]...)
}

// verdict is the command that check gave out.
func verdict(t *testing.T, said string) string {
	t.Helper()
	_, rest, ok := strings.Cut(said, "verdict: netmirror has something to forward. Run:\n")
	if !ok {
		t.Fatalf("it found nothing to forward:\n%s", said)
	}
	line, _, _ := strings.Cut(rest, "\n")
	return strings.TrimSpace(line)
}

// Whatever a mirror sends, check sees it, and the command that it gives forwards it when
// pasted into a shell: from a ring, and where UDP sockets receive it, without a privilege.
func TestCheckThenRun(t *testing.T) {
	for _, tt := range wrappings {
		for _, opts := range []lab.Options{{Span: tt.span}, {Span: tt.span, OuterIPv6: true, BothDirections: true}} {
			way := fmt.Sprintf("%s, IPv6 outside %t", tt.name, opts.OuterIPv6)
			t.Run(way+", ring", func(t *testing.T) {
				checkThenRun(t, opts, tt.says, tt.runs, func(words ...string) *exec.Cmd {
					return exec.Command(words[0], words[1:]...)
				}, append([]string{"--iface", lab.MirrorLink}, tt.args...))
			})
			if !tt.udp {
				continue
			}
			t.Run(way+", sockets", func(t *testing.T) {
				checkThenRun(t, opts, tt.says, "--capture udp", func(words ...string) *exec.Cmd {
					return asNobody(t, noPrivilege, words[0], words[1:]...)
				}, append([]string{"--capture", "udp"}, tt.args...))
			})
		}
	}
}

// checkThenRun checks with args by what call makes of a command, and runs the verdict
// likewise.
func checkThenRun(t *testing.T, opts lab.Options, says, runs string, call func(words ...string) *exec.Cmd, args []string) {
	t.Helper()
	s := setServices(t, opts, nil)
	args = append([]string{"-c", `exec "$@" >&2`, "sh", netmirrorPath, "check", "--to", s.Shadow(shadowPort).String()}, args...)
	p := startCommand(t, s.Mon, call(append([]string{"sh"}, args...)...))
	if _, _, err := p.await(s.ctx, 0, "looking at"); err != nil {
		t.Fatalf("%v; it said\n%s", err, p.tail(30))
	}
	s.requests(t)()
	if err := s.Mirrored(s.ctx); err != nil { // or netmirror has the rest
		t.Fatal(err)
	}
	p.terminate(t)
	status, said := s.endOf(t, p)
	checkSays(t, status, 0, said, says, runs)
	s.shadow.Close()
	s.serveShadow(t, behindFirst(lab.AnswerHTTP)) // which check has not tried
	before := len(s.origin.Records())
	s.netmirror = startCommand(t, s.Mon, call("sh", "-c", "exec "+verdict(t, said)))
	s.ready(t)
	if err := connections(40, 8, 5, 20_000)(s.ctx, s.client); err != nil {
		t.Fatalf("lab: %v", err)
	}
	if err := s.origin.Wait(s.ctx, before+40); err != nil {
		t.Fatal(err)
	}
	s.compareWith(t, s.origin.Records()[before:])
}

// Who looks for an encapsulation at a SPAN port is told that there is none.
func TestCheckWithoutEncapsulation(t *testing.T) {
	s := setServices(t, lab.Options{Span: &lab.Span{}}, nil)
	status, said := s.check(t, s.requests(t), given...)
	checkSays(t, status, 1, said, "for other hosts came to mirror0 without an encapsulation",
		"first, look at the frames as they are, as a SPAN port sends them: "+netmirrorPath+" check --iface mirror0 --encap none --port 8080")
}

// Every encapsulation over UDP is received without a privilege, by several workers, from
// one interface.
func TestUDPSocketsOfEncapsulations(t *testing.T) {
	t.Parallel()
	for _, tt := range wrappings {
		if !tt.udp || tt.span == nil {
			continue
		}
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := setServices(t, lab.Options{Span: tt.span, BothDirections: true}, nil)
			_, vni, _ := strings.Cut(tt.runs, "--vni ")
			vni, _, _ = strings.Cut(vni, " ")
			s.netmirror = startCommand(t, s.Mon, unprivileged(t, append([]string{"--capture", "udp", "--iface", lab.MirrorLink, "--workers", "2",
				"--vni", vni, "--port", fmt.Sprint(servicePort), "--to", s.Shadow(shadowPort).String()}, tt.args...)...))
			s.ready(t)
			s.run(t, mixed)
		})
	}
}

// What check says where sockets see nothing, or may not look.
func TestCheckBySocketsOfAWrongSetUp(t *testing.T) {
	s := setServices(t, lab.Options{}, nil)
	where := s.Dst // no mirror comes there, not even its hosts' ARP
	look := func(load func(), args ...string) (int, string) {
		t.Helper()
		p := startCommand(t, where, asNobody(t, noPrivilege, "sh", append([]string{"-c", `exec "$@" >&2`, "sh", netmirrorPath, "check", "--capture", "udp"}, args...)...))
		if load != nil {
			if _, _, err := p.await(s.ctx, 0, "looking at"); err != nil {
				t.Fatalf("%v; it said\n%s", err, p.tail(30))
			}
			load()
			p.terminate(t)
		}
		return s.endOf(t, p)
	}
	status, said := look(func() {})
	checkSays(t, status, 1, said, "note  capture: ERSPAN and GRE do not come over UDP", "FAULT mirror: nothing came to UDP port 4789 on all interfaces",
		"first, let UDP port 4789 in from the mirrored hosts (security group, this host's firewall)", "run: sudo "+netmirrorPath+" check --iface NAME")
	where = s.Mon
	status, said = look(s.requests(t), "--vni", "7", "--port", "8080", "--iface", lab.MirrorLink)
	checkSays(t, status, 1, said, "no packets of VNI 7; seen: 42 (", "verdict: not yet; first, use --vni 42")
	status, said = look(s.requests(t), "--iface", lab.ShadowLink)
	checkSays(t, status, 1, said, "FAULT mirror: nothing came to UDP port 4789 on shadow0")
	status, said = look(nil, "--iface", "nosuch0")
	checkSays(t, status, 1, said, "FAULT interface: there is no nosuch0")
	s.startNetmirror(t, "--capture", "udp")
	s.netmirror.capturing(s.ctx)
	status, said = look(nil)
	checkSays(t, status, 1, said, "FAULT capture: port is in use: another program has UDP port 4789", "first, free the port")
}

// A mirrored pod network over the kernel's VXLAN is looked into.
func TestOverlay(t *testing.T) {
	for _, opts := range []lab.Options{{Overlay: true}, {Overlay: true, InnerIPv6: true, BothDirections: true}, {Overlay: true, VLAN: 100, OuterIPv6: true}} {
		t.Run(fmt.Sprintf("%+v", opts), func(t *testing.T) {
			set(t, opts, nil, "--workers", "2").run(t, mixed)
		})
	}
}
