package decap_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/google/gopacket/layers"

	"netmirror/decap"
	"netmirror/service/servicetest"
	"netmirror/wire"
)

// want is the packet that a layout has.
func (l layout) want() decap.Packet {
	at := 20
	if l.ip[0]>>4 == 6 {
		at = 40
	}
	return decap.Packet{VNI: l.vni, IP: l.ip, TCP: at, To: toOne}
}

// Whatever a mirror wraps a frame in, and whatever is in front of its IP, the same
// packet comes out.
func TestLayouts(t *testing.T) {
	var rows []accepted
	for _, l := range slices.Concat(outsides(t), insides(t)) {
		rows = append(rows, accepted{l.name, l.frame, l.want()})
	}
	testAccepted(t, rows)
}

func TestProbeNamesLayers(t *testing.T) {
	options := ether(t, typeIPv6, behindIPv6(packet6(t, clientPort, testPort, request), 60, 6, 0, 1, 4, 0, 0, 0, 0))
	rows := append(insides(t), layout{"options of IPv6", encap(t, options), testVNI, nil, "IPv6 extension headers"})
	for _, l := range slices.Concat(outsides(t), rows) {
		var p decap.Packet
		var s decap.Sight
		if r := newProbe(t).Look(l.frame, &p, &s); r != decap.OK || s.Layers.String() != l.layers {
			t.Errorf("%s: %v, layers %q, want %q", l.name, r, s.Layers, l.layers)
		}
	}
}

// The types of ERSPAN, and what GRE and GENEVE have in them, are told apart.
func TestProbeNamesForms(t *testing.T) {
	want := map[string]string{
		"VXLAN in GENEVE, as of AWS":       "VXLAN in GENEVE",
		"VXLAN in GENEVE of another VNI":   "VXLAN in GENEVE",
		"Ethernet in GRE with a key":       "Ethernet in GRE",
		"Ethernet in GRE with all fields":  "Ethernet in GRE",
		"Ethernet in GRE without a key":    "Ethernet in GRE",
		"IPv4 in GRE":                      "IP in GRE",
		"GRE over IPv6":                    "Ethernet in GRE",
		"ERSPAN type I":                    "ERSPAN type I",
		"ERSPAN type II":                   "ERSPAN type II",
		"ERSPAN type III":                  "ERSPAN type III",
		"ERSPAN type III with a subheader": "ERSPAN type III",
		"ERSPAN type III, IP":              "ERSPAN type III",
		"a tag in front of ERSPAN":         "ERSPAN type I",
	}
	for _, l := range outsides(t) {
		var p decap.Packet
		var s decap.Sight
		newProbe(t).Look(l.frame, &p, &s)
		if s.Form.String() != want[l.name] {
			t.Errorf("%s: %q, want %q", l.name, s.Form, want[l.name])
		}
		delete(want, l.name)
	}
	if len(want) > 0 {
		t.Errorf("no frame is %v", want)
	}
}

