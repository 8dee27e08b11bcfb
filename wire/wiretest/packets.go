// Package wiretest makes packets for tests, with gopacket as the encoder.
package wiretest

import (
	"net"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// The EtherTypes of IP.
const (
	V4 = layers.EthernetTypeIPv4
	V6 = layers.EthernetTypeIPv6
)

// The addresses of two hosts: mon, at which the mirror's packets arrive, and peer,
// which sends them.
var (
	MonMAC  = net.HardwareAddr{2, 0, 0, 0, 0, 1}
	PeerMAC = net.HardwareAddr{2, 0, 0, 0, 0, 2}
	Mon4    = net.IPv4(10, 9, 0, 1)
	Peer4   = net.IPv4(10, 9, 0, 2)
	Mon6    = net.ParseIP("fd09::1")
	Peer6   = net.ParseIP("fd09::2")
)

// HopByHop is hop-by-hop options of 8 bytes, all padding (RFC 8200, section 4.3).
func HopByHop(next byte) []byte { return []byte{next, 0, 1, 4, 0, 0, 0, 0} }

// FragHeader is an IPv6 fragment header (RFC 8200, section 4.5), of the
// identification 7.
func FragHeader(next byte, offset int, more bool) []byte {
	h := []byte{next, 0, byte(offset >> 8), byte(offset), 0, 0, 0, 7}
	if more {
		h[3] |= 1
	}
	return h
}

// Must fails the test for an error.
func Must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Ether is the Ethernet header of test packets, with VLAN tags of these types.
func Ether(ip layers.EthernetType, tags ...layers.EthernetType) []gopacket.SerializableLayer {
	types := append(tags, ip)
	all := []gopacket.SerializableLayer{
		&layers.Ethernet{SrcMAC: PeerMAC, DstMAC: MonMAC, EthernetType: types[0]},
	}
	for i := range tags {
		all = append(all, &layers.Dot1Q{VLANIdentifier: uint16(100 + i), Type: types[i+1]})
	}
	return all
}

// IP4 is an IPv4 header from peer to mon.
func IP4(edit func(*layers.IPv4)) *layers.IPv4 {
	h := &layers.IPv4{
		Version: 4, IHL: 5, TTL: 64, Protocol: layers.IPProtocolUDP,
		SrcIP: Peer4, DstIP: Mon4,
	}
	if edit != nil {
		edit(h)
	}
	return h
}

// IP6 is an IPv6 header from peer to mon.
func IP6(next layers.IPProtocol) *layers.IPv6 {
	return &layers.IPv6{Version: 6, HopLimit: 64, NextHeader: next, SrcIP: Peer6, DstIP: Mon6}
}

// UDPTo is a UDP header without a checksum, as mirrors send it.
func UDPTo(port int) *layers.UDP {
	return &layers.UDP{SrcPort: 49152, DstPort: layers.UDPPort(port)}
}

// Packet serializes layers; a []byte is payload.
func Packet(t testing.TB, parts ...any) []byte {
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
		Must(t, all[i].SerializeTo(buf, opts))
	}
	return append([]byte(nil), buf.Bytes()...)
}

// Serialize serializes layers with all lengths and checksums. A transport layer's checksum
// needs its network layer set.
func Serialize(t testing.TB, all ...gopacket.SerializableLayer) []byte {
	t.Helper()
	buf := gopacket.NewSerializeBuffer()
	Must(t, gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, all...))
	return append([]byte(nil), buf.Bytes()...)
}

// Mirrored is a whole mirror packet over IPv4.
func Mirrored(t testing.TB, payload []byte) []byte {
	t.Helper()
	return Packet(t, Ether(layers.EthernetTypeIPv4), IP4(nil), UDPTo(4789), payload)
}

// PayloadOf is the UDP payload of a frame, read by gopacket.
func PayloadOf(t testing.TB, frame []byte) []byte {
	t.Helper()
	p := gopacket.NewPacket(frame, layers.LayerTypeEthernet, gopacket.Default)
	u, ok := p.Layer(layers.LayerTypeUDP).(*layers.UDP)
	if !ok {
		t.Fatalf("no UDP in %v", p)
	}
	return u.Payload
}
