package decap_test

import (
	"encoding/binary"
	"slices"
	"testing"

	"github.com/google/gopacket/layers"

	"netmirror/decap"
)

// tagged puts VLAN tags, given by their EtherTypes, behind the addresses of an
// Ethernet frame.
func tagged(frame []byte, types ...uint16) []byte {
	var tags []byte
	for _, t := range types {
		tags = append(tags, byte(t>>8), byte(t), 0x20, 0x64) // priority 1, VLAN 100
	}
	return splice(frame, 12, tags...)
}

// big is a frame around an IP packet that offload made longer than a length
// field can say: zero length in the outer and inner headers, and the low 16
// bits of the length in UDP's. extra is the payload beyond 65535 bytes.
func big(tb testing.TB, outer6, inner6 bool, extra int) (frame []byte, at int) {
	payload := make([]byte, 0xffff+extra)
	wrap, in, at := encap, frame4(tb, packet4(tb, clientPort, testPort, nil)), atInnerIP
	if inner6 {
		in = frame6(tb, packet6(tb, clientPort, testPort, nil))
		binary.BigEndian.PutUint16(in[14+4:], 0)
	} else {
		binary.BigEndian.PutUint16(in[14+2:], 0)
	}
	outerLength, outerUDP := atOuterIP+2, atOuterUDP
	if outer6 {
		wrap, at, outerLength, outerUDP = encap6, atInnerIP6, atOuterIP+4, atOuterUDP6
	}
	frame = slices.Clip(slices.Concat(wrap(tb, in), payload))
	binary.BigEndian.PutUint16(frame[outerLength:], 0)
	binary.BigEndian.PutUint16(frame[outerUDP+4:], uint16(len(frame)-outerUDP))
	return frame, at
}

func TestOuterEthernet(t *testing.T) {
	frame := ours4(t)
	want := decap.Packet{VNI: testVNI, IP: frame[atInnerIP:], TCP: 20, To: toOne}
	testAccepted(t, []accepted{
		{"no tag", frame, want},
		{"802.1Q", tagged(frame, 0x8100), want},
		{"802.1ad", tagged(frame, 0x88a8), want},
		{"0x9100, from before 802.1ad", tagged(frame, 0x9100), want},
		{"QinQ", tagged(frame, 0x88a8, 0x8100), want},
		{"four tags", tagged(frame, 0x9100, 0x88a8, 0x8100, 0x8100), want},
	})
	testRefused(t, []refused{
		{"five tags", tagged(frame, 0x8100, 0x8100, 0x8100, 0x8100, 0x8100), decap.OuterTooDeep},
		{"ARP", set16(frame, 12, 0x0806), decap.OuterNotIP},
		{"ARP behind a tag", set16(tagged(frame, 0x8100), 16, 0x0806), decap.OuterNotIP},
		{"802.3 length instead of a type", set16(frame, 12, 60), decap.OuterNotIP},
		{"no bytes", nil, decap.OuterTruncated},
		{"13 bytes", frame[:13:13], decap.OuterTruncated},
		{"ARP, nothing behind the header", set16(frame, 12, 0x0806)[:14:14], decap.OuterNotIP},
		{"ARP, nothing behind the tag", set16(tagged(frame, 0x8100), 16, 0x0806)[:18:18], decap.OuterNotIP},
		{"cut in a tag", tagged(frame, 0x8100)[:17:17], decap.OuterTruncated},
	})
}

