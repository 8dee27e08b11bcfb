package decap_test

import (
	"encoding/binary"
	"net"
	"slices"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"netmirror/decap"
	"netmirror/service"
	"netmirror/service/servicetest"
)

const (
	testVNI    = 42
	testPort   = 8080
	clientPort = 54321
)

// Offsets in the frame that encap and encap6 make around an inner frame.
const (
	atOuterIP   = 14
	atOuterUDP  = atOuterIP + 20
	atVXLAN     = atOuterUDP + 8
	atInnerEth  = atVXLAN + 8
	atInnerIP   = atInnerEth + 14
	atInnerTCP  = atInnerIP + 20 // behind an inner IPv4 header
	atOuterUDP6 = atOuterIP + 40
	atInnerIP6  = atOuterUDP6 + 8 + 8 + 14
)

var (
	macA = net.HardwareAddr{2, 0, 0, 0, 0, 1}
	macB = net.HardwareAddr{2, 0, 0, 0, 0, 2}
)

// serialize has gopacket write the layers, lengths and checksums included. A
// []byte is taken as it is.
func serialize(tb testing.TB, parts ...any) []byte {
	tb.Helper()
	var ls []gopacket.SerializableLayer
	for _, p := range parts {
		if b, ok := p.([]byte); ok {
			p = gopacket.Payload(b)
		}
		ls = append(ls, p.(gopacket.SerializableLayer))
	}
	buf := gopacket.NewSerializeBuffer()
	opts := gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}
	if err := gopacket.SerializeLayers(buf, opts, ls...); err != nil {
		tb.Fatal(err)
	}
	return slices.Clip(slices.Clone(buf.Bytes()))
}

func eth(t layers.EthernetType) *layers.Ethernet {
	return &layers.Ethernet{SrcMAC: macA, DstMAC: macB, EthernetType: t}
}

func ip4(p layers.IPProtocol) *layers.IPv4 {
	return &layers.IPv4{Version: 4, TTL: 64, Protocol: p, Flags: layers.IPv4DontFragment,
		SrcIP: net.IPv4(10, 0, 0, 1), DstIP: net.IPv4(10, 0, 0, 2)}
}

func ip6(p layers.IPProtocol) *layers.IPv6 {
	return &layers.IPv6{Version: 6, HopLimit: 64, NextHeader: p,
		SrcIP: net.ParseIP("fd00::1"), DstIP: net.ParseIP("fd00::2")}
}

// tcp is a segment with timestamps: a header of 32 bytes.
func tcp(ip gopacket.NetworkLayer, src, dst layers.TCPPort) *layers.TCP {
	t := &layers.TCP{SrcPort: src, DstPort: dst, Seq: 1000, Ack: 2000, ACK: true, PSH: true, Window: 512,
		Options: []layers.TCPOption{{OptionType: layers.TCPOptionKindNop}, {OptionType: layers.TCPOptionKindNop},
			{OptionType: layers.TCPOptionKindTimestamps, OptionLength: 10, OptionData: make([]byte, 8)}}}
	if err := t.SetNetworkLayerForChecksum(ip); err != nil {
		panic(err)
	}
	return t
}

func udp(ip gopacket.NetworkLayer, dst layers.UDPPort) *layers.UDP {
	u := &layers.UDP{SrcPort: 49152, DstPort: dst}
	if err := u.SetNetworkLayerForChecksum(ip); err != nil {
		panic(err)
	}
	return u
}

func vxlan(vni uint32) *layers.VXLAN {
	return &layers.VXLAN{ValidIDFlag: true, VNI: vni}
}

var request = []byte("GET / HTTP/1.1\r\nHost: ab\r\n\r\n")

// packet4 is an IPv4 TCP packet of 20+32+len(payload) bytes.
func packet4(tb testing.TB, src, dst layers.TCPPort, payload []byte) []byte {
	ip := ip4(layers.IPProtocolTCP)
	return serialize(tb, ip, tcp(ip, src, dst), payload)
}

// packet6 is an IPv6 TCP packet of 40+32+len(payload) bytes.
func packet6(tb testing.TB, src, dst layers.TCPPort, payload []byte) []byte {
	ip := ip6(layers.IPProtocolTCP)
	return serialize(tb, ip, tcp(ip, src, dst), payload)
}

// encap wraps an inner frame in VXLAN over UDP over IPv4.
func encap(tb testing.TB, innerFrame []byte) []byte {
	ip := ip4(layers.IPProtocolUDP)
	return serialize(tb, eth(layers.EthernetTypeIPv4), ip, udp(ip, 4789), vxlan(testVNI), innerFrame)
}

// encap6 wraps an inner frame in VXLAN over UDP over IPv6.
func encap6(tb testing.TB, innerFrame []byte) []byte {
	ip := ip6(layers.IPProtocolUDP)
	return serialize(tb, eth(layers.EthernetTypeIPv6), ip, udp(ip, 4789), vxlan(testVNI), innerFrame)
}

// frame4 and frame6 are inner Ethernet frames.
func frame4(tb testing.TB, packet []byte) []byte {
	return serialize(tb, eth(layers.EthernetTypeIPv4), packet)
}

func frame6(tb testing.TB, packet []byte) []byte {
	return serialize(tb, eth(layers.EthernetTypeIPv6), packet)
}

// ours4 and ours6 are whole captured frames with a request to our service.
func ours4(tb testing.TB) []byte {
	return encap(tb, frame4(tb, packet4(tb, clientPort, testPort, request)))
}

func ours6(tb testing.TB) []byte {
	return encap6(tb, frame6(tb, packet6(tb, clientPort, testPort, request)))
}

// set gives a copy of b with the bytes from at on overwritten.
func set(b []byte, at int, with ...byte) []byte {
	b = slices.Clip(slices.Clone(b))
	if copy(b[at:], with) != len(with) {
		panic("set beyond the end")
	}
	return b
}

func set16(b []byte, at int, v uint16) []byte {
	return set(b, at, byte(v>>8), byte(v))
}

// splice gives a copy of b with bytes inserted at an offset.
func splice(b []byte, at int, insert ...byte) []byte {
	return slices.Clip(slices.Concat(b[:at], insert, b[at:]))
}

// behindIPv6 puts extension headers, whose last names the protocol, behind the
// header of an IPv6 packet.
func behindIPv6(packet []byte, first byte, headers ...byte) []byte {
	b := splice(packet, 40, headers...)
	b[6] = first
	binary.BigEndian.PutUint16(b[4:], uint16(len(b)-40))
	return b
}

// toOne are the services of a packet to the one that there is.
var toOne = []service.ID{0}

func newDecoder(tb testing.TB) *decap.Decoder {
	tb.Helper()
	d, err := decap.New(decap.Config{Services: servicetest.Only(testPort, testVNI, 0, 1<<24-1)})
	if err != nil {
		tb.Fatal(err)
	}
	return d
}
