// Package filter builds the classic BPF programs by which the kernel selects mirror
// packets and shares them among sockets: for the frames of a packet socket and for the
// datagrams of a UDP socket (Linux, Documentation/networking/filter.rst).
//
// It opens no socket and reads no packet.
package filter

import (
	"slices"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"netmirror/service"
	"netmirror/wire"
)

// filteredExtensions is how many IPv6 extension headers the filter skips. One is needed for
// multicast listener reports, which every IPv6 host sends.
const filteredExtensions = 2

// udpDstPort is from the UDP header's start.
const udpDstPort = 2

// tagTypes are the EtherTypes that announce a VLAN tag.
var tagTypes = []uint32{wire.EtherTypeCTag, wire.EtherTypeSTag, wire.EtherTypeQinQ, wire.EtherTypeTag4, wire.EtherTypeTag5}

// Config says which mirror packets are wanted.
type Config struct {
	// Mirror is how they come. The programs of a UDP socket ignore it: the socket is bound to
	// one of its ports.
	Mirror wire.Mirror
	// VNIs are the VXLAN network identifiers, each 0..16777215. The programs do not check them
	// if the list is empty or longer than 64.
	VNIs []uint32
	// InnerPorts are the TCP ports of the mirrored services; none means any. The programs do
	// not check them if there are more than 64 ranges.
	InnerPorts service.Ports
	// AnyLink means that Frames also gets packets of interfaces other than Ethernet, and drops
	// them.
	AnyLink bool
}

// Frames is the filter for frames that begin with an Ethernet header. It accepts, behind up to
// two VLAN tags and over IPv4 or IPv6,
//
//   - UDP to the mirror's ports; packets to VXLAN's ports only unless serviceFilter finds that
//     they are not ours;
//   - GRE, if the mirror may use it;
//   - every later fragment of a UDP datagram, because only the first one has ports;
//   - IPv6 packets with more extension headers than a filter without loops can walk. User space
//     judges these.
//
// For a mirror of bare frames, it judges the mirrored frames themselves.
//
// The kernel removes the outermost tag before the filter runs, so the two tags are the second
// and third on the wire.
func (c Config) Frames() []bpf.Instruction {
	var ethernet []bpf.Instruction
	if c.AnyLink {
		ethernet = append([]bpf.Instruction{bpf.LoadExtension{Num: bpf.ExtLinkLayerType}}, require(unix.ARPHRD_ETHER, unix.ARPHRD_LOOPBACK)...)
	}
	if c.Mirror.Bare() {
		return append(ethernet, bareFilter(c.InnerPorts)...)
	}
	return slices.Concat(
		ethernet,
		[]bpf.Instruction{
			bpf.LoadAbsolute{Off: wire.AtEtherType, Size: 2},
			bpf.LoadConstant{Dst: bpf.RegX, Val: wire.EthernetHeader},
		},
		toVXLAN(c.Mirror, acceptAll),
		toPayload(),
		serviceFilter(c.VNIs, c.InnerPorts),
	)
}

// DropSent is the beginning of a filter of frames: it drops packets that this host sends.
// PACKET_IGNORE_OUTGOING (packet(7)) does not do so for sockets that share packets, and their
// PACKET_FANOUT_FLAG_IGNORE_OUTGOING does only since Linux 6.2.
var DropSent = slices.Concat(
	[]bpf.Instruction{bpf.LoadExtension{Num: bpf.ExtType}},
	answerIf(bpf.JumpEqual, unix.PACKET_OUTGOING, 0),
)

// toPayload moves X from a UDP header to its payload. A is lost.
func toPayload() []bpf.Instruction {
	return []bpf.Instruction{
		bpf.TXA{},
		bpf.ALUOpConstant{Op: bpf.ALUOpAdd, Val: wire.UDPHeader},
		bpf.TAX{},
	}
}

