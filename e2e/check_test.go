package e2e

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"netmirror/e2e/lab"
)

// check runs "netmirror check" on the mirror link, where args name none, and load
// while it looks. Both of its outputs are in what it said.
func (s *scene) check(t *testing.T, load func(), args ...string) (status int, said string) {
	t.Helper()
	if slices.Contains(args, "--iface") {
		return s.checkIn(t, s.Mon, load, args...)
	}
	return s.checkIn(t, s.Mon, load, append([]string{"--iface", lab.MirrorLink}, args...)...)
}

// checkIn is check in a namespace, with its interface in args. Without load it
// looks to its end.
func (s *scene) checkIn(t *testing.T, n *lab.Namespace, load func(), args ...string) (status int, said string) {
	t.Helper()
	p := s.startCheck(t, n, args...)
	if load != nil {
		load()
		p.terminate(t) // which ends the look, not the program
	}
	return s.endOf(t, p)
}

// startCheck returns when the look has begun.
func (s *scene) startCheck(t *testing.T, n *lab.Namespace, args ...string) *process {
	t.Helper()
	args = append([]string{"-c", `exec "$@" >&2`, "sh", netmirrorPath, "check"}, args...)
	p := startCommand(t, n, exec.Command("sh", args...))
	if _, _, err := p.await(s.ctx, 0, "looking at"); err != nil {
		t.Fatalf("%v; it said\n%s", err, p.tail(30))
	}
	return p
}

// endOf waits for a check's end.
func (s *scene) endOf(t *testing.T, p *process) (status int, said string) {
	t.Helper()
	select {
	case <-p.done:
	case <-s.ctx.Done():
		t.Fatal(s.ctx.Err())
	}
	return p.cmd.ProcessState.ExitCode(), strings.Join(p.logged(), "\n")
}

// checkSays checks an exit status and texts that have to be there.
func checkSays(t *testing.T, status, want int, said string, texts ...string) {
	t.Helper()
	if status != want {
		t.Errorf("exit status %d, want %d", status, want)
	}
	for _, text := range texts {
		if !strings.Contains(said, text) {
			t.Errorf("it does not say %q", text)
		}
	}
	if t.Failed() {
		t.Logf("it said\n%s", said)
	}
}

// requests makes some connections with requests on them.
func (s *scene) requests(t *testing.T) func() {
	return func() {
		t.Helper()
		if err := connections(20, 4, 3, 4<<10)(s.ctx, s.client); err != nil {
			t.Fatalf("lab: %v", err)
		}
	}
}

// given is the flags of the service that the lab mirrors.
var given = []string{"--vni", "42", "--port", "8080"}

func TestCheckOfARightSetUp(t *testing.T) {
	for _, tt := range []struct {
		name string
		opts lab.Options
		args []string
		says []string
	}{
		{"all given", lab.Options{}, given, []string{"only the clients' side is mirrored, which is enough"}},
		{"VNI and port to be found out", lab.Options{}, nil, nil},
		{"both directions", lab.Options{BothDirections: true}, given, []string{" both "}},
		{"mirrored over IPv6", lab.Options{OuterIPv6: true}, given, nil},
		{"inner IPv6", lab.Options{InnerIPv6: true}, given, nil},
		{"in a VLAN", lab.Options{VLAN: 100}, given, nil},
		{"in fragments", lab.Options{MirrorMTU: 1500}, given, []string{"fragments arrived"}},
		{"every packet twice", lab.Options{Twice: true}, given, []string{"packets came twice"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := setServices(t, tt.opts, nil)
			to := s.Shadow(shadowPort).String()
			mtu := tt.opts.MirrorMTU
			if mtu == 0 {
				mtu = 9000
			}
			status, said := s.check(t, s.requests(t), append([]string{"--to", to}, tt.args...)...)
			checkSays(t, status, 0, said, append(tt.says,
				fmt.Sprintf("interface mirror0: up, Ethernet, MTU %d\n", mtu),
				fmt.Sprintf("mirrored packets of up to %d bytes arrive whole (%d if", mtu-54, mtu-74),
				"in 20 connections, 20 of them new",
				"HTTP/1 in 20 of the 20 connections",
				"target "+to+": answers after ",
				"verdict: netmirror has something to forward. Run:",
				netmirrorPath+" --iface mirror0 --vni 42 --port 8080 --to "+to,
			)...)
		})
	}
}

