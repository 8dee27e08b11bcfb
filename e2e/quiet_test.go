package e2e

import (
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"netmirror/e2e/lab"
)

// neighborly says whether a packet is what any host sends on its own to stay
// reachable: ARP, IPv6 neighbor discovery, multicast listener reports.
func neighborly(packet []byte) bool {
	p := gopacket.NewPacket(packet, layers.LayerTypeEthernet, gopacket.NoCopy)
	if p.Layer(layers.LayerTypeARP) != nil {
		return true
	}
	icmp, _ := p.Layer(layers.LayerTypeICMPv6).(*layers.ICMPv6)
	if icmp == nil {
		return false
	}
	switch icmp.TypeCode.Type() {
	case layers.ICMPv6TypeNeighborSolicitation, layers.ICMPv6TypeNeighborAdvertisement,
		layers.ICMPv6TypeMLDv1MulticastListenerReportMessage, layers.ICMPv6TypeMLDv1MulticastListenerDoneMessage,
		layers.ICMPv6TypeMLDv2MulticastListenerReportMessageV2:
		return true
	}
	return false
}

func TestNothingIsEverSentToTheMirror(t *testing.T) {
	for _, tt := range []struct {
		name string
		opts lab.Options
	}{
		{"over IPv4", lab.Options{BothDirections: true}},
		{"over IPv6", lab.Options{OuterIPv6: true}},
		{"over IPv4, in fragments", lab.Options{MirrorMTU: 1500}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := set(t, tt.opts, nil)
			var sniffers []*lab.Sniffer
			for _, at := range []struct {
				n   *lab.Namespace
				dir lab.Direction
			}{{s.Mon, lab.Outgoing}, {s.Srv, lab.Incoming}} {
				sniffer, err := at.n.Sniff(lab.MirrorLink, at.dir)
				if err != nil {
					t.Fatal(err)
				}
				sniffers = append(sniffers, sniffer)
			}
			if err := mixed(s.ctx, s.client); err != nil {
				t.Fatalf("lab: %v", err)
			}
			if err := s.awaitForwarded(mixedConnections); err != nil {
				t.Error(err)
			}
			// Behind netmirror's end the kernel may answer again.
			for _, sniffer := range sniffers {
				if err := sniffer.Close(); err != nil {
					t.Error(err)
				}
				for _, packet := range sniffer.Packets() {
					if !neighborly(packet) {
						t.Errorf("sent: %v", gopacket.NewPacket(packet, layers.LayerTypeEthernet, gopacket.Default))
						break
					}
				}
			}
			s.compare(t)
		})
	}
}