func TestOuterIPv4(t *testing.T) {
	frame := ours4(t)
	want := decap.Packet{VNI: testVNI, IP: frame[atInnerIP:], TCP: 20, To: toOne}
	ip := ip4(layers.IPProtocolUDP)
	ip.Options = []layers.IPv4Option{{OptionType: 148, OptionLength: 4, OptionData: []byte{0, 0}}} // router alert
	options := serialize(t, eth(layers.EthernetTypeIPv4), ip, udp(ip, 4789), vxlan(testVNI), frame[atInnerEth:])
	testAccepted(t, []accepted{
		{"header options", options, want},
		{"a wrong header checksum is not ours to judge", set16(frame, atOuterIP+10, 0xdead), want},
		{"reserved bit and DF are no fragment", set(frame, atOuterIP+6, 0xc0), want},
		{"bytes behind the IP length", slices.Concat(frame, make([]byte, 9)), want},
	})
	testRefused(t, []refused{
		{"version 5", set(frame, atOuterIP, 0x55), decap.OuterMalformed},
		{"IPv6 under the EtherType of IPv4", set(frame, atOuterIP, 0x65), decap.OuterMalformed},
		{"header of 16 bytes", set(frame, atOuterIP, 0x44), decap.OuterMalformed},
		{"length below the header's", set16(frame, atOuterIP+2, 19), decap.OuterMalformed},
		{"length that leaves no room for UDP", set16(frame, atOuterIP+2, 27), decap.OuterMalformed},
		{"first fragment", set(frame, atOuterIP+6, 0x20, 0), decap.OuterFragment},
		{"middle fragment", set(frame, atOuterIP+6, 0x20, 1), decap.OuterFragment},
		{"last fragment", set(frame, atOuterIP+6, 0x1f, 0xff), decap.OuterFragment},
		{"TCP", set(frame, atOuterIP+9, 6), decap.OuterNotUDP},
		{"fragment of TCP", set(set(frame, atOuterIP+6, 0x20, 0), atOuterIP+9, 6), decap.OuterNotUDP},
		{"cut in the header", frame[: atOuterIP+19 : atOuterIP+19], decap.OuterTruncated},
		{"cut in the options", options[: atOuterIP+21 : atOuterIP+21], decap.OuterTruncated},
	})
}

func TestOuterIPv6(t *testing.T) {
	frame := ours6(t)
	want := decap.Packet{VNI: testVNI, IP: frame[atInnerIP6:], TCP: 40, To: toOne}
	with := func(first byte, headers ...byte) []byte {
		return slices.Concat(frame[:atOuterIP], behindIPv6(frame[atOuterIP:], first, headers...))
	}
	hop := []byte{17, 0, 5, 2, 0, 0, 1, 0} // router alert, padding
	dest := slices.Concat([]byte{17, 1, 1, 12}, make([]byte, 12))
	routing := slices.Concat([]byte{17, 2, 0, 0, 0, 0, 0, 0}, make([]byte, 16))
	ah := slices.Concat([]byte{17, 4}, make([]byte, 22)) // (4+2) words of 4 bytes
	fragment := func(next, high, low byte) []byte { return []byte{next, 0xff, high, low, 1, 2, 3, 4} }
	chain := slices.Concat(set(hop, 0, 60), set(dest, 0, 43), set(routing, 0, 44), fragment(51, 0, 0), ah)
	pads := func(n int) []byte {
		return slices.Concat(slices.Repeat([]byte{60, 0, 1, 4, 0, 0, 0, 0}, n-1), []byte{17, 0, 1, 4, 0, 0, 0, 0})
	}
	testAccepted(t, []accepted{
		{"no extension header", frame, want},
		{"hop-by-hop options", with(0, hop...), want},
		{"destination options", with(60, dest...), want},
		{"routing header", with(43, routing...), want},
		{"authentication header", with(51, ah...), want},
		{"atomic fragment, its reserved bits set", with(44, fragment(17, 0, 6)...), want},
		{"all of them", with(0, chain...), want},
		{"eight headers", with(60, pads(8)...), want},
	})
	testRefused(t, []refused{
		{"nine headers", with(60, pads(9)...), decap.OuterTooDeep},
		{"version 4", set(frame, atOuterIP, 0x45), decap.OuterMalformed},
		{"payload length that leaves no room for UDP", set16(frame, atOuterIP+4, 7), decap.OuterMalformed},
		{"payload length that ends in an extension header", set16(with(43, routing...), atOuterIP+4, 20), decap.OuterMalformed},
		{"payload length that ends before one", set16(with(60, pads(2)...), atOuterIP+4, 8), decap.OuterMalformed},
		{"first fragment", with(44, fragment(17, 0, 1)...), decap.OuterFragment},
		{"last fragment", with(44, fragment(17, 0, 8)...), decap.OuterFragment},
		{"fragment of what may be UDP", with(44, fragment(60, 0, 1)...), decap.OuterFragment},
		{"fragment of TCP", with(44, fragment(6, 0, 1)...), decap.OuterNotUDP},
		{"TCP", set(frame, atOuterIP+6, 6), decap.OuterNotUDP},
		{"no next header", set(frame, atOuterIP+6, 59), decap.OuterNotUDP},
		{"TCP behind an extension header", with(0, set(hop, 0, 6)...), decap.OuterNotUDP},
		{"cut in the header", frame[: atOuterIP+39 : atOuterIP+39], decap.OuterTruncated},
		{"cut before an extension header", with(43, routing...)[: atOuterIP+40 : atOuterIP+40], decap.OuterTruncated},
		{"cut in an extension header", with(43, routing...)[: atOuterIP+50 : atOuterIP+50], decap.OuterTruncated},
	})
}

