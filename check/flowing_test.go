package check

import (
	"fmt"
	"strings"
	"testing"
)

// sidePackets are those of n connections of clients of their own, with one
// direction alone.
func sidePackets(n int, fromServer bool) (all []packet) {
	for i := range n {
		p := packet{vni: 7, src: fmt.Sprintf("10.1.0.%d:50001", i+1), dst: "10.0.0.9:8080", flags: "A", payload: get}
		if fromServer {
			p.src, p.dst, p.payload = p.dst, p.src, "HTTP/1.1 200 OK\r\n\r\n"
		}
		all = append(all, p)
	}
	return all
}

// behind has the packets come from another server, one behind a load balancer.
func behind(p []packet) []packet {
	for i := range p {
		p[i].src = "10.0.1.9:8080"
	}
	return p
}

// Packets that came astray do not make a direction.
func TestDirections(t *testing.T) {
	const server, scanner = "10.0.0.9:8080", "10.9.0.1:40001"
	knock := packet{vni: 7, src: scanner, dst: server, flags: "S"}
	refusal := packet{vni: 7, src: server, dst: scanner, flags: "A"}
	astray := packet{vni: 7, src: scanner, dst: server, flags: "A", payload: get}
	both := func(n int) []packet { return append(sidePackets(n, false), sidePackets(n, true)...) }
	for _, tt := range []struct {
		name       string
		packets    []packet
		directions string
		says       string
		faulty     bool
	}{
		{"servers, and a port scanner's SYN", append(sidePackets(80, true), knock), "servers only",
			"only the servers' side is mirrored, so there is nothing to forward: no client's packet in 80 of the 80 connections", true},
		{"servers, and a SYN that is refused", append(sidePackets(80, true), knock, refusal), "servers only", "in 80 of the 81 connections", true},
		{"servers, and data astray", append(sidePackets(80, true), astray), "servers only", "what came of clients, 1 packet, went astray", true},
		{"servers alone", sidePackets(2, true), "servers only", "in 2 of the 2 connections", true},
		{"clients, and a server's packet astray", append(sidePackets(80, false), sidePackets(1, true)...), "clients only", "the clients' side is mirrored, which is enough", false},
		{"both", both(40), "both", "HTTP/1 in 40 of the 40", false},
		{"both, and knocks that nobody answers", append(both(4), knock), "both", "HTTP/1 in 4 of the 4", false},
		{"both of one host, servers of another", append(both(10), sidePackets(80, true)...), "both", "note  service: VNI 7, port 8080: no client's packet in 70 of the 80 connections", false},
		{"both, by other addresses behind a load balancer", append(sidePackets(80, false), behind(sidePackets(80, true))...), "both", "no client's packet in 80 of the 80 connections", false},
		{"a server's last word, and a knock", []packet{refusal, {vni: 7, src: "10.9.0.2:40001", dst: server, flags: "S"}}, "both", "opened connections and sent nothing", false},
		{"the look ended before the acknowledgement", append(both(4), packet{vni: 7, src: server, dst: "10.2.0.1:50001", flags: "A"}), "both", "HTTP/1 in 4 of the 4", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := testConfig([]uint32{7}, 8080)
			s := seeing(t, c, tt.packets...)
			if got := s.services.entries[serviceID{7, 8080}].directions(); got != tt.directions {
				t.Errorf("directions: %s, want %s", got, tt.directions)
			}
			got, first := told(t, c, s)
			if !strings.Contains(got, tt.says) {
				t.Errorf("it does not say %q", tt.says)
			}
			if (first != "") != tt.faulty || tt.faulty && first != "mirror the other direction too, the packets that go to port 8080" {
				t.Errorf("the first remedy is %q", first)
			}
			if t.Failed() {
				t.Logf("it said\n%s", got)
			}
		})
	}
}