// What is wrong with the header of an encapsulation.
func TestEncapFaults(t *testing.T) {
	four := packet4(t, clientPort, testPort, request)
	frame := frame4(t, four)
	gen := overUDP(t, 6081, geneve(testVNI, typeTEB, awsOptions...), frame)
	gp := overUDP(t, 4790, gpe(testVNI, 3), frame)
	tz := overUDP(t, 37008, tzsp(), frame)
	key := overGRE(t, gre(typeTEB, testVNI, true, true), frame)
	const atGRE = atOuterUDP
	two := overGRE(t, gre(layers.EthernetTypeERSPAN, 0, false, true), &layers.ERSPANII{Version: 1, SessionID: testVNI}, frame)
	three := overGRE(t, gre(0x22eb, 0, false, true), erspan3(testVNI, 0, make([]byte, 8)...), frame)
	shorter := func(b []byte, n int) []byte { // by the UDP length
		return set16(b, atOuterUDP+4, uint16(8+n))
	}
	testRefused(t, []refused{
		{"GENEVE of version 1", set(gen, atVXLAN, 0x40), decap.GeneveMalformed},
		{"GENEVE of 7 bytes", shorter(gen, 7), decap.GeneveTruncated},
		{"GENEVE that ends in its options", shorter(gen, 8+len(awsOptions)-1), decap.GeneveTruncated},
		{"GENEVE's control packet", set(gen, atVXLAN+1, 0x80), decap.ControlPacket},
		{"ARP in GENEVE", set16(gen, atVXLAN+2, 0x0806), decap.OtherPayload},
		{"GENEVE of another VNI", set(gen, atVXLAN+6, 9), decap.OtherVNI},
		{"IP in GENEVE of another VNI", overUDP(t, 6081, geneve(7, typeIPv4), four), decap.OtherVNI},
		{"VXLAN in GENEVE, both of other VNIs", overUDP(t, 6081, geneve(7, typeIPv4), datagram(t, 4789, vxlan(8), frame)), decap.OtherVNI},
		{"VXLAN to another port in GENEVE of another VNI", overUDP(t, 6081, geneve(7, typeIPv4), datagram(t, 4788, vxlan(testVNI), frame)), decap.OtherVNI},
		{"VXLAN-GPE without a VNI", set(gp, atVXLAN, 0x04), decap.VXLANNoVNI},
		{"VXLAN-GPE of version 1", set(gp, atVXLAN, 0x1c), decap.VXLANMalformed},
		{"VXLAN-GPE's OAM packet", set(gp, atVXLAN, 0x0d), decap.ControlPacket},
		{"an unknown protocol in VXLAN-GPE", set(gp, atVXLAN+3, 9), decap.OtherPayload},
		{"VXLAN-GPE of 7 bytes", shorter(gp, 7), decap.VXLANTruncated},
		{"GRE of version 1, which is PPTP's", set(key, atGRE+1, 1), decap.GREMalformed},
		{"GRE with a source route", set(key, atGRE, 0x70), decap.GREMalformed},
		{"ARP in GRE", set16(key, atGRE+2, 0x0806), decap.OtherPayload},
		{"GRE of another key", set(key, atGRE+11, 9), decap.OtherVNI},
		{"GRE of a key with more than 24 bits", set(key, atGRE+8, 1), decap.OtherVNI},
		{"GRE cut in its key", key[: atGRE+9 : atGRE+9], decap.GRETruncated},
		{"GRE cut in its first bytes", key[: atGRE+3 : atGRE+3], decap.GRETruncated},
		{"first fragment of GRE", set(key, atOuterIP+6, 0x20), decap.OuterFragment},
		{"ERSPAN of another session", set(two, atGRE+8+3, 9), decap.OtherVNI},
		{"ERSPAN type II of version 2", set(two, atGRE+8, 0x20), decap.ERSPANMalformed},
		{"ERSPAN type II cut in its header", two[: atGRE+8+7 : atGRE+8+7], decap.ERSPANTruncated},
		{"ERSPAN type III of version 1", set(three, atGRE+8, 0x10), decap.ERSPANMalformed},
		{"ERSPAN type III of an unknown frame type", set(three, atGRE+8+10, 5<<2), decap.OtherPayload},
		{"ERSPAN type III cut in its subheader", three[: atGRE+8+19 : atGRE+8+19], decap.ERSPANTruncated},
		{"TZSP of version 2", set(tz, atVXLAN, 2), decap.TZSPMalformed},
		{"TZSP's keep-alive", set(tz, atVXLAN+1, 4), decap.ControlPacket},
		{"802.11 in TZSP", set(tz, atVXLAN+3, 18), decap.OtherPayload},
		{"TZSP that ends in a field", shorter(tz, 6), decap.TZSPTruncated},
		{"TZSP without an end", shorter(tz, len(tzsp())-1), decap.TZSPTruncated},
		{"TZSP of 3 bytes", shorter(tz, 3), decap.TZSPTruncated},
		{"TZSP that is all padding", overUDP(t, 37008, []byte{1, 0, 0, 1}, make([]byte, 200)), decap.TZSPMalformed},
	})
}

