package corpus

import (
	"net"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"netmirror/wire/wiretest"
)

// inside are the ways in which a packet is further wrapped in the mirrored frame.
var inside = []struct {
	name string
	wrap func(ip []byte) []byte
}{
	{"QinQ and MPLS", func(ip []byte) []byte {
		return ether(layers.EthernetTypeQinQ, tag(100, layers.EthernetTypeDot1Q), tag(7, layers.EthernetTypeMPLSUnicast), label(16, false), label(17, true), ip)
	}},
	{"PPPoE", func(ip []byte) []byte {
		protocol := uint16(0x0021)
		if ip[0]>>4 == 6 {
			protocol = 0x0057
		}
		return ether(layers.EthernetTypePPPoESession, wiretest.PPPoE(protocol, ip))
	}},
	{"LLC/SNAP and a VLAN tag", func(ip []byte) []byte {
		return wiretest.SNAP(0x8100, ethernet(ip)[10:]) // two bytes of an address stand for the tag's value
	}},
	{"IP in IP", func(ip []byte) []byte { return ethernet(node(protocolOf(ip), ip)) }},
	{"GRE", func(ip []byte) []byte {
		return ethernet(node(layers.IPProtocolGRE, &layers.GRE{Protocol: layers.EthernetTypeTransparentEthernetBridging, KeyPresent: true, Key: 5}, ethernet(ip)))
	}},
	{"an overlay's VXLAN", func(ip []byte) []byte { return ethernet(overlay(8472, vxlan(1), ethernet(ip))) }},
	{"an overlay's GENEVE with options", func(ip []byte) []byte {
		return ethernet(overlay(6081, wiretest.Geneve(7, 0x6558, wiretest.AWSOptions...), ethernet(ip)))
	}},
	{"a VLAN tag, MPLS, IP in IP and an overlay's VXLAN", func(ip []byte) []byte {
		return ether(layers.EthernetTypeDot1Q, tag(100, layers.EthernetTypeMPLSUnicast), label(16, true),
			node(layers.IPProtocolIPv4, overlay(4789, vxlan(1), ethernet(ip))))
	}},
}

// layered are the scripts in which more than Ethernet is in front of the client's IP.
func layered() (scripts []script) {
	for _, in := range inside {
		scripts = append(scripts, script{"the service's packets are found in " + in.name, []shape{two, six, onePlain}, nil, func(s *scene) {
			s.wrap = func(ip []byte) [][]byte { return [][]byte{in.wrap(ip)} }
			lossy(s)
		}})
	}
	return append(scripts, script{"an overlay's packets in fragments are joined", []shape{two, onePlain}, nil, func(s *scene) {
		s.wrap = func(ip []byte) (all [][]byte) {
			for _, f := range fragments(overlay(8472, vxlan(1), ethernet(ip)), 800) {
				all = append(all, ethernet(f))
			}
			return all
		}
		c := s.open()
		large := post("/large", filler(1200))
		s.eof(c.request("/small") + c.sendAll(large, 1400) + c.requests("/behind"))
		c.close()
		s.counted("end_complete", 1)
	}})
}

// lossy plays a connection in which a packet is lost, and one in which none is.
func lossy(s *scene) {
	c := s.open()
	s.eof(c.requests("/a", "/b"))
	c.close()
	d := s.open()
	s.reset(d.request("/c"))
	d.next += uint32(len(get("/lost")))
	d.answered()
	s.wait(100 * time.Millisecond)
	s.eof(d.requests("/d", "/e"))
	d.close()
}

func vxlan(vni byte) []byte { return []byte{8, 0, 0, 0, 0, 0, vni, 0} }

func tag(id uint16, carries layers.EthernetType) *layers.Dot1Q {
	return &layers.Dot1Q{VLANIdentifier: id, Type: carries}
}

func label(value uint32, bottom bool) *layers.MPLS {
	return &layers.MPLS{Label: value, StackBottom: bottom, TTL: 64}
}

func protocolOf(ip []byte) layers.IPProtocol {
	if ip[0]>>4 == 6 {
		return layers.IPProtocolIPv6
	}
	return layers.IPProtocolIPv4
}

// node is an IPv4 packet between the hosts of an overlay network.
func node(carries layers.IPProtocol, parts ...any) []byte {
	return serialize(append([]any{&layers.IPv4{Version: 4, TTL: 64, Protocol: carries, Id: 1, SrcIP: net.IP{172, 16, 0, 1}, DstIP: net.IP{172, 16, 0, 2}}}, parts...)...)
}

// overlay is a datagram between them.
func overlay(port layers.UDPPort, parts ...any) []byte {
	return node(layers.IPProtocolUDP, append([]any{&layers.UDP{SrcPort: 50000, DstPort: port}}, parts...)...)
}

func ether(carries layers.EthernetType, parts ...any) []byte {
	return serialize(append([]any{&layers.Ethernet{SrcMAC: net.HardwareAddr{2, 0, 0, 0, 7, 1}, DstMAC: net.HardwareAddr{2, 0, 0, 0, 7, 2}, EthernetType: carries}}, parts...)...)
}

// serialize writes layers, and bytes as they are, without UDP checksums.
func serialize(parts ...any) []byte {
	buf := gopacket.NewSerializeBuffer()
	for i := len(parts) - 1; i >= 0; i-- {
		layer, ok := parts[i].(gopacket.SerializableLayer)
		if b, is := parts[i].([]byte); is {
			layer, ok = gopacket.Payload(b), true
		}
		_, ip := layer.(*layers.IPv4)
		if err := layer.SerializeTo(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: ip}); err != nil || !ok {
			panic(err) // the scripts are constant
		}
	}
	return buf.Bytes()
}
