package decap_test

import (
	"bytes"
	"testing"

	"netmirror/decap"
)

func TestVXLAN(t *testing.T) {
	rows := []struct {
		name  string
		bytes []byte
		vni   uint32
		frame []byte
		want  decap.Reason
	}{
		{"VNI in host order", []byte{8, 0, 0, 0, 1, 2, 3, 0, 0xaa, 0xbb}, 0x010203, []byte{0xaa, 0xbb}, decap.OK},
		{"VNI 0", []byte{8, 0, 0, 0, 0, 0, 0, 0, 0xaa}, 0, []byte{0xaa}, decap.OK},
		{"largest VNI", []byte{8, 0, 0, 0, 255, 255, 255, 0, 0xaa}, 1<<24 - 1, []byte{0xaa}, decap.OK},
		{"reserved bits set", []byte{255, 255, 255, 255, 0, 0, 9, 255, 0xaa}, 9, []byte{0xaa}, decap.OK},
		{"nothing inside", []byte{8, 0, 0, 0, 0, 0, 9, 0}, 9, []byte{}, decap.OK},
		{"I flag clear", []byte{0xf7, 0, 0, 0, 0, 0, 9, 0, 0xaa}, 0, nil, decap.VXLANNoVNI},
		{"seven bytes", []byte{8, 0, 0, 0, 0, 0, 9}, 0, nil, decap.VXLANTruncated},
		{"no bytes", nil, 0, nil, decap.VXLANTruncated},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			vni, frame, r := decap.VXLAN(row.bytes)
			if vni != row.vni || !bytes.Equal(frame, row.frame) || (frame == nil) != (row.frame == nil) || r != row.want {
				t.Errorf("got %d, %x, %v; want %d, %x, %v", vni, frame, r, row.vni, row.frame, row.want)
			}
		})
	}
}

func TestVNISelection(t *testing.T) {
	vni := func(b ...byte) []byte { return set(ours4(t), atVXLAN+4, b...) }
	want := func(frame []byte, v uint32) decap.Packet {
		return decap.Packet{VNI: v, IP: frame[atInnerIP:], TCP: 20, To: toOne}
	}
	zero, last := vni(0, 0, 0), vni(255, 255, 255)
	reserved := set(set(ours4(t), atVXLAN, 0xff, 1, 2, 3), atVXLAN+7, 0xff)
	testAccepted(t, []accepted{
		{"VNI 0 is legal", zero, want(zero, 0)},
		{"largest VNI", last, want(last, 1<<24-1)},
		{"reserved bits are ignored", reserved, want(reserved, testVNI)},
	})
	testRefused(t, []refused{
		{"VNI not asked for", vni(0, 0, testVNI+1), decap.OtherVNI},
		{"our VNI in the wrong byte", vni(testVNI, 0, 0), decap.OtherVNI},
		{"I flag clear", set(ours4(t), atVXLAN, 0), decap.VXLANNoVNI},
		{"UDP payload shorter than the header", set16(ours4(t), atOuterUDP+4, 15), decap.VXLANTruncated},
	})
}
