package gso_test

import (
	"bytes"
	"slices"
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

// What the other encapsulations mirror is found by their headers.
func TestCountOfOtherEncapsulations(t *testing.T) {
	frame := wiretest.Packet(t, wiretest.Ether(layers.EthernetTypeIPv4), wiretest.IP4(nil), wiretest.UDPTo(53), make([]byte, 500))
	six := wiretest.Packet(t, wiretest.IP6(layers.IPProtocolUDP), wiretest.UDPTo(53), make([]byte, 500))
	for _, row := range []struct {
		name    string
		encap   wire.Encap
		payload []byte
		want    int // with datagrams of 100 bytes
	}{
		{"GENEVE", wire.EncapGeneve, append(wiretest.Geneve(42, 0x6558), frame...), 1},
		{"GENEVE with options", wire.EncapGeneve, append(wiretest.Geneve(42, 0x6558, wiretest.AWSOptions...), frame...), 1},
		{"IPv4 in GENEVE", wire.EncapGeneve, append(wiretest.Geneve(42, 0x0800), frame[14:]...), 1},
		{"IPv6 in GENEVE", wire.EncapGeneve, append(wiretest.Geneve(42, 0x86dd), six...), 1},
		{"MPLS in GENEVE", wire.EncapGeneve, append(wiretest.Geneve(42, 0x8847), make([]byte, 92)...), 1},
		{"GENEVE whose options are cut", wire.EncapGeneve, append([]byte{63, 0, 0x65, 0x58, 0, 0, 0, 0}, make([]byte, 193)...), 3},
		{"VXLAN-GPE", wire.EncapVXLANGPE, append(wiretest.GPE(42, 3), frame...), 1},
		{"IPv4 in VXLAN-GPE", wire.EncapVXLANGPE, append(wiretest.GPE(42, 1), frame[14:]...), 1},
		{"IPv6 in VXLAN-GPE", wire.EncapVXLANGPE, append(wiretest.GPE(42, 2), six...), 1},
		{"VXLAN to VXLAN-GPE's port", wire.EncapVXLANGPE, append([]byte{8, 0, 0, 0, 0, 0, 42, 0}, frame...), 1},
		{"NSH in VXLAN-GPE", wire.EncapVXLANGPE, append(wiretest.GPE(42, 4), make([]byte, 193)...), 3},
		{"TZSP", wire.EncapTZSP, append(wiretest.TZSP(), make([]byte, 200)...), 3},
	} {
		if got := gso.Count(row.encap, row.payload, 100); got != row.want {
			t.Errorf("%s: %d, want %d", row.name, got, row.want)
		}
	}
}

// A mirror that cuts packets leaves the IP length of the whole ones in them.
func TestCountOfCutPackets(t *testing.T) {
	frame := wiretest.Packet(t, wiretest.Ether(layers.EthernetTypeIPv4), wiretest.IP4(nil), wiretest.UDPTo(53), make([]byte, 1472))
	six := wiretest.Packet(t, wiretest.IP6(layers.IPProtocolUDP), wiretest.UDPTo(53), make([]byte, 1472))
	vxlan := func(vni byte) []byte { return append([]byte{8, 0, 0, 0, 0, 0, vni, 0}, frame...)[:128] }
	ip := append(wiretest.Geneve(42, 0x0800), frame[14:]...)[:128]
	for _, row := range []struct {
		name  string
		encap wire.Encap
		parts [][]byte // each but the last has 128 bytes
		want  int
	}{
		{"14 of VXLAN", wire.EncapVXLAN, slices.Repeat([][]byte{vxlan(42)}, 14), 14},
		{"a short last one", wire.EncapVXLAN, [][]byte{vxlan(42), vxlan(42), vxlan(42)[:70]}, 3},
		{"IPv4 in GENEVE", wire.EncapGeneve, slices.Repeat([][]byte{ip}, 3), 3},
		{"IPv6 in VXLAN-GPE", wire.EncapVXLANGPE, slices.Repeat([][]byte{append(wiretest.GPE(42, 2), six...)[:128]}, 3), 3},
		// What follows is the mirrored packet's then, though that is not whole either.
		{"no header behind it", wire.EncapVXLAN, [][]byte{vxlan(42), make([]byte, 128)}, 1},
		{"another VNI behind it", wire.EncapVXLAN, [][]byte{vxlan(42), vxlan(43)}, 1},
		{"no EtherType behind it", wire.EncapGeneve, [][]byte{ip, append(wiretest.Geneve(42, 0), make([]byte, 120)...)}, 1},
		{"less than a header behind it", wire.EncapVXLAN, [][]byte{vxlan(42), vxlan(42)[:7]}, 1},
	} {
		if got := gso.Count(row.encap, bytes.Join(row.parts, nil), 128); got != row.want {
			t.Errorf("%s: %d, want %d", row.name, got, row.want)
		}
	}
}

func FuzzCount(f *testing.F) {
	f.Add(uint8(wire.EncapVXLAN), []byte{8, 0, 0, 0, 0, 0, 42, 0}, 100)
	f.Add(uint8(wire.EncapGeneve), wiretest.Geneve(42, 0x86dd, wiretest.AWSOptions...), 10)
	f.Add(uint8(wire.EncapVXLANGPE), append(wiretest.GPE(42, 1), 0x45), 4)
	f.Fuzz(func(t *testing.T, encap uint8, payload []byte, size int) {
		n := gso.Count(wire.Encap(encap), payload, size)
		if n < 0 || n > gso.Max || n > 1 && (n-1)*size >= len(payload) {
			t.Fatalf("%d datagrams of %d bytes in %d", n, size, len(payload))
		}
	})
}
