package decap_test

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"

	"netmirror/decap"
	"netmirror/service"
	"netmirror/wire"
)

// checkParts compares what a Probe makes of a frame with what Decode made of it:
// they have to agree wherever Decode did not stop at a VNI or port that is not ours.
func checkParts(t *testing.T, frame []byte, want decap.Packet, reason decap.Reason) {
	t.Helper()
	if reason == decap.OtherVNI || reason == decap.OtherPort {
		return
	}
	var got decap.Packet
	var s decap.Sight
	r := newProbe(t).Look(frame, &got, &s)
	if r != reason {
		t.Fatalf("the probe's reason is %v, Decode's %v", r, reason)
	}
	if r != decap.OK {
		return
	}
	if s.Form == decap.FormVXLANInGeneve {
		got.VNI, s.VNI = want.VNI, want.VNI // both may be ours, and to a probe all are
	}
	if !s.Wrapped || s.VNI != want.VNI {
		t.Errorf("the probe saw %+v, Decode VNI %d", s, want.VNI)
	}
	got.To, got.From = want.To, want.From
	if diff := cmp.Diff(want, got, cmp.Comparer(bytes.Equal)); diff != "" {
		t.Errorf("packet (-Decode +probe):\n%s", diff)
	}
	if cap(got.IP) != len(got.IP) {
		t.Errorf("IP has %d spare bytes", cap(got.IP)-len(got.IP))
	}
}

func newProbe(tb testing.TB) *decap.Probe {
	tb.Helper()
	o, err := decap.NewProbe(wire.Mirror{})
	if err != nil {
		tb.Fatal(err)
	}
	return o
}

// A GRE key has 32 bits, of which no VNI has more than 24. A larger one is told, and not taken,
// though the service takes any VNI.
func TestLargestKeyOfGRE(t *testing.T) {
	services, err := service.NewSelector([]service.Selection{{Ports: service.PortsOf(testPort)}})
	if err != nil {
		t.Fatal(err)
	}
	d, err := decap.New(decap.Config{Services: services})
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[uint32]decap.Reason{1<<24 - 1: decap.OK, 1 << 24: decap.OtherVNI, 1<<32 - 1: decap.OtherVNI} {
		frame := overGRE(t, gre(typeTEB, key, false, false), frame4(t, packet4(t, clientPort, testPort, request)))
		var p decap.Packet
		if r := d.Decode(frame, &p); r != want {
			t.Errorf("key %d: %v, want %v", key, r, want)
		}
		var s decap.Sight
		if r := newProbe(t).Look(frame, &p, &s); r != want || !s.Wrapped || s.VNI != key || s.Encap != wire.EncapGRE {
			t.Errorf("key %d, probed: %v and %+v, want %v", key, r, s, want)
		}
	}
}

func TestProbeTakesAnyVNIAndPort(t *testing.T) {
	frame := set16(set(ours4(t), atVXLAN+4, 0x00, 0x03, 0xe7), atInnerTCP+2, 443)
	var p decap.Packet
	var s decap.Sight
	if r := newProbe(t).Look(frame, &p, &s); r != decap.OK || p.TCP != 20 || !bytes.Equal(p.IP, frame[atInnerIP:]) || p.VNI != 999 {
		t.Errorf("%+v, %v", p, r)
	}
	if !s.Wrapped || s.Encap != wire.EncapVXLAN || s.VNI != 999 || s.Layers.String() != "" {
		t.Errorf("%+v", s)
	}
}