// What is inside a mirrored frame, and cannot be read or is not followed.
func TestLayerFaults(t *testing.T) {
	four := packet4(t, clientPort, testPort, request)
	frame := frame4(t, four)
	in := func(carries uint16, parts ...any) []byte { return encap(t, ether(t, carries, parts...)) }
	ses := pppoe(0x0021, four)
	net := nsh(1)
	inGRE := serialize(t, gre(layers.EthernetTypeIPv4, 5, false, false), four)
	cut := func(frame []byte, n int) []byte { return frame[: atInnerIP+n : atInnerIP+n] }
	deep := four
	for range 5 {
		deep = serialize(t, inner4(4), deep)
	}
	endless := slices.Repeat([]byte{0, 1, 0, 64}, 17)
	testRefused(t, []refused{
		{"labels without an end", in(typeMPLS, endless, four), decap.InnerTooDeep},
		{"a label stack that ends the frame", cut(in(typeMPLS, label(1, true)), 4), decap.TunnelTruncated},
		{"cut in a label", cut(in(typeMPLS, label(1, true), four), 3), decap.TunnelTruncated},
		{"a label in front of something else", in(typeMPLS, label(1, true), []byte{0x50, 1, 2}), decap.InnerNotIP},
		{"a control word in front of something else", in(typeMPLS, label(1, true), make([]byte, 40)), decap.InnerNotIP},
		{"a control word in front of ARP", in(typeMPLS, label(1, true), make([]byte, 4), ether(t, 0x0806, make([]byte, 28))), decap.InnerNotIP},
		{"a control word in front of what is called IPv4", in(typeMPLS, label(1, true), make([]byte, 4), ether(t, typeIPv4, []byte{0x60}, make([]byte, 28))), decap.InnerNotIP},
		{"PPPoE of version 2", in(typePPPoE, set(ses, 0, 0x21)), decap.TunnelMalformed},
		{"PPPoE that ends a session", in(typePPPoE, set(ses, 1, 0xa7)), decap.InnerNotIP},
		{"PPP's link control", in(typePPPoE, set16(ses, 6, 0xc021)), decap.InnerNotIP},
		{"PPPoE with no room for PPP", in(typePPPoE, set16(ses, 4, 1)), decap.TunnelMalformed},
		{"cut in PPPoE", cut(in(typePPPoE, ses), 5), decap.TunnelTruncated},
		{"cut in PPP", cut(in(typePPPoE, ses), 7), decap.TunnelTruncated},
		{"spanning tree", encap(t, slices.Concat(macB, macA, []byte{0, 38, 0x42, 0x42, 3}, make([]byte, 43))), decap.InnerNotIP},
		{"SNAP of another organization", encap(t, set(snap(typeIPv4, four), 17, 0, 0, 0x0c)), decap.InnerNotIP},
		{"SNAP with a length inside", encap(t, snap(99, four)), decap.TunnelMalformed},
		{"802.3 with no room for SNAP", encap(t, set16(snap(typeIPv4, four), 12, 7)), decap.TunnelMalformed},
		{"cut in SNAP", cut(encap(t, snap(typeIPv4, four)), 7), decap.TunnelTruncated},
		{"NSH of version 1", in(typeNSH, set(net, 0, 0x4f), four), decap.TunnelMalformed},
		{"NSH of one word", in(typeNSH, set(net, 1, 0xc1), four), decap.TunnelMalformed},
		{"NSH in front of something else", in(typeNSH, set(net, 3, 4), four), decap.InnerNotIP},
		{"cut in NSH", cut(in(typeNSH, net, four), 23), decap.TunnelTruncated},
		{"GRE of version 1", in(typeIPv4, inner4(47), set(inGRE, 1, 1)), decap.TunnelMalformed},
		{"GRE with ARP", in(typeIPv4, inner4(47), set16(inGRE, 2, 0x0806)), decap.InnerNotIP},
		{"cut in GRE", cut(in(typeIPv4, inner4(47), inGRE), 27), decap.TunnelTruncated},
		{"VXLAN without a VNI", in(typeIPv4, datagram(t, 4789, make([]byte, 8), frame)), decap.TunnelMalformed},
		{"VXLAN of 7 bytes", in(typeIPv4, datagram(t, 8472, make([]byte, 7))), decap.TunnelTruncated},
		{"GENEVE of version 1", in(typeIPv4, datagram(t, 6081, set(geneve(1, typeTEB), 0, 0x40), frame)), decap.TunnelMalformed},
		{"a datagram to another port", in(typeIPv4, datagram(t, 8473, vxlan(1), frame)), decap.InnerNotTCP},
		{"a datagram cut in its ports", cut(in(typeIPv4, datagram(t, 8472, vxlan(1), frame)), 23), decap.InnerTruncated},
		{"ICMP in IP in IP", in(typeIPv4, inner4(4), set(four, 9, 1)), decap.InnerNotTCP},
		{"ESP", in(typeIPv4, inner4(50), four), decap.InnerNotTCP},
		{"five layers", in(typeIPv4, deep), decap.InnerTooDeep},
		{"an Ethernet frame in Ethernet", in(typeTEB, frame), decap.InnerNotIP},
		{"an Ethernet frame behind a tag", encap(t, tagged(ether(t, typeTEB, frame), 0x8100)), decap.InnerNotIP},
		{"five tags behind a label", in(typeMPLS, label(1, true), make([]byte, 4), tagged(frame, 0x8100, 0x8100, 0x8100, 0x8100, 0x8100)), decap.InnerTooDeep},
		{"another port in VXLAN", in(typeIPv4, datagram(t, 4789, vxlan(1), frame4(t, packet4(t, 1, 2, nil)))), decap.OtherPort},
	})
}

