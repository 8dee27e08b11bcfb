package decap_test

import (
	"encoding/binary"
	"fmt"
	"slices"
	"testing"

	"github.com/google/gopacket/layers"

	"netmirror/decap"
)

func TestInnerEthernet(t *testing.T) {
	packet := packet4(t, clientPort, testPort, request)
	frame := frame4(t, packet)
	want := decap.Packet{VNI: testVNI, IP: packet, TCP: 20, To: toOne}
	ack := packet4(t, clientPort, testPort, nil)
	padded := slices.Concat(frame4(t, ack), []byte("padding that must go"))
	testAccepted(t, []accepted{
		{"802.1Q", encap(t, tagged(frame, 0x8100)), want},
		{"QinQ", encap(t, tagged(frame, 0x88a8, 0x8100)), want},
		{"four tags", encap(t, tagged(frame, 0x9100, 0x9100, 0x8100, 0x8100)), want},
		{"padding is cut off", encap(t, padded), decap.Packet{VNI: testVNI, IP: ack, TCP: 20, To: toOne}},
		{"padding is cut off IPv6", encap6(t, slices.Concat(frame6(t, packet6(t, clientPort, testPort, nil)), make([]byte, 7))),
			decap.Packet{VNI: testVNI, IP: packet6(t, clientPort, testPort, nil), TCP: 40, To: toOne}},
	})
	testRefused(t, []refused{
		{"five tags", encap(t, tagged(frame, 0x8100, 0x8100, 0x8100, 0x8100, 0x8100)), decap.InnerTooDeep},
		{"ARP", encap(t, set16(frame, 12, 0x0806)), decap.InnerNotIP},
		{"nothing inside", encap(t, nil), decap.InnerTruncated},
		{"13 bytes", encap(t, frame[:13]), decap.InnerTruncated},
		{"cut in a tag", encap(t, tagged(frame, 0x8100)[:17]), decap.InnerTruncated},
	})
}

func TestInnerIPv4(t *testing.T) {
	frame := ours4(t)
	want := decap.Packet{VNI: testVNI, IP: frame[atInnerIP:], TCP: 20, To: toOne}
	ip := ip4(layers.IPProtocolTCP)
	ip.Options = []layers.IPv4Option{{OptionType: 148, OptionLength: 4, OptionData: []byte{0, 0}}}
	packet := serialize(t, ip, tcp(ip, clientPort, testPort), request)
	withOptions := encap(t, frame4(t, packet))
	checksum := set16(frame, atInnerIP+10, 0)
	evil := set(frame, atInnerIP+6, 0xc0)
	testAccepted(t, []accepted{
		{"in IPv6", encap6(t, frame[atInnerEth:]), want},
		{"header options", withOptions, decap.Packet{VNI: testVNI, IP: packet, TCP: 24, To: toOne}},
		{"the header checksum is not ours to judge", checksum,
			decap.Packet{VNI: testVNI, IP: checksum[atInnerIP:], TCP: 20, To: toOne}},
		{"reserved bit and DF are no fragment", evil, decap.Packet{VNI: testVNI, IP: evil[atInnerIP:], TCP: 20, To: toOne}},
	})
	testRefused(t, []refused{
		{"version 6 under the EtherType of IPv4", set(frame, atInnerIP, 0x65), decap.InnerMalformed},
		{"header of 16 bytes", set(frame, atInnerIP, 0x44), decap.InnerMalformed},
		{"length below the header's", set16(frame, atInnerIP+2, 19), decap.InnerMalformed},
		{"first fragment", set(frame, atInnerIP+6, 0x20, 0), decap.InnerFragment},
		{"last fragment", set(frame, atInnerIP+6, 0, 1), decap.InnerFragment},
		{"UDP", set(frame, atInnerIP+9, 17), decap.InnerNotTCP},
		{"ICMP", set(frame, atInnerIP+9, 1), decap.InnerNotTCP},
		{"fragment of UDP", set(set(frame, atInnerIP+6, 0x20, 0), atInnerIP+9, 17), decap.InnerNotTCP},
		{"cut in the header", frame[: atInnerIP+19 : atInnerIP+19], decap.InnerTruncated},
		{"cut in the options", withOptions[: atInnerIP+23 : atInnerIP+23], decap.InnerTruncated},
	})
}

