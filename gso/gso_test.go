package gso_test

import (
	"testing"

	"github.com/google/gopacket/layers"

	"netmirror/gso"
	"netmirror/wire"
	"netmirror/wire/wiretest"
)

func TestCount(t *testing.T) {
	// mirrored is a VXLAN datagram of a UDP packet with so many bytes.
	mirrored := func(n int) []byte {
		frame := wiretest.Packet(t, wiretest.Ether(layers.EthernetTypeIPv4), wiretest.IP4(nil), wiretest.UDPTo(53), make([]byte, n))
		return append([]byte{8, 0, 0, 0, 0, 0, 42, 0}, frame...)
	}
	for _, row := range []struct {
		name    string
		payload []byte
		size    int
		want    int
	}{
		{"two that are alike", append(mirrored(50), mirrored(50)...), 100, 2},
		{"a short last one", append(mirrored(50), mirrored(1)...), 100, 2},
		{"one", mirrored(50), 100, 1},
		{"shorter than one", mirrored(10), 100, 1},
		{"a mirrored aggregate of its own", mirrored(500), 100, 1},
		{"nothing that can be read", make([]byte, 1001), 100, 11},
		{"as many as there may be", make([]byte, 128*8), 8, 128},
		{"too many", make([]byte, 128*8+1), 8, 0},
		{"no size", make([]byte, 10), 0, 0},
		{"a negative size", make([]byte, 10), -1, 0},
	} {
		if got := gso.Count(wire.EncapVXLAN, row.payload, row.size); got != row.want {
			t.Errorf("%s: %d, want %d", row.name, got, row.want)
		}
	}
}
