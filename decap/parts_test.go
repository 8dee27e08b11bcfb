package decap_test

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"

	"netmirror/decap"
)

// checkParts compares Outer and Inner with what Decode made of the frame: they
// have to agree wherever it did not stop at a VNI or port that is not ours.
func checkParts(t *testing.T, frame []byte, want decap.Packet, reason decap.Reason) {
	t.Helper()
	if reason == decap.OtherVNI || reason == decap.OtherPort {
		return
	}
	var got decap.Packet
	vni, mirrored, r := decap.Outer(frame, 4789)
	if r == decap.OK {
		r = decap.Inner(mirrored, &got)
	}
	if r != reason {
		t.Fatalf("the parts' reason is %v, Decode's %v", r, reason)
	}
	if r != decap.OK {
		return
	}
	got.VNI, got.FromServer = vni, want.FromServer
	if lengthField(want.IP) == 0 {
		got.Truncated = want.Truncated // Inner does not know the outer lengths
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(bytes.Equal)); diff != "" {
		t.Errorf("packet (-Decode +parts):\n%s", diff)
	}
	if cap(got.IP) != len(got.IP) {
		t.Errorf("IP has %d spare bytes", cap(got.IP)-len(got.IP))
	}
}

func TestPartsTakeAnyVNIAndPort(t *testing.T) {
	frame := set16(set(ours4(t), atVXLAN+4, 0x00, 0x03, 0xe7), atInnerTCP+2, 443)
	vni, mirrored, r := decap.Outer(frame, 4789)
	if r != decap.OK || vni != 999 || !bytes.Equal(mirrored, frame[atInnerEth:]) {
		t.Fatalf("Outer gives VNI %d, %d bytes, %v", vni, len(mirrored), r)
	}
	var p decap.Packet
	if r := decap.Inner(mirrored, &p); r != decap.OK || p.TCP != 20 || !bytes.Equal(p.IP, frame[atInnerIP:]) {
		t.Errorf("Inner gives %+v, %v", p, r)
	}
}
