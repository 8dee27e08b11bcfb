package tap

import (
	"fmt"
	"slices"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

const (
	// acceptAll is a filter's answer that keeps the whole packet.
	acceptAll = 0x7fffffff
	// filteredExtensions are looked behind by the filter. One is needed against
	// multicast listener reports, which every IPv6 host sends.
	filteredExtensions = 2
)

// Offsets from the frame's start where there is no VLAN tag; the filter adds the
// tags' length from its register X.
const (
	atEtherType = 12
	atIP        = ethernetHeader
	atIPv4Flags = atIP + 6
	atIPv4Proto = atIP + 9
	atIPv6Next  = atIP + 6
	atIPv6Data  = atIP + ipv6Header
	udpDstPort  = 2 // from the UDP header's start
)

// dropAll accepts nothing.
var dropAll = []bpf.Instruction{bpf.RetConstant{Val: 0}}

// mirrorFilter builds the kernel's filter for frames that begin with an Ethernet
// header. It accepts UDP to port over IPv4 or IPv6, behind up to two VLAN tags;
// every later fragment of an IPv4 or IPv6 UDP datagram, as only the first has a
// port; and IPv6 packets with more extension headers than a filter without loops
// walks, which are left for user space to judge.
//
// The kernel takes the outermost tag off before the filter runs, so that the
// two are the second and third on the wire.
func mirrorFilter(port uint16) []bpf.Instruction {
	tagged := func(inner ...bpf.Instruction) []bpf.Instruction {
		return slices.Concat([]bpf.Instruction{
			bpf.TXA{},
			bpf.ALUOpConstant{Op: bpf.ALUOpAdd, Val: vlanTag},
			bpf.TAX{},
			load(atEtherType, 2),
		}, inner)
	}
	tags := []uint32{etherTypeCTag, etherTypeSTag, etherTypeQinQ}
	return slices.Concat(
		[]bpf.Instruction{
			bpf.LoadConstant{Dst: bpf.RegX, Val: 0},
			load(atEtherType, 2),
		},
		ifAny(tags, tagged(ifAny(tags, tagged())...)),
		ifAny([]uint32{etherTypeIPv4}, ipv4Filter(uint32(port))),
		ifAny([]uint32{etherTypeIPv6}, ipv6Filter(uint32(port))),
		dropAll,
	)
}

// ipv4Filter judges an IPv4 packet behind X bytes of VLAN tags.
func ipv4Filter(port uint32) []bpf.Instruction {
	return slices.Concat(
		[]bpf.Instruction{load(atIPv4Proto, 1)},
		require(protoUDP),
		[]bpf.Instruction{load(atIPv4Flags, 2)},
		acceptIf(bpf.JumpBitsSet, ipv4OffsetBits),
		// X becomes the length of tags and IP header, options included.
		[]bpf.Instruction{
			load(atIP, 1),
			bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: 0x0f},
			bpf.ALUOpConstant{Op: bpf.ALUOpMul, Val: 4},
			bpf.ALUOpX{Op: bpf.ALUOpAdd},
			bpf.TAX{},
			load(atIP+udpDstPort, 2),
		},
		acceptIf(bpf.JumpEqual, port),
		dropAll,
	)
}

// ipv6Filter judges an IPv6 packet behind X bytes of VLAN tags.
func ipv6Filter(port uint32) []bpf.Instruction {
	return append([]bpf.Instruction{load(atIPv6Next, 1)}, nextHeader(port, filteredExtensions)...)
}

// nextHeader judges the header that A names and that X puts at atIPv6Data, and
// up to more extension headers before it. What is behind more than those, or
// AH, is accepted unseen.
func nextHeader(port uint32, more int) []bpf.Instruction {
	unseen := []bpf.Instruction{bpf.RetConstant{Val: acceptAll}}
	extension := unseen
	if more > 0 {
		extension = slices.Concat([]bpf.Instruction{
			load(atIPv6Data, 1),
			bpf.StoreScratch{Src: bpf.RegA, N: 0},
			load(atIPv6Data+1, 1), // the length in units of 8 bytes, less one
			bpf.ALUOpConstant{Op: bpf.ALUOpAdd, Val: 1},
			bpf.ALUOpConstant{Op: bpf.ALUOpMul, Val: 8},
			bpf.ALUOpX{Op: bpf.ALUOpAdd},
			bpf.TAX{},
			bpf.LoadScratch{Dst: bpf.RegA, N: 0},
		}, nextHeader(port, more-1))
	}
	return slices.Concat(
		ifAny([]uint32{protoUDP}, slices.Concat(
			[]bpf.Instruction{load(atIPv6Data+udpDstPort, 2)},
			acceptIf(bpf.JumpEqual, port),
			dropAll,
		)),
		ifAny([]uint32{protoFragment}, ipv6Fragment(port)),
		ifAny([]uint32{protoHopByHop, protoRouting, protoDestination}, extension),
		ifAny([]uint32{protoAH}, unseen),
		dropAll,
	)
}

// ipv6Fragment judges a fragment header at atIPv6Data and what it is of.
func ipv6Fragment(port uint32) []bpf.Instruction {
	return slices.Concat(
		[]bpf.Instruction{load(atIPv6Data, 1)},
		ifAny([]uint32{protoHopByHop, protoRouting, protoAH, protoDestination},
			[]bpf.Instruction{bpf.RetConstant{Val: acceptAll}}),
		require(protoUDP),
		[]bpf.Instruction{load(atIPv6Data+2, 2)},
		acceptIf(bpf.JumpBitsSet, ipv6OffsetBits),
		[]bpf.Instruction{load(atIPv6Data+fragmentHeader+udpDstPort, 2)},
		acceptIf(bpf.JumpEqual, port),
		dropAll,
	)
}

// load reads size bytes at off+X into A. Beyond the packet's end the kernel
// rejects the packet.
func load(off uint32, size int) bpf.Instruction {
	return bpf.LoadIndirect{Off: off, Size: size}
}

// require rejects the packet unless A is v.
func require(v uint32) []bpf.Instruction {
	return []bpf.Instruction{
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: v, SkipTrue: 1},
		bpf.RetConstant{Val: 0},
	}
}

// acceptIf accepts the packet if the condition holds between A and v.
func acceptIf(cond bpf.JumpTest, v uint32) []bpf.Instruction {
	return []bpf.Instruction{
		bpf.JumpIf{Cond: cond, Val: v, SkipFalse: 1},
		bpf.RetConstant{Val: acceptAll},
	}
}

// ifAny runs the block if A is one of vals, and skips it otherwise.
func ifAny(vals []uint32, block []bpf.Instruction) []bpf.Instruction {
	var test []bpf.Instruction
	for i, v := range vals {
		jump := bpf.JumpIf{Cond: bpf.JumpEqual, Val: v, SkipTrue: uint8(len(vals) - 1 - i)}
		if i == len(vals)-1 {
			jump.SkipFalse = uint8(len(block))
		}
		test = append(test, jump)
	}
	return append(test, block...)
}

// attach makes prog the socket's filter, in place of one that it had.
func attach(fd int, prog []bpf.Instruction) error {
	raw, err := bpf.Assemble(prog)
	if err != nil {
		return fmt.Errorf("tap: assembling the filter: %w", err)
	}
	filter := make([]unix.SockFilter, len(raw))
	for i, in := range raw {
		filter[i] = unix.SockFilter{Code: in.Op, Jt: in.Jt, Jf: in.Jf, K: in.K}
	}
	fprog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &fprog); err != nil {
		return fmt.Errorf("tap: attaching the filter: %w", err)
	}
	return nil
}
