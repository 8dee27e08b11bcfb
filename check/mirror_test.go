package check

import (
	"strings"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"netmirror/source"
	"netmirror/wire"
	"netmirror/wire/wiretest"
)

// What packets are wrapped in, and what is in front of their IP inside.
func TestWhatIsToldOfLayers(t *testing.T) {
	c := testConfig(nil, 0)
	s := seeing(t, c, conversation(7, "10.0.0.1:50001", "10.0.0.9:8080", get)...)
	plain := packet{vni: 7, src: "10.0.0.2:50002", dst: "10.0.0.9:8080", flags: "S"}.frame(t)[50:]
	ip := gopacket.Payload(plain[14:])
	label := func(bottom bool) *layers.MPLS { return &layers.MPLS{Label: 16, StackBottom: bottom, TTL: 64} }
	tagged := wiretest.Serialize(t, &layers.Ethernet{SrcMAC: wiretest.PeerMAC, DstMAC: wiretest.MonMAC, EthernetType: layers.EthernetTypeDot1Q},
		&layers.Dot1Q{VLANIdentifier: 7, Type: layers.EthernetTypeMPLSUnicast}, label(false), label(true), ip)
	s.add(encap(t, 7, tagged), source.Ethernet)
	s.add(encap(t, 7, tagged), source.Ethernet)
	geneve := wiretest.Packet(t, wiretest.Ether(wiretest.V4), wiretest.IP4(nil), wiretest.UDPTo(6081), wiretest.Geneve(9, 0x6558), plain)
	s.add(geneve, source.Ethernet)
	gre := func(h *layers.IPv4) { h.Protocol = layers.IPProtocolGRE }
	s.add(wiretest.Packet(t, wiretest.Ether(wiretest.V4), wiretest.IP4(gre), &layers.GRE{Protocol: 0x22eb, SeqPresent: true}, wiretest.ERSPAN3(3, 0), plain), source.Ethernet)
	got, _ := told(t, c, s)
	for _, want := range []string{
		"ok    mirror: 2 packets in VXLAN, VNI 7, and inside VLAN, MPLS\n",
		"ok    mirror: 1 packet in GENEVE, VNI 9\n",
		"ok    mirror: 1 packet in ERSPAN type III, session 3 (--vni 3)\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("it does not say %q:\n%s", want, got)
		}
	}
	if n := strings.Count(got, "packet in") + strings.Count(got, "packets in VXLAN"); n != 3 {
		t.Errorf("it says more of layers:\n%s", got)
	}
}

// A GRE key that no --vni can name is told, and not suggested.
func TestWhatIsToldOfLargeKeys(t *testing.T) {
	c := testConfig([]uint32{42}, 8080)
	gre := func(h *layers.IPv4) { h.Protocol = layers.IPProtocolGRE }
	frame := packet{vni: 7, src: "10.0.0.2:50002", dst: "10.0.0.9:8080", flags: "S"}.frame(t)[50:]
	large := wiretest.Packet(t, wiretest.Ether(wiretest.V4), wiretest.IP4(gre),
		&layers.GRE{Protocol: 0x6558, KeyPresent: true, Key: 1 << 24}, frame)
	for _, row := range []struct {
		name    string
		packets []packet
		first   string
	}{
		{"alone", nil, "give the mirror's GRE tunnel a key of at most 16777215, or none"},
		{"beside another VNI", conversation(7, "10.0.0.1:50001", "10.0.0.9:8080", get), "use --vni 7"},
	} {
		s := seeing(t, c, row.packets...)
		s.add(large, source.Ethernet)
		got, first := told(t, c, s)
		if want := "note  mirror: 1 packet in Ethernet in GRE, key 16777216, which has more than 24 bits\n"; !strings.Contains(got, want) || strings.Contains(got, "--vni 16777216") {
			t.Errorf("%s: it does not say %q:\n%s", row.name, want, got)
		}
		if first != row.first {
			t.Errorf("%s: the first remedy is %q, want %q", row.name, first, row.first)
		}
	}
}

func TestCommandOfAMirror(t *testing.T) {
	for want, m := range map[string]wire.Mirror{
		"netmirror --iface eth0": {},
		"netmirror --iface eth0 --mirror-port 4789 --mirror-port 6081": {Ports: []uint16{4789, 6081}},
		"netmirror --iface eth0 --encap none":                          {Encap: wire.EncapNone},
		"netmirror --iface eth0 --encap geneve --mirror-port 7000":     {Encap: wire.EncapGeneve, Ports: []uint16{7000}},
	} {
		c := testConfig(nil, 0)
		c.Mirror = m
		if got := c.command(); got != want {
			t.Errorf("command is %s, want %s", got, want)
		}
	}
	for want, name := range map[string]string{"netmirror --capture udp --vni 7": "", "netmirror --capture udp --iface eth0 --vni 7": "eth0"} {
		c := testConfig([]uint32{7}, 0)
		c.Interface, c.Sockets = name, true
		if got := c.command(); got != want {
			t.Errorf("command is %s, want %s", got, want)
		}
	}
}

// What the settings file says is left to it, as long as it is so.
func TestCommandWithAFile(t *testing.T) {
	c := testConfig([]uint32{7}, 80)
	c.Args = []string{"--config", "a b.conf"}
	c.File = map[string][]string{"iface": {"eth0"}, "vni": {"7"}, "port": {"80"}, "encap": {"geneve"}, "mirror-port": {"6081"}}
	c.Mirror = wire.Mirror{Encap: wire.EncapGeneve, Ports: []uint16{6081}}
	if got, want := c.command(), "netmirror --config 'a b.conf'"; got != want {
		t.Errorf("command is %s, want %s", got, want)
	}
	c.VNIs, c.Interface, c.Mirror = []uint32{8}, "eth1", wire.Mirror{Ports: []uint16{8472}}
	if got, want := c.command(), "netmirror --iface eth1 --encap auto --mirror-port 8472 --vni 8 --config 'a b.conf'"; got != want {
		t.Errorf("command is %s, want %s", got, want)
	}
}