// One look tells of each service of a settings file, and the status of all.
func TestCheckOfSeveralServices(t *testing.T) {
	s := setServices(t, lab.Options{}, nil)
	to := s.Shadow(shadowPort).String()
	file := filepath.Join(t.TempDir(), "netmirror.conf")
	text := fmt.Sprintf("[Service shop]\nvni = 42\nport = 8080\nto = %s\n[Service mail]\nvni = any\nport = 25\nto = %[1]s\n", to)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	status, said := s.check(t, s.requests(t), "--config", file)
	checkSays(t, status, 1, said,
		"shop (42:8080):\n", "HTTP/1 in 20 of the 20 connections", "verdict: shop: netmirror has something to forward\n",
		"mail (any:25):\n", "FAULT service: no packets of TCP port 25; seen: 8080 (VNI 42", "verdict: mail: not yet; first, ",
		"verdict: not yet for 1 of the 2 services",
	)
	status, said = s.check(t, s.requests(t), "--forward", "shop=42:8080="+to, "--forward", "all=any:8000-9000="+to)
	checkSays(t, status, 0, said, "verdict: netmirror has something to forward for all 2 services. Run it with the same arguments, without the word check")
}

// What a mirror loses is told, and what it brings late is no loss.
func TestCheckOfAMirrorThatLoses(t *testing.T) {
	for _, tt := range []struct {
		name   string
		opts   lab.Options
		status int
		says   []string
	}{
		{"every second packet", lab.Options{LossPermille: 500}, 1, []string{"FAULT service: VNI 42, port 8080: packets are missing in ", "verdict: not yet; first, find out where packets are lost"}},
		{"none, but some are late", lab.Options{LatePermille: 50}, 0, nil},
		{"none, of super-frames in both directions", lab.Options{Offloads: true, BothDirections: true}, 0, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := setOrigin(t, tt.opts)
			status, said := s.check(t, func() {
				s.requests(t)()
				time.Sleep(200 * time.Millisecond) // what is missing may yet come for a while
			}, given...)
			checkSays(t, status, tt.status, said, tt.says...)
			if tt.says == nil && strings.Contains(said, "missing") {
				t.Errorf("it said\n%s", said)
			}
		})
	}
}

func TestCheckWithoutATarget(t *testing.T) {
	s := setOrigin(t, lab.Options{})
	status, said := s.check(t, s.requests(t))
	checkSays(t, status, 0, said, "target: none given", netmirrorPath+" --iface mirror0 --vni 42 --port 8080 --to HOST:PORT")
}