func TestOuterUDP(t *testing.T) {
	frame := ours4(t)
	want := decap.Packet{VNI: testVNI, IP: frame[atInnerIP:], TCP: 20, To: toOne}
	cut := want
	cut.IP, cut.Truncated = frame[atInnerIP:len(frame)-5], true
	length := uint16(len(frame) - atOuterUDP)
	testAccepted(t, []accepted{
		{"checksum 0 is normal", set16(frame, atOuterUDP+6, 0), want},
		{"a wrong checksum is never looked at", set16(frame, atOuterUDP+6, 0xdead), want},
		{"length beyond the IP payload", set16(frame, atOuterUDP+4, length+100), want},
		{"IP length beyond the frame", set16(frame, atOuterIP+2, 1500), want},
		{"both lengths right, the frame cut", frame[:len(frame)-5], cut},
		{"UDP length bounds the inner packet", set16(frame, atOuterUDP+4, length-5), cut},
		{"IP length bounds the inner packet", set16(frame, atOuterIP+2, length+20-5), cut},
	})
	testRefused(t, []refused{
		{"source port 4789 only", set16(set16(frame, atOuterUDP, 4789), atOuterUDP+2, 53), decap.OtherUDPPort},
		{"length 7", set16(frame, atOuterUDP+4, 7), decap.OuterMalformed},
		{"length 0", set16(frame, atOuterUDP+4, 0), decap.OuterMalformed},
		{"length 8: nothing inside", set16(frame, atOuterUDP+4, 8), decap.VXLANTruncated},
		{"cut in the header", frame[: atOuterUDP+7 : atOuterUDP+7], decap.OuterTruncated},
		{"cut in a header that ends the IP packet", set16(frame, atOuterIP+2, 28)[: atOuterUDP+7 : atOuterUDP+7], decap.OuterTruncated},
		{"cut behind the header", frame[: atOuterUDP+8 : atOuterUDP+8], decap.VXLANTruncated},
	})
}

// jumbo is how a packet socket on Linux 6.18 shows a BIG TCP packet over IPv6:
// with the jumbo payload option (RFC 2675) in front of TCP.
func jumbo(tb testing.TB) accepted {
	segment := packet6(tb, clientPort, testPort, make([]byte, 400))
	option := []byte{6, 0, 0xc2, 4, 0, 1, 0x86, 0xa0} // 100000 bytes
	packet := slices.Concat(behindIPv6(segment, 0, option...), make([]byte, 100000-32-400-8))
	binary.BigEndian.PutUint16(packet[4:], 0)
	frame := slices.Concat(encap(tb, frame6(tb, packet[:500])), packet[500:])
	binary.BigEndian.PutUint16(frame[atOuterIP+2:], 0)
	binary.BigEndian.PutUint16(frame[atOuterUDP+4:], uint16(len(frame)-atOuterUDP))
	return accepted{"jumbo payload option", frame, decap.Packet{VNI: testVNI, IP: packet, TCP: 48, To: toOne}}
}

