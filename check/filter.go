package check

import (
	"slices"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"netmirror/wire"
)

// besideFilter takes received UDP packets to one of the ports, and what bareTCP takes, over
// IPv4 or over IPv6 without extension headers. It is no matter if one is missed.
func besideFilter(link int, mirrors []uint16) []bpf.Instruction {
	drop := bpf.RetConstant{Val: 0}
	require := func(v uint32) []bpf.Instruction {
		return []bpf.Instruction{bpf.JumpIf{Cond: bpf.JumpEqual, Val: v, SkipTrue: 1}, drop}
	}
	v4 := slices.Concat(
		[]bpf.Instruction{bpf.LoadAbsolute{Off: 9, Size: 1}}, require(unix.IPPROTO_UDP),
		[]bpf.Instruction{
			bpf.LoadAbsolute{Off: 6, Size: 2},
			bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: wire.IPv4Offset, SkipFalse: 1}, drop, // a later fragment has no port
			bpf.LoadMemShift{Off: 0}, bpf.LoadIndirect{Off: 2, Size: 2},
		})
	v6 := slices.Concat(require(unix.ETH_P_IPV6),
		[]bpf.Instruction{bpf.LoadAbsolute{Off: 6, Size: 1}}, require(unix.IPPROTO_UDP),
		[]bpf.Instruction{bpf.LoadAbsolute{Off: wire.IPv6Header + 2, Size: 2}})
	v4 = append(v4, bpf.Jump{Skip: uint32(len(v6))})
	return slices.Concat(
		bareTCP(link),
		[]bpf.Instruction{
			bpf.LoadExtension{Num: bpf.ExtType}, // what the host sends itself is none of the mirror's
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.PACKET_OUTGOING, SkipFalse: 1}, drop,
			bpf.LoadExtension{Num: bpf.ExtProto},
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.ETH_P_IP, SkipFalse: uint8(len(v4))},
		}, v4, v6,
		notOwn(link, mirrors),
		[]bpf.Instruction{bpf.RetConstant{Val: snapBytes}},
	)
}

// bareTCP takes TCP that came to link for other hosts, as a SPAN port sends it, and goes on
// for other packets.
func bareTCP(link int) []bpf.Instruction {
	return []bpf.Instruction{
		bpf.LoadExtension{Num: bpf.ExtType},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.PACKET_OTHERHOST, SkipFalse: 10},
		bpf.LoadExtension{Num: bpf.ExtInterfaceIndex},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(link), SkipFalse: 8},
		bpf.LoadExtension{Num: bpf.ExtProto},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.ETH_P_IP, SkipFalse: 2},
		bpf.LoadAbsolute{Off: 9, Size: 1},
		bpf.Jump{Skip: 2},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.ETH_P_IPV6, SkipFalse: 3},
		bpf.LoadAbsolute{Off: 6, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.IPPROTO_TCP, SkipFalse: 1},
		bpf.RetConstant{Val: snapBytes},
	}
}

// portsBeside are those that a mirror is likely to come to by mistake.
var portsBeside = []uint16{wire.PortVXLANLinux, wire.PortGeneve, wire.PortVXLAN}

// notOwn goes on for a packet to one of the ports, which is in A, that is not the
// mirror's own on link.
func notOwn(link int, mirrors []uint16) (prog []bpf.Instruction) {
	own := []bpf.Instruction{
		bpf.LoadExtension{Num: bpf.ExtInterfaceIndex},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: uint32(link), SkipTrue: 1},
		bpf.RetConstant{Val: 0},
		bpf.RetConstant{Val: snapBytes},
	}
	for _, p := range mirrors {
		prog = append(prog, bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(p), SkipFalse: uint8(len(own))})
		prog = append(prog, own...)
	}
	for i, p := range portsBeside {
		prog = append(prog, bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(p), SkipTrue: uint8(len(portsBeside) - i)})
	}
	return append(prog, bpf.RetConstant{Val: 0})
}
