package filter

import (
	"slices"

	"golang.org/x/net/bpf"

	"netmirror/service"
	"netmirror/wire"
)

// MaxVNIs is the longest list of VNIs that the programs go through, for each
// packet from its start.
const MaxVNIs = 64

// MaxPorts is the longest list of port ranges that the programs go through, for each
// packet up to twice.
const MaxPorts = 64

// Offsets from the start of the outer UDP payload (RFC 7348, section 5).
const (
	atFlags = 0
	atVNI   = 4
	atInner = 8 // the mirrored frame
)

// Offsets in a mirrored frame without VLAN tags.
const (
	inType = wire.AtEtherType
	inIP   = wire.EthernetHeader
	// inPorts is where the ports are once X has moved on by the IP header's length.
	inPorts = inIP
)

// minDatagram is the shortest VXLAN datagram that anything can be read of: VXLAN,
// Ethernet and IPv4 headers.
const minDatagram = wire.VXLANHeader + wire.EthernetHeader + wire.IPv4Header

// serviceFilter judges the mirror packet whose UDP payload X is at: by its VNI,
// unless vnis is empty or longer than MaxVNIs, and by the TCP ports of
// the mirrored packet, unless there is none or more ranges than MaxPorts.
//
// It drops only what is certainly not ours. What is broken, cut short, a
// fragment, several datagrams in one or of a layout that it does not read is
// accepted, for user space to judge and count.
func serviceFilter(vnis []uint32, ports service.Ports) []bpf.Instruction {
	var tests []bpf.Instruction
	if 0 < len(vnis) && len(vnis) <= MaxVNIs {
		tests = append(tests, vniFilter(vnis)...)
	}
	if looksAt(ports) {
		tests = append(tests, portFilter(atInner, ports)...)
	}
	if tests == nil {
		return answer(acceptAll)
	}
	return slices.Concat(
		acceptShort(atInner),
		[]bpf.Instruction{load(atFlags, 1)},
		unless(bpf.JumpBitsSet, wire.VXLANFlagI),
		acceptSeveral(),
		tests,
		answer(acceptAll),
	)
}

// looksAt reports whether the programs go through a list of ports.
func looksAt(ports service.Ports) bool { return 0 < len(ports) && len(ports) <= MaxPorts }

// acceptSeveral accepts a packet that is long enough for two datagrams and may be several in
// one (GRO), of which the first says nothing about the others. Such a packet goes on behind the
// mirrored packet, behind up to two VLAN tags, for long enough to hold another datagram; or the
// mirror has cut it, so that it ends before its first mirrored packet does by its own length.
// It goes on with the same X otherwise.
func acceptSeveral() []bpf.Instruction {
	innerTag := slices.Concat([]bpf.Instruction{load(atInner+inIP+2, 2)}, add(wire.VLANTag))
	return ifLong(atInner+inIP+wire.IPv4Header+minDatagram, slices.Concat(
		[]bpf.Instruction{
			bpf.StoreScratch{Src: bpf.RegX, N: scratchX},
			load(atInner+inType, 2),
		},
		ifAny(tagTypes, innerTag),
		ifAny(tagTypes, innerTag),
		ifElse(wire.EtherTypeIPv4, innerLength(wire.IPv4Header, 2, 0),
			ifElse(wire.EtherTypeIPv6, innerLength(wire.IPv6Header, 4, wire.IPv6Header),
				[]bpf.Instruction{bpf.LoadConstant{Dst: bpf.RegA, Val: wire.MaxPadded}})),
		[]bpf.Instruction{
			bpf.ALUOpConstant{Op: bpf.ALUOpAdd, Val: atInner + inIP},
			bpf.ALUOpX{Op: bpf.ALUOpAdd},
			bpf.TAX{},
			bpf.LoadExtension{Num: bpf.ExtLen},
			bpf.JumpIfX{Cond: bpf.JumpGreaterOrEqual, SkipFalse: 2},
			bpf.ALUOpX{Op: bpf.ALUOpSub},
			bpf.JumpIf{Cond: bpf.JumpGreaterOrEqual, Val: minDatagram, SkipFalse: 1},
			bpf.RetConstant{Val: acceptAll},
			bpf.LoadScratch{Dst: bpf.RegX, N: scratchX},
		},
	))
}

// innerLength loads the length of the mirrored IP packet, whose header has so many bytes. Its
// field at off leaves the first uncounted bytes out; 0, which segmentation offload leaves in it,
// is the rest of the packet. So is the length where nothing fits in behind the header.
func innerLength(header, off, uncounted uint32) []bpf.Instruction {
	rest := []bpf.Instruction{
		bpf.LoadExtension{Num: bpf.ExtLen},
		bpf.ALUOpX{Op: bpf.ALUOpSub},
		bpf.ALUOpConstant{Op: bpf.ALUOpSub, Val: atInner + inIP},
	}
	field := slices.Concat(
		[]bpf.Instruction{load(atInner+inIP+off, 2)},
		ifElse(0, slices.Clone(rest), []bpf.Instruction{bpf.ALUOpConstant{Op: bpf.ALUOpAdd, Val: uncounted}}),
	)
	return slices.Concat(
		rest,
		[]bpf.Instruction{bpf.JumpIf{Cond: bpf.JumpLessThan, Val: header + minDatagram, SkipTrue: uint8(len(field))}},
		field,
	)
}

// vniFilter goes on for one of vnis and drops the others.
func vniFilter(vnis []uint32) []bpf.Instruction {
	return append([]bpf.Instruction{
		load(atVNI, 4),
		bpf.ALUOpConstant{Op: bpf.ALUOpShiftRight, Val: 8}, // the last byte is reserved
	}, require(vnis...)...)
}