// TestOffloadedBeyondTheLengthField: what Linux hands to a packet socket when
// BIG TCP or the encapsulation takes an offloaded packet past 65535 bytes.
func TestOffloadedBeyondTheLengthField(t *testing.T) {
	var rows []accepted
	for _, outer6 := range []bool{false, true} {
		for _, inner6 := range []bool{false, true} {
			frame, at := big(t, outer6, inner6, 100)
			name, want := "outer IPv4", decap.Packet{VNI: testVNI, IP: frame[at:], TCP: 20, To: toOne}
			if outer6 {
				name = "outer IPv6"
			}
			if inner6 {
				name, want.TCP = name+", inner IPv6", 40
			} else {
				name += ", inner IPv4"
			}
			udp := at - 14 - 8 - 8
			rows = append(rows, accepted{name, frame, want},
				accepted{name + ", UDP length 0", set16(frame, udp+4, 0), want})
		}
	}
	frame := slices.Concat(encap(t, frame4(t, packet4(t, clientPort, testPort, make([]byte, 65480)))))
	binary.BigEndian.PutUint16(frame[atOuterIP+2:], 0)
	binary.BigEndian.PutUint16(frame[atOuterUDP+4:], uint16(len(frame)-atOuterUDP))
	rows = append(rows, accepted{"only the outer length overflowed", frame,
		decap.Packet{VNI: testVNI, IP: frame[atInnerIP:], TCP: 20, To: toOne}})
	rows = append(rows, jumbo(t))
	testAccepted(t, rows)
}

// setUDP6 gives a copy of a frame over IPv6 with this UDP length.
func setUDP6(frame []byte, length uint16) []byte { return set16(frame, atOuterUDP6+4, length) }

// TestOuterLengthZero: where the outer IP length is 0, UDP's counts, if it is one,
// else the frame's.
func TestOuterLengthZero(t *testing.T) {
	v4, v6 := set16(ours4(t), atOuterIP+2, 0), set16(ours6(t), atOuterIP+4, 0)
	want4 := decap.Packet{VNI: testVNI, IP: v4[atInnerIP:], TCP: 20, To: toOne}
	want6 := decap.Packet{VNI: testVNI, IP: v6[atInnerIP6:], TCP: 40, To: toOne}
	cut := want4
	cut.IP, cut.Truncated = want4.IP[:len(want4.IP)-5], true
	both := set16(v4, atInnerIP+2, 0)
	bothCut := decap.Packet{VNI: testVNI, IP: both[atInnerIP : len(both)-5], TCP: 20, To: toOne, Truncated: true}
	padded := slices.Concat(both, make([]byte, 9))
	testAccepted(t, []accepted{
		{"IPv4", v4, want4},
		{"IPv6", v6, want6},
		{"IPv4, UDP length 0", set16(v4, atOuterUDP+4, 0), want4},
		{"IPv6, UDP length 0", setUDP6(v6, 0), want6},
		{"the UDP length bounds the inner packet", set16(v4, atOuterUDP+4, uint16(len(v4)-atOuterUDP-5)), cut},
		{"UDP length beyond the frame, which was cut", both[: len(both)-5 : len(both)-5], bothCut},
		{"all lengths 0 but UDP's, and bytes behind it", padded, decap.Packet{VNI: testVNI, IP: both[atInnerIP:], TCP: 20, To: toOne}},
	})
	testRefused(t, []refused{
		{"UDP length 7", set16(v4, atOuterUDP+4, 7), decap.OuterMalformed},
		{"UDP length 0 with an IP length", set16(ours4(t), atOuterUDP+4, 0), decap.OuterMalformed},
		{"60 bytes, of which some may be padding", set16(encap(t, make([]byte, 10)), atOuterIP+2, 0), decap.OuterMalformed},
	})
}
