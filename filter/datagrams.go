package filter

import (
	"slices"

	"golang.org/x/net/bpf"

	"netmirror/wire"
)

// Datagrams is the program that shares the datagrams of an encapsulation's port among UDP
// sockets (SO_ATTACH_REUSEPORT_CBPF, socket(7)). Its packets begin with the UDP payload. A
// datagram of ours goes to socket FlowHash % n, or to socket 0 if it has no such hash.
// Socket n gets what is certainly not ours, which is told in VXLAN only, and what arrived
// on another interface than those listed. interfaces holds interface indexes, at most 255;
// empty means all.
func (c Config) Datagrams(encap wire.Encap, n int, interfaces []int) []bpf.Instruction {
	var arrived []bpf.Instruction
	if len(interfaces) > 0 {
		wanted := make([]uint32, len(interfaces))
		for i, index := range interfaces {
			wanted[i] = uint32(index)
		}
		arrived = append([]bpf.Instruction{bpf.LoadExtension{Num: bpf.ExtInterfaceIndex}}, require(wanted...)...)
	}
	start := []bpf.Instruction{bpf.LoadConstant{Dst: bpf.RegX, Val: 0}}
	ours := answer(acceptAll)
	if encap == wire.EncapVXLAN {
		ours = serviceFilter(c.VNIs, c.InnerPorts)
	}
	return slices.Concat(
		onwards(slices.Concat(arrived, start, ours), uint32(n)),
		start,
		payloadHash(encap),
		[]bpf.Instruction{
			bpf.ALUOpConstant{Op: bpf.ALUOpMod, Val: uint32(n)},
			bpf.RetA{},
		},
	)
}

// payloadHash loads FlowHash of the mirrored packet in the UDP payload at X, which is 0. It
// answers 0 if there is no such hash, or if it cannot read the encapsulation.
func payloadHash(encap wire.Encap) []bpf.Instruction {
	switch encap {
	case wire.EncapVXLAN:
		return flowHash()
	case wire.EncapVXLANGPE:
		return slices.Concat(
			[]bpf.Instruction{
				load(atFlags, 1),
				bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: wire.GPEFlagP, SkipFalse: 3},
				load(wire.AtGPENext, 1), // what follows, which without the flag is Ethernet
				bpf.JumpIf{Cond: bpf.JumpEqual, Val: wire.GPEEthernet, SkipTrue: 1},
			},
			DropAll,
			flowHash())
	case wire.EncapGeneve:
		return geneveHash()
	}
	return DropAll
}

// geneveHash is payloadHash for GENEVE, which carries Ethernet, IP, or a mirror's VXLAN
// over IPv4.
func geneveHash() []bpf.Instruction {
	inVXLAN := slices.Concat(
		[]bpf.Instruction{load(atInner+6, 2)},
		answerIf(bpf.JumpBitsSet, wire.IPv4More|wire.IPv4Offset, 0),
		addIHL(atInner),
		[]bpf.Instruction{load(atInner+udpDstPort, 2)},
		require(wire.PortVXLAN),
		add(atInner+wire.UDPHeader), // to the VXLAN header
		flowHash(),
	)
	ip := func(etherType uint32) []bpf.Instruction {
		return append([]bpf.Instruction{bpf.LoadConstant{Dst: bpf.RegA, Val: etherType}}, hashPacket(atInner)...)
	}
	return slices.Concat(
		[]bpf.Instruction{
			load(0, 1),
			bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: wire.GeneveOptions},
			bpf.ALUOpConstant{Op: bpf.ALUOpMul, Val: 4},
			bpf.TAX{}, // so that what follows the options is at X+atInner
			bpf.LoadAbsolute{Off: wire.AtGeneveType, Size: 2},
		},
		ifElse(wire.EtherTypeTEB, flowHash(), slices.Concat(
			require(wire.EtherTypeIPv4, wire.EtherTypeIPv6),
			ifElse(wire.EtherTypeIPv6, ip(wire.EtherTypeIPv6), slices.Concat(
				[]bpf.Instruction{load(atInner+9, 1)},
				ifElse(wire.ProtoUDP, inVXLAN, ip(wire.EtherTypeIPv4)),
			)),
		)),
	)
}

// onwards turns a filter into one that goes on with the next instruction for what it accepts,
// and answers other for what it drops.
func onwards(filter []bpf.Instruction, other uint32) []bpf.Instruction {
	for i, in := range filter {
		switch ret, ok := in.(bpf.RetConstant); {
		case !ok:
		case ret.Val == 0:
			filter[i] = bpf.RetConstant{Val: other}
		default:
			filter[i] = bpf.Jump{Skip: uint32(len(filter) - 1 - i)}
		}
	}
	return filter
}