// bareFilter judges mirrored frames that nothing is around.
func bareFilter(ports service.Ports) []bpf.Instruction {
	if !looksAt(ports) {
		return answer(acceptAll)
	}
	return slices.Concat(
		[]bpf.Instruction{bpf.LoadConstant{Dst: bpf.RegX, Val: 0}},
		portFilter(0, ports),
		answer(acceptAll),
	)
}

// What else than IP may follow an Ethernet header, and have IP behind it; what else
// than TCP may follow IP; and the UDP ports of overlay networks. User space looks
// into all these.
var (
	linkTypes    = []uint32{wire.EtherTypeMPLS, wire.EtherTypeMPLSOld, wire.EtherTypePPPoE, wire.EtherTypeNSH}
	tunnels      = []uint32{wire.ProtoIPv4, wire.ProtoIPv6, wire.ProtoGRE}
	overlayPorts = []uint32{wire.PortVXLAN, wire.PortVXLANLinux, wire.PortVXLANGPE, wire.PortGeneve}
)

// portFilter goes on for TCP packets from or to one of ports in a mirrored frame at X+at, and
// accepts what they may be inside of.
func portFilter(at uint32, ports service.Ports) []bpf.Instruction {
	return slices.Concat(
		acceptShort(at+inIP),
		[]bpf.Instruction{load(at+inType, 2)},
		ifAny(slices.Concat(tagTypes, linkTypes), answer(acceptAll)),
		answerIf(bpf.JumpLessOrEqual, wire.MaxFrameLength, acceptAll), // LLC
		ifElse(wire.EtherTypeIPv4,
			behindInnerIPv4(at),
			slices.Concat(require(wire.EtherTypeIPv6), behindInnerIPv6(at))),
		acceptShort(at+inPorts+4),
		[]bpf.Instruction{load(at+inPorts, 2)},
		acceptPorts(ports),
		[]bpf.Instruction{load(at+inPorts+2, 2)},
		acceptPorts(ports),
		DropAll,
	)
}

// acceptPorts accepts the packet if A is one of ports.
func acceptPorts(ports service.Ports) (prog []bpf.Instruction) {
	for _, r := range ports {
		if r.First == r.Last {
			prog = append(prog, answerIf(bpf.JumpEqual, uint32(r.First), acceptAll)...)
			continue
		}
		prog = append(prog,
			bpf.JumpIf{Cond: bpf.JumpGreaterOrEqual, Val: uint32(r.First), SkipFalse: 2},
			bpf.JumpIf{Cond: bpf.JumpLessOrEqual, Val: uint32(r.Last), SkipFalse: 1},
			bpf.RetConstant{Val: acceptAll},
		)
	}
	return prog
}

// behindInnerIPv4 moves X on by the length of the inner IPv4 header (RFC 791,
// section 3.1), behind which is TCP.
func behindInnerIPv4(at uint32) []bpf.Instruction {
	return slices.Concat(
		acceptShort(at+inIP+wire.IPv4Header),
		[]bpf.Instruction{load(at+inIP, 1)},
		// Version 4 and a header of at least 5 words; more than 15 it cannot say.
		unless(bpf.JumpGreaterOrEqual, 0x45),
		unless(bpf.JumpLessOrEqual, 0x4f),
		[]bpf.Instruction{load(at+inIP+9, 1)},
		ifAny(tunnels, answer(acceptAll)),
		ifAny([]uint32{wire.ProtoUDP}, slices.Concat(
			[]bpf.Instruction{load(at+inIP+6, 2)},
			answerIf(bpf.JumpBitsSet, wire.IPv4Offset, acceptAll), // only the first fragment has a port
			addIHL(at+inIP),
			overlay(at+inPorts))),
		require(wire.ProtoTCP),
		[]bpf.Instruction{load(at+inIP+6, 2)},
		answerIf(bpf.JumpBitsSet, wire.IPv4More|wire.IPv4Offset, acceptAll),
		addIHL(at+inIP),
	)
}

// overlay accepts a datagram of an overlay network, whose UDP header is at X+at, and
// drops others.
func overlay(at uint32) []bpf.Instruction {
	return slices.Concat(
		acceptShort(at+4),
		[]bpf.Instruction{load(at+udpDstPort, 2)},
		require(overlayPorts...),
		answer(acceptAll),
	)
}

// behindInnerIPv6 moves X on by the length of the inner IPv6 header (RFC 8200,
// section 3), behind which is TCP.
func behindInnerIPv6(at uint32) []bpf.Instruction {
	return slices.Concat(
		acceptShort(at+inIP+wire.IPv6Header),
		[]bpf.Instruction{load(at+inIP, 1)},
		unless(bpf.JumpGreaterOrEqual, 0x60),
		unless(bpf.JumpLessOrEqual, 0x6f),
		[]bpf.Instruction{load(at+inIP+6, 1)},
		ifAny([]uint32{wire.ProtoUDP}, overlay(at+inIP+wire.IPv6Header)),
		ifAny([]uint32{wire.ProtoICMPv6}, DropAll),
		unless(bpf.JumpEqual, wire.ProtoTCP), // an extension header or a tunnel, most likely
		add(wire.IPv6Header),
	)
}

// unless accepts the packet if the condition between A and v does not hold.
func unless(cond bpf.JumpTest, v uint32) []bpf.Instruction {
	return []bpf.Instruction{
		bpf.JumpIf{Cond: cond, Val: v, SkipTrue: 1},
		bpf.RetConstant{Val: acceptAll},
	}
}