func TestInnerIPv6(t *testing.T) {
	packet := packet6(t, clientPort, testPort, request)
	frame := ours6(t)
	hop := []byte{6, 0, 1, 4, 0, 0, 0, 0}
	dest := slices.Concat([]byte{6, 1, 1, 12}, make([]byte, 12))
	routing := []byte{6, 0, 0, 0, 0, 0, 0, 0}
	atomic := []byte{6, 0, 0, 0, 1, 2, 3, 4}
	ah := slices.Concat([]byte{6, 4}, make([]byte, 22))
	chain := slices.Concat(set(hop, 0, 60), set(dest, 0, 43), set(routing, 0, 44), set(atomic, 0, 51), ah)
	row := func(name string, first byte, headers ...byte) accepted {
		p := behindIPv6(packet, first, headers...)
		return accepted{name, encap(t, frame6(t, p)), decap.Packet{VNI: testVNI, IP: p, TCP: 40 + len(headers), To: toOne}}
	}
	testAccepted(t, []accepted{
		row("no extension header", 6),
		row("hop-by-hop options", 0, hop...),
		row("destination options", 60, dest...),
		row("routing header", 43, routing...),
		row("atomic fragment", 44, atomic...),
		row("authentication header", 51, ah...),
		row("all of them", 0, chain...),
		{"in IPv6", frame, decap.Packet{VNI: testVNI, IP: packet, TCP: 40, To: toOne}},
	})
	with := func(first byte, headers ...byte) []byte {
		return encap(t, frame6(t, behindIPv6(packet, first, headers...)))
	}
	pads := slices.Repeat([]byte{60, 0, 1, 4, 0, 0, 0, 0}, 9)
	testRefused(t, []refused{
		{"version 4 under the EtherType of IPv6", set(frame, atInnerIP6, 0x45), decap.InnerMalformed},
		{"payload length that ends in an extension header", set16(with(60, dest...), atInnerIP+4, 12), decap.InnerMalformed},
		{"nine headers", with(60, pads...), decap.InnerTooDeep},
		{"first fragment", with(44, set(atomic, 3, 1)...), decap.InnerFragment},
		{"last fragment", with(44, set(atomic, 3, 8)...), decap.InnerFragment},
		{"fragment of UDP", with(44, set(set(atomic, 3, 1), 0, 17)...), decap.InnerNotTCP},
		{"ICMPv6", set(frame, atInnerIP6+6, 58), decap.InnerNotTCP},
		{"encrypted", with(60, set(dest, 0, 50)...), decap.InnerNotTCP},
		{"no next header and payload length 0", set(frame, atInnerIP6+4, 0, 0, 59), decap.InnerNotTCP},
		{"cut in the header", frame[: atInnerIP6+39 : atInnerIP6+39], decap.InnerTruncated},
		{"cut behind the header", frame[: atInnerIP6+40 : atInnerIP6+40], decap.TCPTruncated},
		{"cut in an extension header", with(60, dest...)[: atInnerIP+50 : atInnerIP+50], decap.InnerTruncated},
	})
}

// TestInnerLengthZero: segmentation offload leaves 0 in the length field, so that
// the frame says how long the packet is. Only a frame that Ethernet may have
// padded does not.
func TestInnerLengthZero(t *testing.T) {
	zero4 := func(size int) []byte { return set16(packet4(t, clientPort, testPort, make([]byte, size-52)), 2, 0) }
	zero6 := func(size int) []byte { return set16(packet6(t, clientPort, testPort, make([]byte, size-72)), 4, 0) }
	var rows []accepted
	for _, size := range []int{53, 74, 1500, 2960, 65000} {
		rows = append(rows, accepted{fmt.Sprintf("IPv4 of %d bytes", size), encap(t, frame4(t, zero4(size))),
			decap.Packet{VNI: testVNI, IP: zero4(size), TCP: 20, To: toOne}})
	}
	for _, size := range []int{73, 1500, 2960, 65000} {
		rows = append(rows, accepted{fmt.Sprintf("IPv6 of %d bytes", size), encap6(t, frame6(t, zero6(size))),
			decap.Packet{VNI: testVNI, IP: zero6(size), TCP: 40, To: toOne}})
	}
	for _, size := range []int{65535, 65536, 70000} {
		frame, at := big(t, true, false, 10000)
		frame = frame[: at+size : at+size]
		rows = append(rows, accepted{fmt.Sprintf("IPv4 of %d bytes", size), setUDP6(frame, 0),
			decap.Packet{VNI: testVNI, IP: frame[at:], TCP: 20, To: toOne}})
		frame, at = big(t, true, true, 10000)
		frame = frame[: at+size : at+size]
		rows = append(rows, accepted{fmt.Sprintf("IPv6 of %d bytes", size), setUDP6(frame, 0),
			decap.Packet{VNI: testVNI, IP: frame[at:], TCP: 40, To: toOne}})
	}
	hop := behindIPv6(packet6(t, clientPort, testPort, make([]byte, 2000)), 0, 6, 0, 1, 4, 0, 0, 0, 0)
	rows = append(rows, accepted{"IPv6 with options", encap(t, frame6(t, set16(hop, 4, 0))),
		decap.Packet{VNI: testVNI, IP: set16(hop, 4, 0), TCP: 48, To: toOne}})
	cut := encap(t, frame4(t, zero4(3000)))
	rows = append(rows, accepted{"cut, by the outer lengths", cut[: len(cut)-1 : len(cut)-1],
		decap.Packet{VNI: testVNI, IP: zero4(3000)[:2999], TCP: 20, To: toOne, Truncated: true}})
	testAccepted(t, rows)
}

