package check

import (
	"strings"
	"testing"
)

// A long-lived connection whose ports do not show which end is the server.
func TestGuess(t *testing.T) {
	const client, server = "10.0.0.1:41234", "10.0.0.9:50051"
	old := func(asked string) []packet {
		return []packet{
			{vni: 7, src: client, dst: server, flags: "A", seq: 1, id: 1, payload: asked},
			{vni: 7, src: server, dst: client, flags: "A", seq: 1, id: 2, payload: "\x00\x01"},
			{vni: 7, src: client, dst: server, flags: "A", seq: 1 + uint32(len(asked)), id: 3},
		}
	}
	const opaque = "\x00\x01\x02"
	for _, tt := range []struct {
		name      string
		config    Config
		packets   []packet
		says, not string
		first     string // the beginning of the first remedy
	}{
		{"alone", testConfig(nil, 0), old(opaque), "FAULT service: VNI 7, port 41234 or 50051: which end is the server is a guess", "Run:",
			"give the port that the clients connect to: --port 41234 or --port 50051"},
		{"the VNI given", testConfig([]uint32{7}, 0), old(opaque), "41234?", "Run:", "give the port that the clients connect to"},
		{"another port given", testConfig(nil, 80), old(opaque), "of TCP port 80; seen: 41234 or 50051 (VNI 7, 3 packets)", "Run:",
			"give the port that the clients connect to: --port 41234 or --port 50051"},
		{"the port given", testConfig(nil, 50051), old(opaque), "port 50051: 2 packets of clients", "?", "watch for longer"},
		{"the other end's given", testConfig([]uint32{7}, 41234), old(opaque), "port 41234: 1 packet of clients", "?", "watch for longer"},
		{"HTTP/1", testConfig(nil, 0), old(get), "netmirror --iface eth0 --vni 7 --port 50051", "?", ""},
		{"HTTP/2", testConfig(nil, 0), old(windowUpdate + request), "port 50051: HTTP/2 in 1 of the 1", "?", "watch for longer"},
		{"beside another service", testConfig(nil, 0), append(old(opaque), conversation(7, "10.0.0.2:50002", "10.0.0.9:8080", get)...),
			"several were seen", "Run:", "choose the one in the table to forward, the busiest for example: netmirror check --iface eth0 --vni 7 --port 8080"},
		{"busier than another service", testConfig(nil, 0), append(twice(twice(old(opaque))), conversation(7, "10.0.0.2:50002", "10.0.0.9:8080", get)...),
			"several were seen", "--port 41234", "choose the one in the table to forward, the busiest for example: netmirror check --iface eth0 --vni 7 --port 8080"},
		{"nothing else", testConfig(nil, 0), append(old(opaque), packet{vni: 8, src: client, dst: server, flags: "A", payload: opaque}),
			"41234 or 50051 (VNI 8, 1 packet)", "--port", "choose the one in the table to forward"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, first := told(t, tt.config, seeing(t, tt.config, tt.packets...))
			if !strings.Contains(got, tt.says) || strings.Contains(got, tt.not) {
				t.Errorf("it does not say %q, or does say %q", tt.says, tt.not)
			}
			if tt.first == "" && first != "" || !strings.HasPrefix(first, tt.first) {
				t.Errorf("the first remedy is %q, want %q", first, tt.first)
			}
			if t.Failed() {
				t.Logf("it said\n%s", got)
			}
		})
	}
}
