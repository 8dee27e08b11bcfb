package filter

import (
	"fmt"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// acceptAll is a filter's answer that keeps the whole packet.
const acceptAll = 0x7fffffff

// Scratch words of the programs.
const (
	scratchA    = iota // A, while a step needs the register
	scratchX           // X likewise
	scratchMore        // not 0 in the first fragment of several
	scratchSum         // of addresses and ports
)

// DropAll accepts nothing.
var DropAll = answer(0)

// answer ends a program.
func answer(v uint32) []bpf.Instruction {
	return []bpf.Instruction{bpf.RetConstant{Val: v}}
}

// load reads size bytes at X+off into A. Beyond the packet's end the kernel ends
// the program with the answer 0.
func load(off uint32, size int) bpf.Instruction {
	return bpf.LoadIndirect{Off: off, Size: size}
}

// add moves X on by n bytes and leaves A as it is.
func add(n uint32) []bpf.Instruction {
	return []bpf.Instruction{
		bpf.StoreScratch{Src: bpf.RegA, N: scratchA},
		bpf.TXA{},
		bpf.ALUOpConstant{Op: bpf.ALUOpAdd, Val: n},
		bpf.TAX{},
		bpf.LoadScratch{Dst: bpf.RegA, N: scratchA},
	}
}

// addIHL moves X on by the length of the IPv4 header at X+off, options included.
func addIHL(off uint32) []bpf.Instruction {
	return []bpf.Instruction{
		load(off, 1),
		bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: 0x0f},
		bpf.ALUOpConstant{Op: bpf.ALUOpMul, Val: 4},
		bpf.ALUOpX{Op: bpf.ALUOpAdd},
		bpf.TAX{},
	}
}

// require answers 0 unless A is one of vals, at most 256.
func require(vals ...uint32) []bpf.Instruction {
	var test []bpf.Instruction
	for i, v := range vals {
		test = append(test, bpf.JumpIf{Cond: bpf.JumpEqual, Val: v, SkipTrue: uint8(len(vals) - i)})
	}
	return append(test, DropAll...)
}

// answerIf answers if the condition holds between A and v.
func answerIf(cond bpf.JumpTest, v, with uint32) []bpf.Instruction {
	return []bpf.Instruction{
		bpf.JumpIf{Cond: cond, Val: v, SkipFalse: 1},
		bpf.RetConstant{Val: with},
	}
}

// acceptShort accepts a packet that ends before X+n, for which A is lost.
func acceptShort(n uint32) []bpf.Instruction { return answerShort(n, acceptAll) }

// answerShort answers if the packet ends before X+n. A is lost.
func answerShort(n, with uint32) []bpf.Instruction {
	return []bpf.Instruction{
		bpf.LoadExtension{Num: bpf.ExtLen},
		bpf.JumpIfX{Cond: bpf.JumpGreaterOrEqual, SkipFalse: 2},
		bpf.ALUOpX{Op: bpf.ALUOpSub},
		bpf.JumpIf{Cond: bpf.JumpGreaterOrEqual, Val: n, SkipTrue: 1},
		bpf.RetConstant{Val: with},
	}
}

// ifLong runs the block, of at most 253 instructions, if the packet does not end
// before X+n, for which A is lost.
func ifLong(n uint32, block []bpf.Instruction) []bpf.Instruction {
	return append([]bpf.Instruction{
		bpf.LoadExtension{Num: bpf.ExtLen},
		bpf.JumpIfX{Cond: bpf.JumpGreaterOrEqual, SkipFalse: uint8(len(block) + 2)},
		bpf.ALUOpX{Op: bpf.ALUOpSub},
		bpf.JumpIf{Cond: bpf.JumpGreaterOrEqual, Val: n, SkipFalse: uint8(len(block))},
	}, block...)
}

// ifAny runs the block, of at most 255 instructions, if A is one of vals, and
// skips it otherwise.
func ifAny(vals []uint32, block []bpf.Instruction) []bpf.Instruction {
	if len(vals) == 0 {
		return nil
	}
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

// ifElse runs then, of at most 254 instructions, if A is v, and otherwise the
// rest.
func ifElse(v uint32, then, otherwise []bpf.Instruction) []bpf.Instruction {
	over := bpf.Jump{Skip: uint32(len(otherwise))}
	return append(ifAny([]uint32{v}, append(then, over)), otherwise...)
}

// Attach makes prog the socket's filter, in place of one that it had.
func Attach(fd int, prog []bpf.Instruction) error {
	fprog, err := Assemble(prog)
	if err != nil {
		return err
	}
	if err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, fprog); err != nil {
		return fmt.Errorf("filter: attaching the filter: %w", err)
	}
	return nil
}

// Assemble gives a program in the kernel's form.
func Assemble(prog []bpf.Instruction) (*unix.SockFprog, error) {
	raw, err := bpf.Assemble(prog)
	if err != nil {
		return nil, fmt.Errorf("filter: assembling the filter: %w", err)
	}
	filter := make([]unix.SockFilter, len(raw))
	for i, in := range raw {
		filter[i] = unix.SockFilter{Code: in.Op, Jt: in.Jt, Jf: in.Jf, K: in.K}
	}
	return &unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}, nil
}
