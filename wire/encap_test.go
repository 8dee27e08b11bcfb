package wire_test

import (
	"slices"
	"testing"

	"netmirror/wire"
)

func TestParseEncap(t *testing.T) {
	for _, name := range []string{"auto", "vxlan", "vxlan-gpe", "geneve", "gre", "erspan", "tzsp", "none"} {
		if e, err := wire.ParseEncap(name); err != nil || e.String() != name {
			t.Errorf("%q is %v, %v", name, e, err)
		}
	}
	for _, name := range []string{"", "VXLAN", "unknown", "l2tp"} {
		if _, err := wire.ParseEncap(name); err == nil {
			t.Errorf("%q was taken", name)
		}
	}
	if s := wire.Encap(99).String(); s != "unknown" {
		t.Errorf("a value beyond the encapsulations is called %q", s)
	}
}

func TestMirrorPorts(t *testing.T) {
	for _, row := range []struct {
		name string
		m    wire.Mirror
		udp  []wire.UDPPort
		gre  bool
	}{
		{"any, at the usual ports", wire.Mirror{}, []wire.UDPPort{
			{Port: 4789, Encap: wire.EncapVXLAN}, {Port: 6081, Encap: wire.EncapGeneve},
			{Port: 4790, Encap: wire.EncapVXLANGPE}, {Port: 37008, Encap: wire.EncapTZSP},
		}, true},
		{"any, at some", wire.Mirror{Ports: []uint16{8472, 6081, 8472}}, []wire.UDPPort{
			{Port: 8472, Encap: wire.EncapVXLAN}, {Port: 6081, Encap: wire.EncapGeneve},
		}, true},
		{"GENEVE", wire.Mirror{Encap: wire.EncapGeneve}, []wire.UDPPort{{Port: 6081, Encap: wire.EncapGeneve}}, false},
		{"VXLAN where GENEVE is usual", wire.Mirror{Encap: wire.EncapVXLAN, Ports: []uint16{6081}}, []wire.UDPPort{{Port: 6081, Encap: wire.EncapVXLAN}}, false},
		{"GRE", wire.Mirror{Encap: wire.EncapGRE}, nil, true},
		{"ERSPAN", wire.Mirror{Encap: wire.EncapERSPAN}, nil, true},
		{"none", wire.Mirror{Encap: wire.EncapNone}, nil, false},
	} {
		if err := row.m.Check(); err != nil {
			t.Errorf("%s: %v", row.name, err)
		}
		if got := row.m.UDP(); !slices.Equal(got, row.udp) || row.m.GRE() != row.gre {
			t.Errorf("%s: %v, GRE %t; want %v, %t", row.name, got, row.m.GRE(), row.udp, row.gre)
		}
		if row.m.Bare() != (row.name == "none") {
			t.Errorf("%s: bare %t", row.name, row.m.Bare())
		}
	}
}