// A frame of 60 bytes may end in padding; a larger one does not.
func TestInnerLengthZeroInAPaddedFrame(t *testing.T) {
	ip := ip4(layers.IPProtocolTCP)
	segment := tcp(ip, clientPort, testPort)
	segment.Options = nil
	bare := func(payload int) []byte {
		return frame4(t, set16(serialize(t, ip, segment, make([]byte, payload)), 2, 0))
	}
	bare6 := set16(packet6(t, clientPort, testPort, nil), 4, 0)
	testAccepted(t, []accepted{
		{"61 bytes", encap(t, bare(7)), decap.Packet{VNI: testVNI, IP: bare(7)[14:], TCP: 20, To: toOne}},
		{"61 bytes and a tag", encap(t, tagged(bare(7), 0x8100)), decap.Packet{VNI: testVNI, IP: bare(7)[14:], TCP: 20, To: toOne}},
	})
	testRefused(t, []refused{
		{"an ACK, padded to 60 bytes", encap(t, bare(0)), decap.InnerMalformed},
		{"60 bytes of data", encap(t, bare(6)), decap.InnerMalformed},
		{"60 bytes and a tag, put in later", encap(t, tagged(bare(6), 0x8100)), decap.InnerMalformed},
		{"an ACK without padding", encap(t, bare(0)[:54]), decap.InnerMalformed},
		{"IPv6 that ends before TCP does", encap(t, frame6(t, bare6[:46])), decap.InnerMalformed},
	})
}

func TestTCPHeader(t *testing.T) {
	frame := ours4(t)
	offset := func(words byte) []byte { return set(frame, atInnerTCP+12, words<<4) }
	short := func(ipLen uint16) []byte { return set16(frame, atInnerIP+2, ipLen) }
	cut := func(at int, b []byte) []byte { return b[: atInnerTCP+at : atInnerTCP+at] }
	other := set16(frame, atInnerTCP+2, testPort+1)
	bare, all := offset(5), offset(15) // 15 words reach over the 28-byte request, to its end
	want := func(f []byte) decap.Packet { return decap.Packet{VNI: testVNI, IP: f[atInnerIP:], TCP: 20, To: toOne} }
	exact, least := short(20+32), set16(bare, atInnerIP+2, 20+20)
	end := want(exact)
	end.IP = end.IP[:20+32]
	cutPayload := want(frame)
	cutPayload.IP, cutPayload.Truncated = frame[atInnerIP:atInnerTCP+32], true
	testAccepted(t, []accepted{
		{"without options", bare, want(bare)},
		{"data offset at the packet's very end", all, want(all)},
		{"header fills the packet", exact, end},
		{"header without options fills the packet and the frame", least[:atInnerTCP+20], want(least[:atInnerTCP+20])},
		{"payload cut away to the last byte", cut(32, frame), cutPayload},
	})
	testRefused(t, []refused{
		{"data offset 4", offset(4), decap.TCPMalformed},
		{"data offset 0", offset(0), decap.TCPMalformed},
		{"data offset beyond the packet", set16(all, atInnerIP+2, 20+59), decap.TCPMalformed},
		{"data offset into the padding", short(20 + 31), decap.TCPMalformed},
		{"packet with no room for a header", short(20 + 19), decap.TCPMalformed},
		{"packet with no room for the ports", short(20 + 3), decap.TCPMalformed},
		{"packet with nothing behind IP", short(20), decap.TCPMalformed},
		{"cut in the options", cut(31, frame), decap.TCPTruncated},
		{"cut in a header that ends the packet", cut(31, exact), decap.TCPTruncated},
		{"cut in the fixed header", cut(19, frame), decap.TCPTruncated},
		{"cut in the ports", cut(3, frame), decap.TCPTruncated},
		{"cut before TCP", cut(0, frame), decap.TCPTruncated},
		{"cut behind the ports, which are another service's", cut(4, other), decap.OtherPort},
		{"cut, and no room for a header even if not", cut(10, short(20+19)), decap.TCPMalformed},
	})
}

// TestMirrorTruncation: AWS cuts what does not fit into the target's MTU and
// then encapsulates, so the outer lengths agree with the frame.
func TestMirrorTruncation(t *testing.T) {
	packet := packet4(t, clientPort, testPort, make([]byte, 8000))
	frame := encap(t, frame4(t, packet)[:14+100])
	if got := int(binary.BigEndian.Uint16(frame[atOuterIP+2:])); got != len(frame)-atOuterIP {
		t.Fatalf("the outer length is %d", got)
	}
	testAccepted(t, []accepted{
		{"cut before encapsulation", frame, decap.Packet{VNI: testVNI, IP: packet[:100], TCP: 20, To: toOne, Truncated: true}},
	})
}
