package filter

import (
	"slices"

	"golang.org/x/net/bpf"
)

// Datagrams is the program that shares the datagrams of a port among UDP sockets
// (SO_ATTACH_REUSEPORT_CBPF, socket(7)). Its packets begin with the UDP payload. A
// datagram of ours goes to socket FlowHash % n, or to socket 0 if it has no such hash.
// Socket n gets what is certainly not ours, and what arrived on another interface than
// those listed. interfaces holds interface indexes, at most 255; empty means all.
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
