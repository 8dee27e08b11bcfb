package check

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	asked "netmirror/service"
	"netmirror/source"
	"netmirror/source/sourcetest"
)

// selection is of the form 42:80,90-99.
func selection(t *testing.T, text string) asked.Selection {
	t.Helper()
	f, err := asked.ParseForward(text + "=x:1")
	if err != nil {
		t.Fatal(err)
	}
	return f.Selection
}

// run checks a capture of the packets, and gives what it says.
func run(t *testing.T, services []Service, packets ...packet) (ok bool, says string) {
	t.Helper()
	var frames [][]byte
	for _, p := range packets {
		frames = append(frames, p.frame(t))
	}
	memory := sourcetest.New(source.Ethernet, source.Stamps)
	go func() {
		memory.Give(time.Unix(1, 0), frames)
		memory.Stop()
	}()
	var out strings.Builder
	c := Config{Capture: &Capture{Source: memory, Files: []string{"a.pcap"}}, Services: services, Program: "netmirror"}
	ok, err := Run(context.Background(), c, &out)
	if err != nil {
		t.Fatal(err)
	}
	return ok, out.String()
}

// Each service has its findings and its verdict, and one that is wrong has no part in
// those of the others.
func TestSeveralServices(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	shadow := ln.Addr().String()
	packets := append(conversation(7, "10.0.0.1:50001", "10.0.0.9:8080", get), conversation(9, "10.0.0.2:50002", "10.0.0.9:8443", "\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00")...)
	packets = append(packets, conversation(8, "10.0.0.3:50003", "10.0.0.9:9005", get)...)
	shop := Service{Name: "shop", Selection: selection(t, "7:8080"), Target: shadow}
	wide := Service{Name: "wide", Selection: selection(t, "any:9000-9010"), Target: shadow}
	secret := Service{Name: "secret", Selection: selection(t, "9:8443"), Target: shadow}
	absent := Service{Name: "absent", Selection: selection(t, "7:81"), Target: shadow}

	ok, says := run(t, []Service{shop, wide}, packets...)
	_, says, _ = strings.Cut(says, "\n\n")
	var lines []string
	for line := range strings.Lines(says) {
		if line = strings.TrimRight(line, "\n"); strings.Contains(line, "answers after ") {
			line, _, _ = strings.Cut(line, " after ") // as long as it took
		}
		lines = append(lines, line)
	}
	want := []string{
		"      shop (7:8080):",
		"ok    service: VNI 7, port 8080: 3 packets of clients in 1 connection, 1 of them new",
		"ok    service: VNI 7, port 8080: HTTP/1 in 1 of the 1 connection in which clients sent data",
		"ok    target " + shadow + ": answers",
		"      verdict: shop: netmirror has something to forward",
		"",
		"      wide (any:9000-9010):",
		"ok    service: VNI 8, port 9000-9010: 3 packets of clients in 1 connection, 1 of them new",
		"ok    service: VNI 8, port 9000-9010: HTTP/1 in 1 of the 1 connection in which clients sent data",
		"ok    target " + shadow + ": answers",
		"      verdict: wide: netmirror has something to forward",
		"",
		"      verdict: netmirror has something to forward for all 2 services. Run it with the same arguments, with replay in place of check, and the files without --read",
	}
	if diff := cmp.Diff(want, lines); diff != "" || !ok {
		t.Errorf("ok is %v; report (-want +got):\n%s", ok, diff)
	}

	ok, says = run(t, []Service{absent, shop, secret}, packets...)
	for _, want := range []string{
		"FAULT service: no packets of VNI 7 of TCP port 81; seen: 8080 (VNI 7, 5 packets)\n",
		"verdict: absent: not yet; first, give it the port that its mirrored clients connect to", // 8080 is shop's
		"verdict: shop: netmirror has something to forward\n",
		"FAULT service: VNI 9, port 8443: TLS in 1",
		"verdict: secret: not yet; first, mirror behind the TLS termination",
		"verdict: not yet for 2 of the 3 services\n",
	} {
		if !strings.Contains(says, want) {
			t.Errorf("no %q in\n%s", want, says)
		}
	}
	if ok {
		t.Error("two services are wrong, and all is well")
	}
	for _, wrong := range []struct{ of, first string }{
		{"7:81", "give it port 8080"}, {"7:443", "give it port 8080"}, {"5:8080", "give it VNI 7, which has that port"}, {"5:443", "give it the VNI of its mirror session"},
	} {
		_, says := run(t, []Service{{Name: "lost", Selection: selection(t, wrong.of), Target: shadow}, wide}, packets...)
		if want := "verdict: lost: not yet; first, " + wrong.first; !strings.Contains(says, want) {
			t.Errorf("no %q in\n%s", want, says)
		}
	}
	if ok, says = run(t, []Service{shop, wide}); ok || strings.Count(says, "not yet; first, give a file that has packets") != 2 {
		t.Errorf("ok is %v of no packets:\n%s", ok, says)
	}
}

// A target that does not answer is wrong for its own service only.
func TestSeveralTargets(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := ln.Addr().String()
	ln.Close()
	packets := conversation(7, "10.0.0.1:50001", "10.0.0.9:8080", get)
	of := selection(t, "7:8080")
	ok, says := run(t, []Service{{Name: "a", Selection: of, Target: nobody}, {Name: "b", Selection: of}}, packets...)
	for _, want := range []string{"FAULT target " + nobody + ": nothing listens there", "verdict: a: not yet; first, start the shadow service", "verdict: b: netmirror has something to forward\n"} {
		if !strings.Contains(says, want) {
			t.Errorf("no %q in\n%s", want, says)
		}
	}
	if ok {
		t.Error("a target does not answer, and all is well")
	}
}

// Clients that one service leaves out are not wrong for another one.
func TestClientsOfSeveralServices(t *testing.T) {
	packets := conversation(7, "10.0.0.1:50001", "10.0.0.9:8080", get)
	of := selection(t, "7:8080")
	without, err := asked.NewClients(nil, []string{"10.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	ok, says := run(t, []Service{{Name: "a", Selection: of}, {Name: "b", Selection: of, Filters: Filters{Clients: without}}}, packets...)
	for _, want := range []string{"verdict: a: netmirror has something to forward\n", "verdict: b: not yet; first, correct --exclude-clients"} {
		if !strings.Contains(says, want) {
			t.Errorf("no %q in\n%s", want, says)
		}
	}
	if ok {
		t.Error("a service has no clients left, and all is well")
	}
}

// A service of several ports is one, wherever its packets are.
func TestServiceOfSeveralPorts(t *testing.T) {
	c := testConfig(nil, 0)
	c.Ports = asked.Ports{{First: 8080, Last: 8081}, {First: 9000, Last: 9010}}
	s := seeing(t, c, append(conversation(7, "10.0.0.1:50001", "10.0.0.9:8080", get), conversation(7, "10.0.0.1:50002", "10.0.0.9:9010", get)...)...)
	got, first := told(t, c, s)
	if first != "" || !strings.Contains(got, "netmirror --iface eth0 --vni 7 --port 8080-8081,9000-9010 --to HOST:PORT\n") {
		t.Errorf("first %q of\n%s", first, got)
	}
}
