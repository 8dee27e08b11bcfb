package decap

import (
	"bytes"
	"testing"

	"netmirror/wire"
)

// checkPayload: a header that can be read leaves the end of what it was read from.
func checkPayload(t *testing.T, b, payload []byte, vni uint32, r Reason) {
	t.Helper()
	switch {
	case r == OK && (!bytes.HasSuffix(b, payload) || len(payload) >= len(b) || vni > wire.MaxVNI):
		t.Fatalf("VNI %d, payload % x of % x", vni, payload, b)
	case r != OK && (payload != nil || vni != 0 || r >= NumReasons):
		t.Fatalf("%v, but VNI %d and payload % x", r, vni, payload)
	}
}

func FuzzGeneve(f *testing.F) {
	f.Add([]byte{0, 0, 0x65, 0x58, 0, 0, 42, 0, 1})
	f.Add([]byte{1, 0x40, 8, 0, 0, 0, 42, 0, 1, 8, 1, 0, 0x45})
	f.Add([]byte{0x3f, 0, 0x65, 0x58, 0, 0, 42, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		vni, etherType, payload, r := readGeneve(b, geneveFaults)
		checkPayload(t, b, payload, vni, r)
		if r == OK && !carried(etherType) {
			t.Fatalf("EtherType %#x", etherType)
		}
	})
}

func FuzzGPE(f *testing.F) {
	f.Add([]byte{0x0c, 0, 0, 1, 0, 0, 42, 0, 0x45})
	f.Add([]byte{0x08, 0, 0, 0, 0, 0, 42, 0, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		vni, _, payload, r := readGPE(b, vxlanFaults)
		checkPayload(t, b, payload, vni, r)
	})
}

func FuzzGRE(f *testing.F) {
	f.Add([]byte{0x20, 0, 0x65, 0x58, 0, 0, 0, 42, 1})
	f.Add([]byte{0xb0, 0, 0x88, 0xbe, 1, 2, 0, 0, 0, 0, 0, 42, 0, 0, 0, 1, 0x10, 0, 0, 42, 0, 0, 0, 0, 1})
	f.Add([]byte{0x10, 0, 0x22, 0xeb, 0, 0, 0, 1, 0x20, 0, 0, 42, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		h, payload, r := readGRE(b, greFaults)
		checkPayload(t, b, payload, 0, r)
		if r != OK || h.etherType != wire.EtherTypeERSPAN && h.etherType != wire.EtherTypeERSPAN3 {
			return
		}
		session, _, frame, r := readERSPAN(h, payload)
		checkPayload(t, b, frame, session, r)
		if session > wire.ERSPANSession {
			t.Fatalf("session %d", session)
		}
	})
}

func FuzzTZSP(f *testing.F) {
	f.Add([]byte{1, 0, 0, 1, 10, 1, 0xc0, 0, 1, 2})
	f.Add([]byte{1, 1, 0, 1, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		_, frame, r := readTZSP(b)
		checkPayload(t, b, frame, 0, r)
	})
}

// FuzzLink has the walk through MPLS, PPPoE, LLC, NSH and tags, from any EtherType.
func FuzzLink(f *testing.F) {
	f.Add(uint16(wire.EtherTypeMPLS), []byte{0, 1, 0, 64, 0, 2, 1, 64, 0x45})
	f.Add(uint16(wire.EtherTypeMPLS), append([]byte{0, 1, 1, 64, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 6, 8, 0, 0x45}, make([]byte, 19)...))
	f.Add(uint16(wire.EtherTypePPPoE), []byte{0x11, 0, 0, 1, 0, 3, 0, 0x21, 0x45})
	f.Add(uint16(9), []byte{0xaa, 0xaa, 3, 0, 0, 0, 8, 0, 0x45})
	f.Add(uint16(wire.EtherTypeNSH), append([]byte{0, 0x42, 2, 1, 0, 0, 1, 255}, 0x45))
	f.Add(uint16(wire.EtherTypeCTag), []byte{0, 1, 0x88, 0x47, 0, 1, 1, 64, 0x60})
	f.Fuzz(func(t *testing.T, etherType uint16, b []byte) {
		var s Sight
		w := walk{etherType: etherType, b: b, sight: &s}
		r := w.link()
		if r >= NumReasons || w.missing < 0 || w.layers > MaxLayers || !bytes.Contains(b, w.b) {
			t.Fatalf("%v: %+v", r, w)
		}
		if r == OK && w.etherType != wire.EtherTypeIPv4 && w.etherType != wire.EtherTypeIPv6 {
			t.Fatalf("it ends at EtherType %#x", w.etherType)
		}
	})
}