func TestCheckOfAWrongSetUp(t *testing.T) {
	s := setServices(t, lab.Options{}, nil)
	tap := s.Tap()
	at := func(port uint16) func() {
		return func() {
			conn, err := s.Srv.DialUDP(netip.AddrPortFrom(tap.Addr(), port))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			craftOn(t, conn, s.Origin(servicePort), 1).syn() // a second packet might be refused
		}
	}
	for _, tt := range []struct {
		name string
		args []string
		load func()
		says []string
	}{
		{"wrong VNI", []string{"--vni", "7", "--port", "8080"}, s.requests(t),
			[]string{"no packets of VNI 7; seen: 42 (", "verdict: not yet; first, use --vni 42"}},
		{"wrong port", []string{"--vni", "42", "--port", "80"}, s.requests(t),
			[]string{"no packets of VNI 42 of TCP port 80; seen: 8080 (VNI 42, ", "first, use --port 8080"}},
		{"two services", nil, func() {
			s.requests(t)()
			s.craftService(t, 443).send([]byte("hello"), rightSum)
		},
			[]string{"several were seen", "check --iface mirror0 --vni 42 --port 8080"}},
		{"truncated", given, func() {
			c := s.craft(t, 1)
			c.open()
			c.sendCut(body(1, 1000), 54)
		}, []string{"truncated: 1 of 1 packet with data from clients, to 986 bytes", "first, make the mirror send whole packets: no PacketLength", "8946 or less (8947"}},
		{"TLS", given, func() {
			c := s.craft(t, 1)
			c.open()
			c.send(append([]byte{0x16, 3, 1, 0, 200, 1, 0, 0, 196, 3, 3}, make([]byte, 194)...), rightSum)
		}, []string{"TLS in 1 of the 1 connection in", "first, mirror behind the TLS termination"}},
		{"older connections, not HTTP/1", given, func() {
			s.craft(t, 1).send([]byte("hello"), rightSum)
		}, []string{"no stream can begin", "first, watch for longer with --time 1m, or make the clients reconnect"}},
		{"the servers' side only", given, func() {
			c := s.craftService(t, servicePort)
			c.src, c.dst = c.dst, c.src
			c.send([]byte("HTTP/1.1 200 OK\r\n\r\n"), rightSum)
		}, []string{"servers only", "only the servers' side is mirrored", "first, mirror the other direction too, the packets that go to port 8080"}},
		{"the servers' side only, and a port scanner", given, func() {
			conn := s.dialTap(t)
			for n := range uint32(20) {
				c := craftOn(t, conn, s.Origin(servicePort), n)
				c.src, c.dst = c.dst, c.src
				c.send([]byte("HTTP/1.1 200 OK\r\n\r\n"), rightSum)
			}
			craftOn(t, conn, s.Origin(servicePort), 99).syn()
		}, []string{"servers only", "only the servers' side is mirrored", "no client's packet in 20 of the 20 connections"}},
		{"an old connection whose server cannot be told", nil, func() {
			c := s.craftService(t, 50051)
			c.src = netip.AddrPortFrom(c.src.Addr(), 41234)
			c.send([]byte("hello"), rightSum)
			c.src, c.dst = c.dst, c.src
			c.send([]byte("hello"), rightSum)
		}, []string{"41234?", "port 41234 or 50051: which end is the server is a guess", "first, give the port that the clients connect to: --port 41234 or --port 50051"}},
		{"other port, Linux's", given, at(8472),
			[]string{"nothing came to UDP port 4789 on mirror0", "1 packet came to UDP port 8472 on mirror0", "first, look there: " + netmirrorPath + " check --iface mirror0 --vxlan-port 8472 --vni 42"}},
		{"what is no GENEVE", given, at(6081), []string{"1 packet arrived as from a mirror, but none is VXLAN, GENEVE, ERSPAN or", "(1 other_payload)", "first, have the mirror send its packets to this host"}},
		{"GENEVE, and VXLAN asked for", append([]string{"--encap", "vxlan"}, given...), at(6081), []string{"nothing came to UDP port 4789 on mirror0", "1 packet came to UDP port 6081 on mirror0 (GENEVE)",
			"first, look there: " + netmirrorPath + " check --iface mirror0 --mirror-port 6081 --vni 42"}},
		{"other interface", append([]string{"--iface", lab.ShadowLink}, given...), s.requests(t),
			[]string{"nothing came to UDP port 4789 on shadow0", "packets came to UDP port 4789 on mirror0", "first, look there: " + netmirrorPath + " check --iface mirror0 --vni 42"}},
		{"not VXLAN", given, func() {
			if _, err := s.dialTap(t).Write([]byte("GET / HTTP/1.1\r\n\r\n")); err != nil {
				t.Fatal(err)
			}
		}, []string{"none is VXLAN, GENEVE, ERSPAN or another encapsulation of a mirror (1 vxlan_no_vni)"}},
		{"dead target", append([]string{"--to", s.Shadow(shadowPort + 1).String()}, given...), s.requests(t),
			[]string{"nothing listens there", "first, start the shadow service"}},
		{"target without a name", append([]string{"--to", "nosuch.invalid:80"}, given...), s.requests(t),
			[]string{"its name does not resolve", "first, correct the name in --to"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			status, said := s.check(t, tt.load, tt.args...)
			checkSays(t, status, 1, said, tt.says...)
		})
	}
}

// craftService returns a crafted client of another port.
func (s *scene) craftService(t *testing.T, port uint16) *crafted {
	return craftOn(t, s.dialTap(t), s.Origin(port), 1)
}

func TestCheckOfAnotherInterfaceOverIPv6(t *testing.T) {
	s := setOrigin(t, lab.Options{OuterIPv6: true})
	status, said := s.check(t, s.requests(t), "--iface", lab.ShadowLink)
	checkSays(t, status, 1, said, "came to UDP port 4789 on mirror0", "first, look there: "+netmirrorPath+" check --iface mirror0")
}

func TestCheckWhereNothingArrives(t *testing.T) {
	s := setOrigin(t, lab.Options{})
	start := time.Now()
	status, said := s.checkIn(t, s.Dst, nil, "--iface", lab.ShadowLink, "--time", "1s")
	if d := time.Since(start); d < time.Second {
		t.Errorf("it looked for %v, want 1 s", d)
	}
	checkSays(t, status, 1, said, "nothing came to UDP port 4789 on shadow0 in 1.", "on any other interface that is up either (lo)",
		"first, let UDP port 4789 in from the mirrored hosts (security group)")
}

// A service that is its own target would be fed its own requests, again and
// again.
func TestCheckOfATargetThatIsProduction(t *testing.T) {
	s := setOrigin(t, lab.Options{})
	shadow, err := s.Dst.Serve(s.Shadow(servicePort), lab.Swallow)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(shadow.Close)
	to := s.Shadow(servicePort)
	status, said := s.check(t, func() {
		c := craftOn(t, s.dialTap(t), to, 1)
		c.open()
		c.send([]byte(lab.GetHeader(1)), rightSum)
	}, append([]string{"--to", to.String()}, given...)...)
	checkSays(t, status, 1, said, "a server of the mirrored service", "first, give the shadow service with --to")
}

