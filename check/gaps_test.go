package check

import (
	"fmt"
	"strings"
	"testing"
)

// stream is a client's packets of n segments of 10 bytes behind its SYN.
func stream(client string, first uint32, n int) []packet {
	all := []packet{{vni: 7, src: client, dst: "10.0.0.9:8080", flags: "S", seq: first - 1, id: 1}}
	for i := range n {
		payload := "0123456789"
		if i == 0 {
			payload = "GET / HTTP"
		}
		all = append(all, packet{vni: 7, src: client, dst: "10.0.0.9:8080", flags: "A", seq: first + uint32(10*i), id: uint16(i + 2), payload: payload})
	}
	return all
}

// streams is those of several clients; change may alter each.
func streams(clients, n int, change func(client int, p []packet) []packet) (all []packet) {
	for i := range clients {
		p := stream(fmt.Sprintf("10.1.%d.%d:50001", i/250, i%250+1), 1000, n)
		all = append(all, change(i, p)...)
	}
	return all
}

// without leaves out the packets at some places.
func without(p []packet, at ...int) (left []packet) {
	for i := range p {
		if len(at) > 0 && at[0] == i {
			at = at[1:]
			continue
		}
		left = append(left, p[i])
	}
	return left
}

func TestWhatTheMirrorHasLost(t *testing.T) {
	everySecond := func(_ int, p []packet) []packet { return every(p, 0) }
	onlyFirst := func(client int, p []packet) []packet {
		if client == 0 {
			return without(p, 2)
		}
		return p
	}
	third := func(_ int, p []packet) []packet { return without(p, 3) }
	for _, tt := range []struct {
		name    string
		packets []packet
		drops   uint64 // that the ring had no room for
		says    string // "" where it is to say nothing of losses
		faulty  bool
	}{
		{"every second packet", streams(80, 100, everySecond), 0, "packets are missing in 80 of the 80 connections in which clients sent data, some 4000 of 8000 with data (50 %)", true},
		{"of a fifth of the connections", streams(10, 8, func(i int, p []packet) []packet {
			if i < 2 {
				return without(p, 2, 3, 4)
			}
			return p
		}), 0, "in 2 of the 10 connections in which clients sent data, some 6 of 80 with data (7.5 %)", true},
		{"of one connection in a hundred", streams(100, 4, onlyFirst), 0, "note  service: VNI 7, port 8080: packets are missing in 1 of the 100 connections", false},
		{"of one connection in two hundred", streams(200, 4, onlyFirst), 0, "", false},
		{"one packet of a long connection", streams(1, 1000, onlyFirst), 0, "note  service: VNI 7, port 8080: packets are missing in 1 of the 1 connection in which clients sent data, some 1 of 1000 with data (0.1 %)", false},
		{"the ring's", streams(10, 4, third), 10, "", false},
		{"not all of them the ring's", streams(10, 4, third), 3, "in 7 of the 10 connections in which clients sent data, some 7 of 37 with data (19 %); such a stream is reset; those that came too fast to be analyzed are not included", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := testConfig([]uint32{7}, 8080)
			s := seeing(t, c, tt.packets...)
			s.capture.Drops = tt.drops
			got, first := told(t, c, s)
			if tt.says == "" && strings.Contains(got, "missing") || !strings.Contains(got, tt.says) {
				t.Errorf("it does not say %q", tt.says)
			}
			if (first != "") != tt.faulty || tt.faulty && !strings.HasPrefix(first, "find out where packets are lost: at the mirror's source") {
				t.Errorf("the first remedy is %q", first)
			}
			if t.Failed() {
				t.Logf("it said\n%s", got)
			}
		})
	}
}

// What a file lacks was lost where it was captured, not at an interface of this host.
func TestWhereAFileLostPackets(t *testing.T) {
	c := testConfig([]uint32{7}, 8080)
	if says := c.whereLost(); !strings.Contains(says, "ip -s link show dev eth0; ethtool -S eth0") {
		t.Errorf("at an interface: %s", says)
	}
	c.Interface, c.Capture = "", &Capture{Files: []string{"a.pcap"}}
	if says := c.whereLost(); !strings.Contains(says, "where the file was captured") || strings.Contains(says, "NAME") {
		t.Errorf("of a file: %s", says)
	}
}