// A mirror of one encapsulation has no other.
func TestOneEncapsulation(t *testing.T) {
	frame := frame4(t, packet4(t, clientPort, testPort, request))
	frames := map[wire.Encap][]byte{
		wire.EncapVXLAN:    ours4(t),
		wire.EncapVXLANGPE: overUDP(t, 4790, gpe(testVNI, 3), frame),
		wire.EncapGeneve:   overUDP(t, 6081, geneve(testVNI, typeTEB), frame),
		wire.EncapGRE:      overGRE(t, gre(typeTEB, testVNI, false, false), frame),
		wire.EncapERSPAN:   overGRE(t, gre(0x22eb, 0, false, true), erspan3(testVNI, 0), frame),
	}
	for encap := range frames {
		d, err := decap.New(decap.Config{Mirror: wire.Mirror{Encap: encap}, Services: servicetest.Only(testPort, testVNI)})
		if err != nil {
			t.Fatal(err)
		}
		for of, frame := range frames {
			var p decap.Packet
			if r := d.Decode(frame, &p); (r == decap.OK) != (of == encap) || r.Broken() {
				t.Errorf("a mirror of %v: a frame of %v is %v", encap, of, r)
			}
		}
	}
}

// Without an encapsulation the frame is the mirrored one, which has no VNI.
func TestBare(t *testing.T) {
	bare := wire.Mirror{Encap: wire.EncapNone}
	for _, vnis := range [][]uint32{{testVNI}, {1, 2}} {
		if _, err := decap.New(decap.Config{Mirror: bare, Services: servicetest.Only(testPort, vnis...)}); !errors.Is(err, decap.ErrBareVNI) {
			t.Errorf("VNIs %v: %v", vnis, err)
		}
	}
	d, err := decap.New(decap.Config{Mirror: bare, Services: servicetest.Only(testPort, 0)})
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range insides(t) {
		var p decap.Packet
		if r := d.Decode(l.frame[atInnerEth:], &p); r != decap.OK || p.VNI != 0 || p.TCP != l.want().TCP || !slices.Equal(p.IP, l.ip) {
			t.Errorf("%s: %v, %+v", l.name, r, p)
		}
	}
	var p decap.Packet
	if r := d.Decode(ours4(t), &p); r != decap.OK {
		t.Errorf("a VXLAN packet of the mirrored hosts: %v", r)
	}
	if r := d.Decode(nil, &p); r != decap.InnerTruncated {
		t.Errorf("an empty frame: %v", r)
	}
}

func TestMirrors(t *testing.T) {
	for name, m := range map[string]wire.Mirror{
		"GRE with a port":           {Encap: wire.EncapGRE, Ports: []uint16{4789}},
		"port 0":                    {Ports: []uint16{0}},
		"too many ports":            {Ports: make([]uint16, wire.MaxPorts+1)},
		"no encapsulation's number": {Encap: 99},
	} {
		if _, err := decap.New(decap.Config{Mirror: m, Services: servicetest.Only(1, 1)}); !errors.Is(err, decap.ErrMirror) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := decap.NewProbe(m); !errors.Is(err, decap.ErrMirror) {
			t.Errorf("%s, probed: %v", name, err)
		}
	}
}

// Several ports may have VXLAN, and one of them another encapsulation.
func TestSeveralPorts(t *testing.T) {
	d, err := decap.New(decap.Config{Mirror: wire.Mirror{Ports: []uint16{5000, 6081, 4789, 5000}}, Services: servicetest.Only(testPort, testVNI)})
	if err != nil {
		t.Fatal(err)
	}
	frame := frame4(t, packet4(t, clientPort, testPort, request))
	for name, row := range map[string]struct {
		frame []byte
		want  decap.Reason
	}{
		"the first":               {overUDP(t, 5000, vxlan(testVNI), frame), decap.OK},
		"the third":               {ours4(t), decap.OK},
		"GENEVE's":                {overUDP(t, 6081, geneve(testVNI, typeTEB), frame), decap.OK},
		"another":                 {overUDP(t, 5001, vxlan(testVNI), frame), decap.OtherUDPPort},
		"another VNI, third port": {set(ours4(t), atVXLAN+6, 99), decap.OtherVNI},
	} {
		var p decap.Packet
		if r := d.Decode(row.frame, &p); r != row.want {
			t.Errorf("%s: %v, want %v", name, r, row.want)
		}
	}
}
