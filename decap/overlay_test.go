package decap_test

import (
	"encoding/binary"
	"slices"
	"testing"

	"netmirror/decap"
)

// cutIn cuts an IPv4 packet into two fragments behind so many bytes of its payload.
func cutIn(packet []byte, at int) (first, last []byte) {
	first, last = slices.Clone(packet[:20+at]), slices.Concat(packet[:20], packet[20+at:])
	binary.BigEndian.PutUint16(first[2:], uint16(len(first)))
	binary.BigEndian.PutUint16(first[6:], 0x2000)
	binary.BigEndian.PutUint16(last[2:], uint16(len(last)))
	binary.BigEndian.PutUint16(last[6:], uint16(at/8))
	return first, last
}

// A tunnel's packets may come in fragments: whoever puts them together has what to
// go on with, and in the end the same packet.
func TestFragmentsOfTunnels(t *testing.T) {
	d := newDecoder(t)
	four := packet4(t, clientPort, testPort, request)
	frame := frame4(t, four)
	mirror := func(packet []byte) []byte { return encap(t, frame4(t, packet)) }
	load := func(geneve uint32) func([]byte) []byte {
		return func(packet []byte) []byte { return overUDP(t, 6081, geneveIPv4(geneve), packet) }
	}
	for _, row := range []struct {
		name   string
		wrap   func(packet []byte) []byte
		packet []byte
		lone   decap.Reason // of the last fragment, where the first is not there
	}{
		{"an overlay's VXLAN", mirror, datagram(t, 8472, vxlan(1), frame), decap.InnerNotTCP},
		{"IP in IP", mirror, serialize(t, inner4(4), four), decap.InnerFragment},
		{"GRE", mirror, serialize(t, inner4(47), gre(typeIPv4, 0, false, false), four), decap.InnerFragment},
		{"AWS' VXLAN in GENEVE", load(7), datagram(t, 4789, vxlan(testVNI), frame), decap.InnerFragment},
		{"AWS' VXLAN in GENEVE of a VNI of ours", load(0), datagram(t, 4789, vxlan(testVNI), frame), decap.InnerFragment},
	} {
		t.Run(row.name, func(t *testing.T) {
			first, last := cutIn(row.packet, 32)
			var vnis []uint32
			for _, part := range [][]byte{first, last} {
				var p decap.Packet
				if r := d.Decode(row.wrap(part), &p); r != decap.InnerFragment || !slices.Equal(p.IP, part) {
					t.Fatalf("a fragment is %v, % x", r, p.IP)
				}
				vnis = append(vnis, p.VNI)
			}
			if vnis[0] != vnis[1] {
				t.Fatalf("the fragments have VNIs %d", vnis)
			}
			var p decap.Packet
			if r := d.DecodeIP(vnis[1], last, &p); r != row.lone {
				t.Errorf("the last by itself is %v, want %v", r, row.lone)
			}
			want := layout{vni: testVNI, ip: four}.want()
			if r := d.DecodeIP(vnis[0], row.packet, &p); r != decap.OK || p.VNI != want.VNI || !slices.Equal(p.IP, four) {
				t.Errorf("joined: %v, %+v", r, p)
			}
		})
	}
	first, _ := cutIn(datagram(t, 53, make([]byte, 100)), 32)
	var p decap.Packet
	if r := d.Decode(mirror(first), &p); r != decap.InnerNotTCP {
		t.Errorf("a first fragment to port 53 is %v", r)
	}
}

func geneveIPv4(vni uint32) []byte { return geneve(vni, typeIPv4, awsOptions...) }