// toVXLAN moves X from the outer header that A, an EtherType, names to the UDP
// header of a packet to one of the mirror's ports that have VXLAN. The answer is 0
// where there is none, and unseen for the mirror's other encapsulations, for outer
// fragments that may belong to a packet of the mirror (for a first one, that do) and
// for packets with headers that are not looked behind.
func toVXLAN(m wire.Mirror, unseen uint32) []bpf.Instruction {
	var vxlan, others []uint32
	for _, u := range m.UDP() {
		if u.Encap == wire.EncapVXLAN {
			vxlan = append(vxlan, uint32(u.Port))
		} else {
			others = append(others, uint32(u.Port))
		}
	}
	var gre []uint32
	if m.GRE() {
		gre = []uint32{wire.ProtoGRE}
	}
	tag := slices.Concat([]bpf.Instruction{load(2, 2)}, add(wire.VLANTag))
	return slices.Concat(
		ifAny(tagTypes, tag),
		ifAny(tagTypes, tag),
		ifElse(wire.EtherTypeIPv4,
			behindIPv4(gre, unseen),
			slices.Concat(require(wire.EtherTypeIPv6), behindIPv6(gre, unseen))),
		[]bpf.Instruction{load(udpDstPort, 2)},
		ifAny(others, answer(unseen)),
		require(vxlan...),
		[]bpf.Instruction{bpf.LoadScratch{Dst: bpf.RegA, N: scratchMore}},
		answerIf(bpf.JumpNotEqual, 0, unseen),
	)
}

// behindIPv4 moves X from an IPv4 header (RFC 791, section 3.1) to UDP. It answers unseen for
// the other protocols given.
func behindIPv4(others []uint32, unseen uint32) []bpf.Instruction {
	return slices.Concat(
		[]bpf.Instruction{load(9, 1)},
		ifAny(others, answer(unseen)),
		require(wire.ProtoUDP),
		[]bpf.Instruction{load(6, 2)},
		answerIf(bpf.JumpBitsSet, wire.IPv4Offset, unseen),
		[]bpf.Instruction{
			bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: wire.IPv4More},
			bpf.StoreScratch{Src: bpf.RegA, N: scratchMore},
		},
		addIHL(0),
	)
}

// behindIPv6 moves X from an IPv6 header (RFC 8200, section 3) to UDP. It skips the first few
// extension headers, but not AH. It answers unseen for the other protocols given.
func behindIPv6(others []uint32, unseen uint32) []bpf.Instruction {
	skipped := []uint32{wire.ProtoHopByHop, wire.ProtoRouting, wire.ProtoDestination}
	prog := slices.Concat(
		[]bpf.Instruction{
			bpf.LoadConstant{Dst: bpf.RegA, Val: 0},
			bpf.StoreScratch{Src: bpf.RegA, N: scratchMore},
			load(6, 1),
		},
		add(wire.IPv6Header),
	)
	for range filteredExtensions {
		prog = append(prog, ifAny(skipped, behindExtension())...)
	}
	return slices.Concat(
		prog,
		ifAny(slices.Concat(skipped, []uint32{wire.ProtoAH}, others), answer(unseen)),
		ifAny([]uint32{wire.ProtoFragment}, behindFragment(others, unseen)),
		require(wire.ProtoUDP),
	)
}

// behindExtension moves X from an extension header (RFC 8200, section 4) to the next one,
// whose protocol number it loads into A.
func behindExtension() []bpf.Instruction {
	return []bpf.Instruction{
		load(0, 1),
		bpf.StoreScratch{Src: bpf.RegA, N: scratchA},
		load(1, 1), // the length in units of 8 bytes, less one
		bpf.ALUOpConstant{Op: bpf.ALUOpAdd, Val: 1},
		bpf.ALUOpConstant{Op: bpf.ALUOpMul, Val: 8},
		bpf.ALUOpX{Op: bpf.ALUOpAdd},
		bpf.TAX{},
		bpf.LoadScratch{Dst: bpf.RegA, N: scratchA},
	}
}

// behindFragment moves X from a fragment header (RFC 8200, section 4.5) to UDP, and loads the
// protocol number into A.
func behindFragment(others []uint32, unseen uint32) []bpf.Instruction {
	return slices.Concat(
		[]bpf.Instruction{load(0, 1)},
		ifAny([]uint32{wire.ProtoHopByHop, wire.ProtoRouting, wire.ProtoFragment, wire.ProtoAH, wire.ProtoDestination}, answer(unseen)),
		ifAny(others, answer(unseen)),
		require(wire.ProtoUDP),
		[]bpf.Instruction{load(2, 2)},
		answerIf(bpf.JumpBitsSet, wire.IPv6Offset, unseen),
		[]bpf.Instruction{
			bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: wire.IPv6More},
			bpf.StoreScratch{Src: bpf.RegA, N: scratchMore},
			load(0, 1),
		},
		add(wire.FragmentHeader),
	)
}
