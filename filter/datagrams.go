package filter

import (
	"slices"

	"golang.org/x/net/bpf"
)

// Datagrams is the program that shares the datagrams of a port among UDP sockets
// (SO_ATTACH_REUSEPORT_CBPF, socket(7)), whose packets begin with the UDP payload. Of
// n sockets that of index FlowHash % n has those that are ours, and socket 0 those that
// have no such hash. Socket n has what is certainly not ours, and what did not arrive on
// one of the interfaces, by their index, of which there may be 255; an empty list is all.
func (c Config) Datagrams(n int, interfaces []int) []bpf.Instruction {
	var arrived []bpf.Instruction
	if len(interfaces) > 0 {
		wanted := make([]uint32, len(interfaces))
		for i, index := range interfaces {
			wanted[i] = uint32(index)
		}
		arrived = append([]bpf.Instruction{bpf.LoadExtension{Num: bpf.ExtInterfaceIndex}}, require(wanted...)...)
	}
	start := []bpf.Instruction{bpf.LoadConstant{Dst: bpf.RegX, Val: 0}}
	return slices.Concat(
		onwards(slices.Concat(arrived, start, serviceFilter(c.VNIs, c.InnerPorts)), uint32(n)),
		start,
		flowHash(),
		[]bpf.Instruction{
			bpf.ALUOpConstant{Op: bpf.ALUOpMod, Val: uint32(n)},
			bpf.RetA{},
		},
	)
}

// onwards makes a filter one that goes on behind itself for what it accepts and answers
// other for what it drops.
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
