package defrag

import (
	"net"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

const (
	v4 = layers.EthernetTypeIPv4
	v6 = layers.EthernetTypeIPv6
)

var (
	monMAC  = net.HardwareAddr{2, 0, 0, 0, 0, 1}
	peerMAC = net.HardwareAddr{2, 0, 0, 0, 0, 2}
	mon4    = net.IPv4(10, 9, 0, 1)
	peer4   = net.IPv4(10, 9, 0, 2)
	mon6    = net.ParseIP("fd09::1")
	peer6   = net.ParseIP("fd09::2")
)

// Extension headers of IPv6, by hand (RFC 8200, section 4).
var (
	hopByHop   = func(next byte) []byte { return []byte{next, 0, 1, 4, 0, 0, 0, 0} } // PadN
	fragHeader = func(next byte, offset int, more bool) []byte {
		h := []byte{next, 0, byte(offset >> 8), byte(offset), 0, 0, 0, 7}
		if more {
			h[3] |= 1
		}
		return h
	}
)

// must fails the test for an error.
func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// ether is the Ethernet header of test packets, with VLAN tags of these types.
func ether(ip layers.EthernetType, tags ...layers.EthernetType) []gopacket.SerializableLayer {
	types := append(tags, ip)
	all := []gopacket.SerializableLayer{
		&layers.Ethernet{SrcMAC: peerMAC, DstMAC: monMAC, EthernetType: types[0]},
	}
	for i := range tags {
		all = append(all, &layers.Dot1Q{VLANIdentifier: uint16(100 + i), Type: types[i+1]})
	}
	return all
}

// ip4 is an IPv4 header from peer to mon.
func ip4(edit func(*layers.IPv4)) *layers.IPv4 {
	h := &layers.IPv4{
		Version: 4, IHL: 5, TTL: 64, Protocol: layers.IPProtocolUDP,
		SrcIP: peer4, DstIP: mon4,
	}
	if edit != nil {
		edit(h)
	}
	return h
}

// ip6 is an IPv6 header from peer to mon.
func ip6(next layers.IPProtocol) *layers.IPv6 {
	return &layers.IPv6{Version: 6, HopLimit: 64, NextHeader: next, SrcIP: peer6, DstIP: mon6}
}

// udpTo is a UDP header without a checksum, as mirrors send it.
func udpTo(port int) *layers.UDP {
	return &layers.UDP{SrcPort: 49152, DstPort: layers.UDPPort(port)}
}

// packet serialises layers; a []byte is payload.
func packet(t testing.TB, parts ...any) []byte {
	t.Helper()
	var all []gopacket.SerializableLayer
	for _, p := range parts {
		switch p := p.(type) {
		case []gopacket.SerializableLayer:
			all = append(all, p...)
		case gopacket.SerializableLayer:
			all = append(all, p)
		case []byte:
			all = append(all, gopacket.Payload(p))
		default:
			t.Fatalf("%T is no layer", p)
		}
	}
	buf := gopacket.NewSerializeBuffer()
	// Header checksums in IPv4 only: the transport has no network layer set.
	for i := len(all) - 1; i >= 0; i-- {
		_, ip := all[i].(*layers.IPv4)
		opts := gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: ip}
		must(t, all[i].SerializeTo(buf, opts))
	}
	return append([]byte(nil), buf.Bytes()...)
}

// mirrored is a whole mirror packet over IPv4.
func mirrored(t testing.TB, payload []byte) []byte {
	t.Helper()
	return packet(t, ether(layers.EthernetTypeIPv4), ip4(nil), udpTo(4789), payload)
}

// payloadOf is the UDP payload of a frame, read by gopacket.
func payloadOf(t testing.TB, frame []byte) []byte {
	t.Helper()
	p := gopacket.NewPacket(frame, layers.LayerTypeEthernet, gopacket.Default)
	u, ok := p.Layer(layers.LayerTypeUDP).(*layers.UDP)
	if !ok {
		t.Fatalf("no UDP in %v", p)
	}
	return u.Payload
}