func TestCheckBesideANetmirror(t *testing.T) {
	s := set(t, lab.Options{}, nil)
	status, said := s.check(t, s.requests(t), given...)
	checkSays(t, status, 0, said, "in 20 connections, 20 of them new")
	s.compare(t)
}

func TestCheckSendsNothingToTheMirror(t *testing.T) {
	s := setServices(t, lab.Options{BothDirections: true}, nil)
	var sniffer *lab.Sniffer
	status, said := s.check(t, func() {
		var err error
		if sniffer, err = s.Mon.Sniff(lab.MirrorLink, lab.Outgoing); err != nil {
			t.Fatal(err)
		}
		s.requests(t)()
		// Behind the check's end the kernel may answer again.
		if err := sniffer.Close(); err != nil {
			t.Error(err)
		}
	}, append([]string{"--to", s.Shadow(shadowPort).String()}, given...)...)
	checkSays(t, status, 0, said)
	for _, packet := range sniffer.Packets() {
		if !neighborly(packet) {
			t.Fatalf("sent: %v", gopacket.NewPacket(packet, layers.LayerTypeEthernet, gopacket.Default))
		}
	}
	if r := s.shadow.Records(); len(r) != 1 || r[0].Len != 0 {
		t.Errorf("the target got %v, want one empty connection", r)
	}
}

// The look ends with its interface, and says what it has.
func TestCheckOfAnInterfaceThatGoesAway(t *testing.T) {
	for _, tt := range []struct {
		name string
		load func(t *testing.T, s *scene)
		says string
	}{
		{"before anything came", func(*testing.T, *scene) {}, "FAULT interface mirror0: it was removed during the check"},
		{"after requests came", func(t *testing.T, s *scene) { s.requests(t)() }, "HTTP/1 in 20 of the 20 connections"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := setOrigin(t, lab.Options{})
			p := s.startCheck(t, s.Mon, append([]string{"--iface", lab.MirrorLink, "--time", "1m"}, given...)...)
			tt.load(t, s)
			if err := s.Mon.Do(func() error {
				return netlink.LinkDel(&netlink.Dummy{LinkAttrs: netlink.LinkAttrs{Name: lab.MirrorLink}})
			}); err != nil {
				t.Fatal(err)
			}
			status, said := s.endOf(t, p)
			checkSays(t, status, 1, said, tt.says, "interface mirror0: it was removed during the check", "verdict: not yet; first, start again when mirror0 is back")
		})
	}
}

func TestCheckOfAnInterfaceThatIsDown(t *testing.T) {
	status, stdout, _ := call(t, emptyNamespace(t).Do, "check", "--iface", "lo")
	checkSays(t, status, 1, stdout, "FAULT interface lo: it is down", "verdict: not yet; first, sudo ip link set dev lo up")
}

// An interface without carrier is up, and nothing can arrive on it: that comes first.
func TestCheckOfAnInterfaceWithoutCarrier(t *testing.T) {
	l := buildLab(t, lab.Options{})
	setMirrorLink(t, l.Srv, netlink.LinkSetDown)
	status, stdout, _ := call(t, l.Mon.Do, "check", "--iface", lab.MirrorLink)
	checkSays(t, status, 1, stdout, "FAULT interface mirror0: it is up, and has no carrier", "verdict: not yet; first, bring up the other end of mirror0")
}

func TestCheckWithoutInterfaceOrPrivilege(t *testing.T) {
	status, stdout, stderr := call(t, here, "check", "--iface", "nosuch0")
	checkSays(t, status, 1, stdout, "FAULT interface: there is no nosuch0; up are: ", "verdict: not yet; first, give the interface")
	if stderr != "" {
		t.Errorf("on standard error: %q", stderr)
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root, to give up CAP_NET_RAW")
	}
	status, stdout, stderr = call(t, without(unix.CAP_NET_RAW), "check", "--iface", "lo", "--to", "127.0.0.1:1")
	checkSays(t, status, 1, stdout, "interface lo: up, loopback", "FAULT capture: not allowed; it needs CAP_NET_RAW",
		"FAULT target 127.0.0.1:1: nothing listens there", "verdict: not yet; first, root lacks it here, so have the container, unit or user namespace grant it (docker run --cap-add NET_RAW;")
	if stderr != "" {
		t.Errorf("on standard error: %q", stderr)
	}
}
